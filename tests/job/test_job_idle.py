"""Runs from which the student learns nothing: they say why at once, and end with exit status 1."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from job_parts import composed, measured, run, summary
from torch import Tensor

from uniopd_mm.assembly import assemble
from uniopd_mm.config.parts import RoutingConfig
from uniopd_mm.distill.idle import GATED, UNSCORED, ZERO
from uniopd_mm.learner.checkpoint import complete_steps
from uniopd_mm.run.folder import open_run
from uniopd_mm.runtime.world import World
from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.teachers.routes import build_routes
from uniopd_mm.trainer import Trainer
from uniopd_mm.types import Failure, Rollout, TeacherScores

NAN_LOSS = """
from dataclasses import dataclass

from uniopd_mm.distill.objective import Needs, token_rewards


@dataclass(frozen=True)
class Broken:
    policy: object

    @property
    def needs(self):
        return Needs()

    def token_rewards(self, evidence):
        return token_rewards(evidence.teacher_logprobs, evidence.old_logprobs)

    def advantages(self, rewards, evidence):
        return rewards

    def loss(self, student, batch):
        loss, sums = self.policy.loss(student, batch)
        return loss * float("nan"), sums

    def denominator(self, batch):
        return self.policy.denominator(batch)
"""


def test_a_run_without_a_finite_gradient_says_so_and_ends_with_status_1(tmp_path: Path, small: list[str]) -> None:
    (tmp_path / "broken.py").write_text(NAN_LOSS, encoding="utf-8")
    broken = ["recipe=opd", "recipe.objective._target_=broken.Broken", "trainer.steps=9", "trainer.max_idle_steps=2"]
    finished = run([*small, *broken, "trainer.eval_every=0", "trainer.save_every=9"], tmp_path)
    assert finished.status == 1 and "Traceback" not in finished.err
    (line,) = finished.err.splitlines()
    assert line.startswith("error: trainer.max_idle_steps=2: ") and "the gradient is not finite" in line
    assert finished.out.count("warning: step 1: the student learns nothing: the gradient is not finite") == 1
    folder = tmp_path / "runs" / "small"
    assert summary(folder)["steps"] == 2 and complete_steps(folder) == [2] and (folder / "report.html").exists()
    assert [step["skipped_updates"] for step in measured(folder)] == [1, 1]
    assert "eval/accuracy" in measured(folder)[-1]


@dataclass(frozen=True)
class Rule:
    """A teacher that scores by a rule: from a rollout to log-probs f32[R]."""

    rule: Callable[[Rollout], Tensor]
    name = "oracle"
    overlaps = False

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        return [
            TeacherScores(teacher=self.name, token_ids=one.response_ids, logprobs=self.rule(one)) for one in rollouts
        ]


def trained(arguments: Sequence[str], folder: Path, rule: Callable[[Rollout], Tensor]) -> Trainer:
    """A run in this process whose teacher is replaced by a `Rule`, at its end."""
    own = [f"run.root={folder}", "tracking.progress=false", "trainer.steps=4", "trainer.max_idle_steps=2"]
    with ExitStack() as held:
        job = open_run(composed(*arguments, *own), [], held)
        trainer = assemble(job, World())
        routes = build_routes(RoutingConfig(), ["oracle"], ["video_qa"])
        trainer.parts = replace(trainer.parts, router=TeacherRouter({"oracle": Rule(rule)}, routes, 1.0))
        trainer.train()
        trainer.parts.tracker.close()
    return trainer


def constant(value: float) -> Callable[[Rollout], Tensor]:
    return lambda one: torch.full((len(one.response_ids),), value)


@pytest.mark.parametrize(
    ("rule", "reason", "said"),
    [
        (constant(float("nan")), UNSCORED, "teacher oracle: NaN log-probs"),
        (constant(0.5), UNSCORED, "above 0; left out"),
        (constant(float("-inf")), GATED, "teacher oracle gives probability 0 to every token"),
        (lambda one: one.logprobs, ZERO, "the gradient is exactly zero"),
    ],
    ids=["NaN", "above 0", "all -inf", "the student's own"],
)
def test_a_teacher_that_teaches_nothing_is_named_and_stops_the_run(
    rule: Callable[[Rollout], Tensor],
    reason: str,
    said: str,
    tmp_path: Path,
    small: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    trainer = trained([*small, "recipe=opd"], tmp_path, rule)
    out = capsys.readouterr().out
    assert trainer.stopped == reason and trainer.progress.step == 2
    assert out.count(f"warning: step 1: the student learns nothing: {reason}") == 1
    assert said in out
    assert complete_steps(trainer.run) == [1, 2]


def test_constant_scores_are_named_though_the_student_learns(
    tmp_path: Path, small: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = trained([*small, "recipe=opd"], tmp_path, constant(-2.5))
    assert trainer.stopped is None and trainer.progress.step == 4
    assert capsys.readouterr().out.count("teacher oracle gives the same log-prob to every token") == 1
