"""What a judge is asked with settings of the user's, and rewards between 0 and 1 on their way to an objective."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from judge_parts import Endpoint, asked, serving

from uniopd_mm.distill.grpo import outcome_advantages
from uniopd_mm.tasks.grading.judge import INSTRUCTION, Judge
from uniopd_mm.types import UserError

RESPONSE = "<think>hm</think>First I weigh it. Then I divide. \\boxed{5}"


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with serving() as told:
        yield told


def judge(endpoint: Endpoint, **settings: Any) -> Judge:
    return Judge(base_url=endpoint.url, model="m", **settings)


def shown(endpoint: Endpoint) -> tuple[str, dict[str, str]]:
    system, user = (message["content"] for message in endpoint.requests[-1]["messages"])
    return system, json.loads(user)


def test_the_whole_answer_is_shown_without_thoughts(endpoint: Endpoint) -> None:
    asked(judge(endpoint), RESPONSE)
    assert shown(endpoint)[1]["answer"] == "5"
    asked(judge(endpoint, whole=True), RESPONSE)
    assert shown(endpoint)[1]["answer"] == "First I weigh it. Then I divide. \\boxed{5}"


def test_a_prompt_and_a_rubric_of_the_users_are_sent(endpoint: Endpoint) -> None:
    asked(judge(endpoint, prompt="Be strict. CORRECT or INCORRECT?", rubric="Units must be named."), RESPONSE)
    system, user = shown(endpoint)
    assert system == "Be strict. CORRECT or INCORRECT?" and user["rubric"] == "Units must be named."
    asked(judge(endpoint), RESPONSE)
    system, user = shown(endpoint)
    assert system.startswith(INSTRUCTION) and "rubric" not in user


@pytest.mark.parametrize(
    ("reply", "reward", "correct"),
    [
        ("0.5", 0.5, True),
        ("Half of it.\n**0.25**", 0.25, False),
        ("Score: 1", 1.0, True),
        ("0", 0.0, False),
        (".75.", 0.75, True),
        ("1.0", 1.0, True),
    ],
)
def test_a_graded_reward_and_its_threshold(endpoint: Endpoint, reply: str, reward: float, correct: bool) -> None:
    endpoint.says(reply)
    outcome = asked(judge(endpoint, graded=True), RESPONSE)
    assert (outcome.reward, outcome.correct, outcome.answer) == (reward, correct, "5")
    strict = asked(judge(endpoint, graded=True, correct_from=1.0), RESPONSE)
    assert (strict.reward, strict.correct) == (reward, reward == 1)
    assert len(endpoint.requests) == 1  # the threshold is no part of the question


@pytest.mark.parametrize("reply", ["-0.5", "1.5", "7/10", "2", "CORRECT", "0.5 or 0.6", "", "nan"])
def test_other_replies_give_no_reward(endpoint: Endpoint, reply: str) -> None:
    endpoint.says(reply)
    outcome = asked(judge(endpoint, graded=True), RESPONSE)
    assert outcome.correct is None and "no number from 0 to 1" in outcome.reason


def test_rewards_are_kept_by_content(endpoint: Endpoint) -> None:
    endpoint.says("0.5")
    first = asked(judge(endpoint, graded=True), RESPONSE)
    endpoint.says("1")
    assert asked(judge(endpoint, graded=True), RESPONSE) == first
    assert asked(judge(endpoint, graded=True, rubric="Another one."), RESPONSE).reward == 1.0
    assert asked(judge(endpoint, graded=True), RESPONSE.replace("5", "6")).reward == 1.0


def test_a_word_is_not_read_from_the_file_as_a_number(endpoint: Endpoint) -> None:
    assert asked(judge(endpoint, prompt="Mine."), RESPONSE).reward == 1.0
    endpoint.says("0.5")
    assert asked(judge(endpoint, prompt="Mine.", graded=True), RESPONSE).reward == 0.5


def test_a_file_of_an_older_version_is_used_on(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "judge").mkdir()
    with sqlite3.connect(tmp_path / "judge" / "verdicts.sqlite") as old:
        old.execute("CREATE TABLE verdicts (key TEXT PRIMARY KEY, correct INTEGER NOT NULL)")
    assert asked(judge(endpoint), RESPONSE).correct


@pytest.mark.parametrize("value", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_that_cannot_be_is_refused(endpoint: Endpoint, value: float) -> None:
    with pytest.raises(UserError, match=r"judge\.correct_from="):
        judge(endpoint, correct_from=value)


def test_rewards_between_0_and_1_reach_group_relative_advantages(endpoint: Endpoint) -> None:
    rewards = []
    for number, reply in enumerate(("0", "0.25", "0.75", "1")):
        endpoint.says(reply)
        rewards.append(asked(judge(endpoint, graded=True), f"\\boxed{{{number}}}").reward)
    known, groups = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.long)
    found = outcome_advantages(torch.tensor(rewards), known, groups, normalize=False)
    torch.testing.assert_close(found.float(), torch.tensor([-0.5, -0.25, 0.25, 0.5]))
