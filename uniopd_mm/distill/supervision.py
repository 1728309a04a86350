"""From scores to supervision, with the dual perspective of Uni-OPD (arXiv 2605.03677, sections 3 and 4):

    token rewards -> returns -> margin calibration (teacher's side) -> balancing (student's side) -> advantages

Statistics are over the trajectories of all processes, so the result does not depend on how trajectories are split over
them. Failed teachers and unknown outcomes are excluded from all statistics.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Generator, Tensor

from uniopd_mm.distill.balancing import balance_outcomes
from uniopd_mm.distill.calibration import group_mask, margin_mask, margin_shift
from uniopd_mm.distill.choices import CalibrationMethod
from uniopd_mm.distill.evidence import Evidence, StepSamples, Supervision, collect_evidence, merge_samples, step_samples
from uniopd_mm.distill.objective import Objective
from uniopd_mm.distill.recipe import Balancing, Calibration
from uniopd_mm.types import Trajectory

Gather = Callable[[StepSamples], list[StepSamples]]  # the samples of every process, by rank


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
    """This process's trajectories with advantages and weights, and all processes' samples with their supervision.
    `local_indices` i64[n] are the indices of this process's trajectories in `samples`."""

    trajectories: Sequence[Trajectory]
    samples: StepSamples
    supervision: Supervision
    local_indices: Tensor


def supervise(
    trajectories: Sequence[Trajectory], recipe: Recipe, *, generator: Generator, gather: Gather, rank: int
) -> SupervisedBatch:
    """Advantages and weights for a step's trajectories. `generator` must be in the same state on every process."""
    evidence = collect_evidence(trajectories)
    rewards = recipe.objective.token_rewards(evidence)
    samples, indices = merge_samples(gather(step_samples(trajectories, evidence, rewards)))
    supervision = calibrate_and_balance(samples, recipe.calibration, recipe.balancing, generator)
    local_indices = indices[rank]
    calibrated = evidence.over_spans(rewards) + supervision.shift[local_indices, None].float()
    advantages = recipe.objective.advantages(calibrated, evidence)
    return SupervisedBatch(
        trajectories=_with_advantages(trajectories, evidence, advantages, supervision.kept[local_indices]),
        samples=samples,
        supervision=supervision,
        local_indices=local_indices,
    )


def calibrate_and_balance(
    samples: StepSamples, calibration: Calibration, balancing: Balancing, generator: Generator
) -> Supervision:
    """Shifts and masks of a whole step."""
    all_samples = torch.ones_like(samples.scored)
    if calibration.after_balancing:
        balanced = _balance(samples, balancing, generator, all_samples)
        shift, representative = _calibrate(samples, calibration, balanced)
        return Supervision(shift=shift, representative=representative, kept=balanced & representative)
    shift, representative = _calibrate(samples, calibration, all_samples)
    balanced = _balance(samples, balancing, generator, representative)
    return Supervision(shift=shift, representative=representative, kept=balanced & representative)


def _calibrate(samples: StepSamples, plan: Calibration, included: Tensor) -> tuple[Tensor, Tensor]:
    """Shift f64[N] and representative samples bool[N]. Margins use the scored samples in `included` bool[N]."""
    counted = samples.scored & included
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


def _balance(samples: StepSamples, plan: Balancing, generator: Generator, included: Tensor) -> Tensor:
    """Samples that stay, bool[N]. Samples whose teacher failed, or gave probability 0 to every token, count for no
    class: the student learns nothing from them."""
    if plan.ratio is None:
        return torch.ones_like(samples.failed)
    has_teacher = torch.tensor([teacher is not None for teacher in samples.teachers], dtype=torch.bool)
    counted = included & ~samples.failed & (samples.scored | ~has_teacher)
    return balance_outcomes(
        samples.correct & counted,
        samples.incorrect & counted,
        samples.group_ids,
        scope=plan.scope,
        ratio=plan.ratio,
        generator=generator,
    )


def _with_advantages(
    trajectories: Sequence[Trajectory], evidence: Evidence, advantages: Tensor, kept: Tensor
) -> list[Trajectory]:
    """The trajectories with their advantages, zero outside the mask and for tokens of teacher probability 0 (-inf), and
    weights."""
    rows = advantages.masked_fill(~evidence.mask | (advantages == float("-inf")), 0)
    return [
        replace(trajectory, advantages=row[: len(trajectory.rollout.response_ids)], weight=weight)
        for trajectory, row, weight in zip(trajectories, rows, kept.float().tolist(), strict=True)
    ]
