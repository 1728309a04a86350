"""A step's trajectories by their token rewards, and what one process makes of them."""

import math
from collections.abc import Sequence

import torch
from core_parts import prompt, rollout, scored, trajectory

from uniopd_mm.config.train import TrainerConfig
from uniopd_mm.distill.choices import CalibrationMethod
from uniopd_mm.distill.diagnostics import describe
from uniopd_mm.distill.evidence import spread
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.distill.recipe import Balancing, Calibration
from uniopd_mm.distill.supervision import Recipe, SupervisedBatch, supervise
from uniopd_mm.learner.learner import Learner, Update
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.runtime.world import World
from uniopd_mm.types import Failure, Prompt, Trajectory

OPD = OnPolicyDistillation(policy=PolicyLoss(temperature=1.0))
SHIFT = Calibration(method=CalibrationMethod.SHIFT, delta=0.625)
MASK = Calibration(method=CalibrationMethod.MASK, delta=0.0)
NONE, EVEN = Balancing(), Balancing(ratio=1.0)
QUESTION = prompt([5, 6, 7])


def answer(
    rewards: Sequence[float], correct: bool | None, group: int = 0, *, failed: bool = False, of: Prompt = QUESTION
) -> Trajectory:
    """A response whose tokens have these rewards; their log-probs under the student are all -1."""
    one = rollout(of, [30 + index for index in range(len(rewards))], group_id=group)
    if failed:
        return trajectory(one, Failure(teacher="t", reason="down"), correct)
    return trajectory(one, scored(one, [reward - 1 for reward in rewards]), correct)


def supervised(
    trajectories: Sequence[Trajectory],
    calibration: Calibration = SHIFT,
    balancing: Balancing = NONE,
    seed: int = 0,
    objective: OnPolicyDistillation = OPD,
) -> SupervisedBatch:
    """What one process makes of a step."""
    recipe = Recipe(objective=objective, calibration=calibration, balancing=balancing)
    generator = torch.Generator().manual_seed(seed)
    return supervise(trajectories, recipe, generator=generator, gather=lambda own: [own], rank=0)


def advantages(of: SupervisedBatch) -> list[list[float]]:
    return [one.advantages.tolist() for one in of.trajectories if one.advantages is not None]


def weights(of: SupervisedBatch) -> list[float]:
    return [one.weight for one in of.trajectories]


def measured(of: SupervisedBatch, calibration: Calibration = SHIFT, update: Update | None = None) -> dict[str, float]:
    sums = spread([(of.mine, update.sums)]) if update else {}
    values = describe(of.samples, of.supervision, sums, statistic=calibration.statistic, delta=calibration.delta)
    assert all(math.isfinite(value) for value in values.values()), values
    return values


def learner(student: Backbone) -> Learner:
    plan = TrainerConfig(learning_rate=1e-3, warmup_steps=0, tokens_per_microbatch=10**6)
    return Learner(student, OPD, plan, pad_id=0, world=World())


def finite(student: Backbone) -> bool:
    return all(bool(value.isfinite().all()) for value in student.model.state_dict().values())
