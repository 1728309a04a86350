"""What the judge is asked, what it makes of an outcome, and how often it is called; against a real HTTP server."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from judge_parts import WRONG, Endpoint, asked, serving

from uniopd_mm.tasks.grading.answers import right, unknown, wrong
from uniopd_mm.tasks.grading.judge import Judge
from uniopd_mm.types import Outcome


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with serving() as told:
        yield told


def test_right_is_not_asked_about(endpoint: Endpoint) -> None:
    judge = Judge(base_url=endpoint.url, model="m")
    outcome = right("boxed: 'five cm'")
    assert asked(judge, outcome=outcome) is outcome
    assert not endpoint.requests


@pytest.mark.parametrize("response", ["", "  ", "<think>5</think>"])
def test_empty_response_is_not_asked_about(endpoint: Endpoint, response: str) -> None:
    judge = Judge(base_url=endpoint.url, model="m")
    assert asked(judge, response, wrong("empty response")) == wrong("empty response")
    assert not endpoint.requests


@pytest.mark.parametrize("outcome", [WRONG, unknown("cannot be read")])
@pytest.mark.parametrize(
    ("reply", "correct"),
    [
        ("CORRECT", True),
        ("INCORRECT", False),
        ("correct.", True),
        ("**Incorrect**", False),
        ("They are the same length.\n\nCORRECT\n", True),
        ("<think>CORRECT?</think>\nINCORRECT", False),
    ],
)
def test_verdict(endpoint: Endpoint, outcome: Outcome, reply: str, correct: bool) -> None:
    endpoint.says(reply)
    verdict = asked(Judge(base_url=endpoint.url, model="m"), outcome=outcome)
    assert verdict.correct is correct
    assert verdict.reward == float(correct)
    assert verdict.reason.startswith("judge:")


def test_what_is_sent(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "secret-7")
    judge = Judge(base_url=endpoint.url + "/", model="big", api_key_env="JUDGE_KEY")
    asked(judge, 'Reasoning: all is CORRECT. \\boxed{5"}\n')
    assert endpoint.paths == ["/v1/chat/completions"]
    assert endpoint.headers[0]["Authorization"] == "Bearer secret-7"
    (request,) = endpoint.requests
    assert request["model"] == "big"
    assert request["temperature"] == 0
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    shown = {"question": "How long is it?", "reference": "five cm", "answer": '5"'}
    assert json.loads(request["messages"][1]["content"]) == shown


def test_no_key_is_sent_where_none_is_named(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-7")
    asked(Judge(base_url=endpoint.url, model="m"))
    assert "Authorization" not in endpoint.headers[0]


def test_long_answer_is_cut(endpoint: Endpoint) -> None:
    asked(Judge(base_url=endpoint.url, model="m"), "a" * 100_000 + "z")
    answer = json.loads(endpoint.requests[0]["messages"][1]["content"])["answer"]
    assert answer == "a" * 1999 + "z"


@pytest.mark.parametrize("reply", ["CORRECT", "INCORRECT"])
def test_a_verdict_is_kept_and_another_judge_finds_it(endpoint: Endpoint, reply: str) -> None:
    endpoint.says(reply)
    first = asked(Judge(base_url=endpoint.url, model="m"))
    endpoint.status = 500
    again = Judge(base_url=endpoint.url, model="m", max_calls=0)
    assert asked(again) == asked(again, r"So, \boxed{5}", unknown("other")) == first
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("change", ["model", "question", "reference", "answer"])
def test_whatever_is_sent_is_part_of_the_key(endpoint: Endpoint, change: str) -> None:
    asked(Judge(base_url=endpoint.url, model="m"))
    judge = Judge(base_url=endpoint.url, model="other" if change == "model" else "m")
    question = "How wide?" if change == "question" else "How long is it?"
    reference = "six cm" if change == "reference" else "five cm"
    judge.judge(question, reference, r"\boxed{6}" if change == "answer" else r"\boxed{5}", WRONG)
    assert len(endpoint.requests) == 2


def test_equal_answers_at_once_are_asked_about_once(endpoint: Endpoint) -> None:
    endpoint.wait = 0.2
    judge = Judge(base_url=endpoint.url, model="m")
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda number: asked(judge, rf"\boxed{{{number % 2}}}"), range(16)))
    assert all(outcome.correct for outcome in outcomes)
    assert len(endpoint.requests) == 2


def test_limit_of_calls(endpoint: Endpoint) -> None:
    judge = Judge(base_url=endpoint.url, model="m", max_calls=2)
    assert [asked(judge, rf"\boxed{{{number}}}").correct for number in range(4)] == [True, True, False, False]
    assert len(endpoint.requests) == 2
    over = asked(judge, r"\boxed{9}")
    assert over.reason.startswith(WRONG.reason)
    assert "max_calls=2" in over.reason
    assert asked(judge, r"\boxed{9}", unknown("cannot be read")).correct is None
    assert asked(judge, r"\boxed{0}").correct is True


def test_limit_holds_over_threads(endpoint: Endpoint) -> None:
    judge = Judge(base_url=endpoint.url, model="m", max_calls=5)
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda number: asked(judge, rf"\boxed{{{number}}}"), range(30)))
    assert sum(outcome.correct is True for outcome in outcomes) == len(endpoint.requests) == 5


@pytest.mark.parametrize("wrong_again", [False, True])
def test_no_verdict_is_not_kept(endpoint: Endpoint, wrong_again: bool) -> None:
    judge = Judge(base_url=endpoint.url, model="m")
    endpoint.status = 500
    assert asked(judge).correct is None
    endpoint.status = 200
    endpoint.says("INCORRECT" if wrong_again else "CORRECT")
    assert asked(judge).correct is not wrong_again


def test_text_of_any_kind_can_be_sent(endpoint: Endpoint) -> None:
    assert asked(Judge(base_url=endpoint.url, model="m"), "\ud800 \x00 ü", reference="\udfff").correct is True


def test_cache_holds_no_text_and_no_key(endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", "secret-7")
    asked(Judge(base_url=endpoint.url, model="m", api_key_env="JUDGE_KEY"))
    with sqlite3.connect(tmp_path / "judge" / "verdicts.sqlite") as database:
        ((key, correct),) = database.execute("SELECT * FROM rewards").fetchall()
    assert len(key) == 64
    assert correct == 1
    assert b"secret" not in (tmp_path / "judge" / "verdicts.sqlite").read_bytes()
