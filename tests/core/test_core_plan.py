"""What a run says before and after: tables and files by hand; values of teachers and mixtures that cannot work; and
outcomes in order, though they come from many threads."""

import json
import threading
import time
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import pytest
from core_parts import sample

from uniopd_mm.config.checks import validate
from uniopd_mm.config.parts import MixtureConfig, Shares, TeacherConfig
from uniopd_mm.config.train import ModelConfig, RecipeConfig, RolloutConfig, TrainConfig
from uniopd_mm.data.grading import grade_all
from uniopd_mm.run.plan import show_budget, show_plan, show_teachers
from uniopd_mm.teachers.self_test import Assignment, SelfTest
from uniopd_mm.types import Corpus, Outcome, Sample, UserError


def written(folder: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / f"{name}.json").read_text())
    return rows


def assignment(teacher: str, test: SelfTest | None, **prompts: float) -> Assignment:
    return Assignment(teacher=teacher, path="/x", reads="text", media="caption", prompts=prompts, self_test=test)


def test_teachers_as_a_table_and_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = SelfTest(sample_id="7", answer="It moves\n\nup. " + "x" * 99, logprob=-0.25, difference=3e-6)
    taught = [assignment("a", test, math=2.5, chart=1.0), assignment("idle", None)]
    show_teachers(tmp_path, taught, is_main=False)
    assert not list(tmp_path.iterdir())
    show_teachers(tmp_path, taught, is_main=True)
    first, idle = written(tmp_path, "teachers")
    assert first["prompts"] == {"math": 2.5, "chart": 1.0} and first["self_test"]["answer"] == test.answer
    assert idle["self_test"] is None
    shown = "".join("".join(capsys.readouterr()).split())
    assert shown.count("-0.250nats/token") == 2 and "noprompttotestitwith" in shown


def test_what_a_model_says_is_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = SelfTest(sample_id="7", answer="[/INST] [red] :smile:\x1b[2J", logprob=-1.0, difference=0.0)
    show_teachers(tmp_path, [assignment("a", test, math=1.0)], is_main=True)
    shown = "".join("".join(capsys.readouterr()).split())
    assert "[/INST][red]:smile:" in shown and "\x1b" not in shown


def test_a_plan_by_hand(tmp_path: Path) -> None:
    show_plan(tmp_path, {"math": 90, "chart": 10}, {"math": 5}, {"math": 6, "chart": 2}, is_main=True)
    assert written(tmp_path, "mixture") == [
        {"domain": "math", "train": 90, "held_out": 5, "quota": 6, "window": 8, "share": 0.75},
        {"domain": "chart", "train": 10, "held_out": 0, "quota": 2, "window": 8, "share": 0.25},
    ]


def test_a_budget_is_the_sum_over_steps(tmp_path: Path) -> None:
    """A step without a prompt of a domain says nothing of it."""
    steps = [
        {f"domain/a/{name}": value for name, value in (("prompts", 2.0), ("prompt_tokens", 30.0))},
        {"domain/a/prompts": 1.0, "domain/b/prompts": 3.0, "domain/b/response_tokens": 12.0, "prompts": 4.0},
    ]
    show_budget(tmp_path, ["a", "b", "c"], steps)
    assert written(tmp_path, "mixture_budget") == [
        {"domain": "a", "prompts": 3, "prompt_tokens": 30, "response_tokens": 0},
        {"domain": "b", "prompts": 3, "prompt_tokens": 0, "response_tokens": 12},
        {"domain": "c", "prompts": 0, "prompt_tokens": 0, "response_tokens": 0},
    ]
    show_budget(tmp_path, ["a"], [])
    assert written(tmp_path, "mixture_budget") == [
        {"domain": "a", "prompts": 0, "prompt_tokens": 0, "response_tokens": 0}
    ]


def config(mixture: dict[str, Any] | None = None, **teachers: dict[str, Any]) -> TrainConfig:
    return TrainConfig(
        task={"_target_": "uniopd_mm.tasks.math_qa.MathTask"},
        model=ModelConfig(name="m", path="/m", processor={}),
        teacher=TeacherConfig(name="t", path="/t", processor={}),
        teachers=teachers,
        rollout=RolloutConfig(engine={}),
        recipe=RecipeConfig(name="r", objective={}),
        mixture=MixtureConfig(**(mixture or {})),
    )


@pytest.mark.parametrize(
    "works",
    [
        config(),
        config({"temperature": 0.5, "floor": 1.0, "recent": 1, "window": 1}),
        config({"weights": {"a": 1.0}, "shares": Shares.WEIGHTS}),
        config(a={"path": "/a"}, b={"builder": {"_target_": "x"}}, c={"reads": "TEXT", "media": "CAPTION"}),
    ],
    ids=["defaults", "mixture", "weights", "teachers"],
)
def test_values_that_work_are_let_through_unchanged(works: TrainConfig) -> None:
    before = deepcopy(works)
    validate(works)
    assert works == before


@pytest.mark.parametrize(
    ("mixture", "teachers", "named"),
    [
        ({"temperature": 0.0}, {}, r"mixture.temperature=0.0 must be above 0"),
        ({"temperature": float("nan")}, {}, r"mixture.temperature=nan"),
        ({"floor": 0.0}, {}, r"mixture.floor=0.0 must lie above 0"),
        ({"floor": 1.5}, {}, r"mixture.floor=1.5"),
        ({"recent": 0}, {}, r"mixture.recent=0 must be at least 1"),
        (
            {"weights": {"a": 1.0}},
            {},
            r"mixture.weights=\{'a': 1.0\}: .*mixture.shares=UNIFORM .*set mixture.shares=WEIGHTS",
        ),
        ({"window": 0}, {}, r"mixture.window=0 must be at least 1, or null"),
        ({}, {"a": {"max_tokens": 0}}, r"teachers.a.max_tokens=0 must be at least 1"),
        ({}, {"a": {"dtype": "float16"}}, r"teachers.a.dtype=float16 must be one of float32, bfloat16"),
        ({}, {"a": {"media": "CAPTION"}}, r"teachers.a.media=CAPTION: .*set reads=TOKENS or TEXT"),
        ({}, {"a": {"path": "/a", "builder": {"_target_": "x"}}}, r"teachers.a.path=/a: give either"),
        ({}, {"good": {"path": "/a"}, "bad": {"readz": "TEXT"}}, r"teachers.bad: Key 'readz'"),
    ],
)
def test_values_that_cannot_work_are_named(
    mixture: dict[str, Any], teachers: dict[str, dict[str, Any]], named: str
) -> None:
    with pytest.raises(UserError, match=named):
        validate(config(mixture, **teachers))


@final
@dataclass
class Slow:
    """A task whose first responses take longest, and which notes who grades."""

    threads: set[int] = field(default_factory=set)
    domain: str = "d"

    def samples(self, split: str) -> Corpus:
        return Corpus(samples=())

    def grade(self, sample: Sample, response: str) -> Outcome:
        self.threads.add(threading.get_ident())
        time.sleep(0.02 if int(response) < 3 else 0)
        return Outcome(correct=sample.sample_id == response, reward=float(response), reason="")


def test_outcomes_are_in_the_order_of_the_responses() -> None:
    task = Slow()
    outcomes = grade_all(task, [sample(str(number)) for number in range(30)], [str(number) for number in range(30)])
    assert [outcome.reward for outcome in outcomes] == [float(number) for number in range(30)]
    assert all(outcome.correct for outcome in outcomes) and len(task.threads) > 1
    assert grade_all(task, [], []) == []
