"""From scores to supervision, the dual perspective of Uni-OPD (arXiv 2605.03677, sections 3 and 4):

    token rewards -> returns -> margin calibration (teacher's side) -> balancing (student's side) -> advantages

Statistics are over the trajectories of all processes: the same ones are taught alike however they are spread.
Failed teachers and unknown outcomes are in no statistic.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Generator, Tensor

from uniopd_mm.distill.balancing import balance_outcomes
from uniopd_mm.distill.calibration import group_mask, margin_mask, margin_shift
from uniopd_mm.distill.choices import CalibrationMethod
from uniopd_mm.distill.evidence import Evidence, StepSamples, Supervision, line_up, merged, step_samples
from uniopd_mm.distill.objective import Objective
from uniopd_mm.distill.recipe import Balancing, Calibration
from uniopd_mm.types import Trajectory

Gather = Callable[[StepSamples], list[StepSamples]]  # everybody's, by rank


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """An objective with its calibration and balancing."""

    objective: Objective
    calibration: Calibration
    balancing: Balancing


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SupervisedBatch:
    """This process's trajectories with advantages and weights, and all processes' samples with what was decided about
    them; `mine` i64[n] are the places of the former among the latter."""

    trajectories: Sequence[Trajectory]
    samples: StepSamples
    supervision: Supervision
    mine: Tensor


def supervise(
    trajectories: Sequence[Trajectory], recipe: Recipe, *, generator: Generator, gather: Gather, rank: int
) -> SupervisedBatch:
    """What the student is taught of a step's trajectories. `generator` must be in the same state on every process."""
    evidence = line_up(trajectories)
    rewards = recipe.objective.token_rewards(evidence)
    samples, places = merged(gather(step_samples(trajectories, evidence, rewards)))
    supervision = calibrate_and_balance(samples, recipe.calibration, recipe.balancing, generator)
    mine = places[rank]
    advantages = recipe.objective.advantages(rewards + supervision.shift[mine, None].float(), evidence)
    return SupervisedBatch(
        trajectories=_taught(trajectories, evidence, advantages, supervision.kept[mine]),
        samples=samples,
        supervision=supervision,
        mine=mine,
    )


def calibrate_and_balance(
    samples: StepSamples, calibration: Calibration, balancing: Balancing, generator: Generator
) -> Supervision:
    """Shift and masks of a whole step."""
    everybody = torch.ones_like(samples.scored)
    if calibration.after_balancing:
        balanced = _balance(samples, balancing, generator, everybody)
        shift, representative = _calibrate(samples, calibration, balanced)
        return Supervision(shift=shift, representative=representative, kept=balanced & representative)
    shift, representative = _calibrate(samples, calibration, everybody)
    balanced = _balance(samples, balancing, generator, representative)
    return Supervision(shift=shift, representative=representative, kept=balanced & representative)


def _calibrate(samples: StepSamples, plan: Calibration, among: Tensor) -> tuple[Tensor, Tensor]:
    """Shift f64[N] and representative samples bool[N], by the margins of scored samples in `among` bool[N]."""
    counted = samples.scored & among
    margins = (samples.returns, samples.correct & counted, samples.incorrect & counted, samples.group_ids)
    shift, keep = torch.zeros_like(samples.returns), torch.ones_like(samples.scored)
    named: dict[str, Any] = {"statistic": plan.statistic, "delta": plan.delta}
    if plan.method is CalibrationMethod.SHIFT:
        shift = margin_shift(*margins, scope=plan.scope, direction=plan.direction, **named)
    elif plan.method is CalibrationMethod.MASK:
        keep = margin_mask(*margins, scope=plan.scope, min_retain_ratio=plan.min_retain_ratio, **named)
    elif plan.method is CalibrationMethod.GROUP_MASK:
        keep = group_mask(*margins, **named)
    return shift, keep


def _balance(samples: StepSamples, plan: Balancing, generator: Generator, among: Tensor) -> Tensor:
    """Samples that stay, bool[N]. Those that a teacher failed on, or ruled out whole, teach nothing: they count for no
    class."""
    if plan.ratio is None:
        return torch.ones_like(samples.failed)
    asked = torch.tensor([teacher is not None for teacher in samples.teachers], dtype=torch.bool)
    counted = among & ~samples.failed & (samples.scored | ~asked)
    return balance_outcomes(
        samples.correct & counted,
        samples.incorrect & counted,
        samples.group_ids,
        scope=plan.scope,
        ratio=plan.ratio,
        generator=generator,
    )


def _taught(
    trajectories: Sequence[Trajectory], evidence: Evidence, advantages: Tensor, kept: Tensor
) -> list[Trajectory]:
    rows = advantages.masked_fill(~evidence.mask, 0)
    return [
        replace(trajectory, advantages=row[: len(trajectory.rollout.response_ids)], weight=weight)
        for trajectory, row, weight in zip(trajectories, rows, kept.float().tolist(), strict=True)
    ]
