"""A rollout engine that differs from the trainer changes which tokens are drawn, and not what is learnt from them.

The engine's logits are the student's plus a fixed perturbation. All responses of one token are one step, weighted by
the engine's probabilities, so that an update is the expected one.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from core_parts import rollout, scored, trajectory
from torch import Tensor

from uniopd_mm.config.train import TrainerConfig
from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.distill.choices import CalibrationMethod
from uniopd_mm.distill.exopd import ExtrapolatedDistillation
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.distill.opd_grpo import DistillationAndOutcome
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.distill.recipe import Balancing, Calibration
from uniopd_mm.distill.supervision import Recipe, SupervisedBatch, supervise
from uniopd_mm.learner.learner import Learner
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.runtime.world import World
from uniopd_mm.types import Prompt, Trajectory

T = 0.8
CORRECTED = PolicyLoss(temperature=T, gate=1e9, correction="truncate", correction_cap=float("inf"))
OBJECTIVES = {
    "opd": OnPolicyDistillation(policy=CORRECTED),
    "opd, clipped": OnPolicyDistillation(policy=replace(CORRECTED, advantage_clip=0.3)),
    "exopd, clipped": ExtrapolatedDistillation(policy=replace(CORRECTED, advantage_clip=0.3), scale=1.25),
    "opd_grpo": DistillationAndOutcome(policy=CORRECTED, distillation=0.7),
}


@pytest.fixture
def student(backbone: Backbone) -> Backbone:
    backbone.double()
    return backbone


@torch.no_grad()
def distribution(student: Backbone, prompt: Prompt) -> tuple[Tensor, Tensor]:
    """All ids i64[V] that the student may write, and their log-probs f64[V]."""
    allowed = [index for index in range(student.vocab_size) if index not in student.banned_ids]
    every = [rollout(prompt, [index]) for index in allowed]
    return torch.tensor(allowed), student(collate_rollouts(every, 0), T)[0]


def every_response(student: Backbone, prompt: Prompt, teacher: Callable[[Tensor], Tensor]) -> list[Trajectory]:
    """Drawn by the biased engine; `teacher` gives log-probs f64[V] from the student's. Odd ids are correct."""
    ids, own = distribution(student, prompt)
    noise = torch.randn(len(ids), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    engine, told = (own + noise).log_softmax(0), teacher(own)
    made = []
    for index, drawn, score in zip(ids.tolist(), engine.tolist(), told.tolist(), strict=True):
        one = rollout(prompt, [index], [drawn])
        scores = scored(one, [score])
        made.append(replace(trajectory(one, scores, correct=index % 2 == 1), base=scores))
    return made


def weighted(supervised: SupervisedBatch, drawn: list[Trajectory]) -> list[Trajectory]:
    """By the engine's probabilities: the mean over the step is the engine's expectation."""
    return [
        replace(one, weight=len(drawn) * of.rollout.logprobs.exp().item())
        for one, of in zip(supervised.trajectories, drawn, strict=True)
    ]


def learner(student: Backbone, objective: Any) -> Learner:
    plan = TrainerConfig(learning_rate=1e-9, warmup_steps=0, tokens_per_microbatch=10**6, max_grad_norm=1e9)
    return Learner(student, objective, plan, pad_id=0, world=World())


def decided(trajectories: list[Trajectory], objective: Any, calibration: Calibration) -> SupervisedBatch:
    recipe = Recipe(objective=objective, calibration=calibration, balancing=Balancing())
    return supervise(trajectories, recipe, generator=torch.Generator(), gather=lambda own: [own], rank=0)


def gradient_norm(student: Backbone, objective: Any, trajectories: list[Trajectory]) -> float:
    return learner(student, objective).update(trajectories).values["grad_norm"]


@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "opd_grpo"])
def test_a_student_that_is_its_teacher_stays_where_it_is(
    name: str, student: Backbone, text_prompts: list[Prompt]
) -> None:
    """Rewards that are measured from the engine's log-probs push it away, until the engine is the teacher's copy."""
    objective = OBJECTIVES[name]
    drawn = every_response(student, text_prompts[0], lambda own: own)
    own = learner(student, objective).with_own_logprobs(drawn, T)
    for trajectories, stays in ((own, True), (drawn, False)):
        taught = weighted(decided(trajectories, objective, Calibration()), drawn)
        norm = gradient_norm(student, objective, taught)
        assert norm < 1e-5 if stays else norm > 1e-2, norm


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("method", [CalibrationMethod.NONE, CalibrationMethod.SHIFT])
def test_an_expected_update_is_that_of_an_engine_that_is_the_trainer(
    name: str, method: CalibrationMethod, student: Backbone, text_prompts: list[Prompt]
) -> None:
    """Clip, margins and shifts included: only the probabilities with which responses are drawn are the engine's, and
    importance weights undo those."""
    objective, plan = OBJECTIVES[name], Calibration(method=method, delta=5.0)
    drawn = every_response(student, text_prompts[0], another)
    own = learner(student, objective).with_own_logprobs(drawn, T)
    supervised = decided(own, objective, plan)
    found = gradient(student, objective, weighted(supervised, drawn))
    exact = [
        replace(of, rollout=replace(of.rollout, logprobs=of.student_logprobs), student_logprobs=None) for of in own
    ]
    told = decided(exact, objective, plan)
    assert [one.advantages.tolist() for one in told.trajectories] == [  # type: ignore[union-attr]
        one.advantages.tolist()  # type: ignore[union-attr]
        for one in supervised.trajectories
    ]
    wanted = gradient(student, objective, weighted(told, exact))
    assert wanted.norm() > 1e-3 and (found - wanted).norm() < 1e-4 * wanted.norm()


def another(own: Tensor) -> Tensor:
    noise = torch.randn(own.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (own + noise).log_softmax(0)


def gradient(student: Backbone, objective: Any, trajectories: list[Trajectory]) -> Tensor:
    of, seen = learner(student, objective), list[Tensor]()

    def note(*_: object) -> None:
        seen.append(torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None]))

    of.optimizer.register_step_pre_hook(note)
    before = {name: value.clone() for name, value in student.model.state_dict().items()}
    of.update(trajectories)
    student.model.load_state_dict(before)
    return seen[0]


def test_own_log_probs_do_not_depend_on_the_budget(student: Backbone, text_prompts: list[Prompt]) -> None:
    """Each stands beside its own trajectory, also an empty one."""
    drawn = [*every_response(student, text_prompts[0], another)[:5], trajectory(rollout(text_prompts[1], []), None)]
    drawn += [trajectory(rollout(text_prompts[1], [40, 41, 42]), None)]
    _, own = distribution(student, text_prompts[0])
    whole = learner(student, OBJECTIVES["opd"])
    for budget in (1, 60, 10**6):
        whole.max_tokens = budget
        found = whole.with_own_logprobs(drawn, T)
        torch.testing.assert_close(torch.cat([one.student_logprobs for one in found[:5]]), own[:5].float())
        assert [len(one.student_logprobs) for one in found[5:]] == [0, 3]
        assert all(one.rollout is of.rollout for one, of in zip(found, drawn, strict=True))
