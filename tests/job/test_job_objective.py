"""An objective of the user's own: what it measures reaches metrics.jsonl, for the step and for its parts."""

import json
from pathlib import Path
from statistics import fmean

import pytest
from job_parts import measured, run

OBJECTIVE = """
from dataclasses import dataclass

from uniopd_mm.distill.opd import OnPolicyDistillation

CALLS = []


@dataclass(frozen=True, kw_only=True)
class Mine:
    policy: object
    measure: str = "squared_advantage"
    sometimes: bool = False

    def __getattr__(self, name):
        return getattr(OnPolicyDistillation(policy=self.policy), name)

    def loss(self, student, batch):
        loss, sums = self.policy.loss(student, batch)
        CALLS.append(batch)
        if self.sometimes and len(CALLS) % 2 == 0:
            return loss, sums
        return loss, {**sums, self.measure: (batch.advantages.double() ** 2).sum(-1)}
"""


@pytest.fixture
def mine(tmp_path: Path, small: list[str]) -> list[str]:
    """Arguments of a run with the objective above."""
    (tmp_path / "mine.py").write_text(OBJECTIVE, encoding="utf-8")
    return [*small, "recipe=opd", "recipe.objective._target_=mine.Mine", "trainer.steps=1"]


def test_what_a_loss_measures_is_a_metric_of_step_domain_and_teacher(tmp_path: Path, mine: list[str]) -> None:
    assert run(mine, tmp_path).status == 0
    folder = tmp_path / "runs" / "small"
    (line,) = measured(folder)
    written = (folder / "rollouts" / "step_1.jsonl").read_text(encoding="utf-8").splitlines()
    advantages = [value for rollout in written for value in json.loads(rollout)["advantages"]]
    wanted = pytest.approx(fmean(value**2 for value in advantages), rel=1e-6)
    for part in ("", "domain/video_qa/", "teacher/tiny_expert/"):
        assert line[f"{part}squared_advantage"] == wanted


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("measure=accuracy", "'accuracy', which is a metric of every run"),
        ("measure=loss", "'loss', which is a metric of every run"),
        ("measure=timing", "'timing', which is a metric of every run"),
        ("measure=domain/x", "'domain/x', which contains a /"),
        ("sometimes=true", "squared_advantage for some micro-batches only"),
    ],
)
def test_a_name_that_is_taken_is_one_line(tmp_path: Path, mine: list[str], setting: str, said: str) -> None:
    small_batches = ["trainer.tokens_per_microbatch=150", f"+recipe.objective.{setting}"]
    finished = run([*mine, *small_batches], tmp_path)
    assert finished.status == 2 and "Traceback" not in finished.err
    (line,) = finished.err.splitlines()
    assert line.startswith("error: recipe.objective: its loss returns ") and said in line
