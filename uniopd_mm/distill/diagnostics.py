"""Metrics of one step as plain numbers: for all samples, for each domain and for each teacher.

Two metrics compare returns with outcomes, over scored samples of known outcome (arXiv 2605.03677, section 4):
`order_consistency` within each prompt's group, and `auc` over all prompts together. Means per token are over all
tokens, never means of per-sample means. Samples of unknown outcome are counted, but excluded from means of outcomes.
Samples whose teacher failed are excluded from teacher metrics; the student's own metrics still include them. Not here:
warnings about these values (`watch`).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import compress
from typing import Any, TypeVar

import torch
from torch import Tensor

from uniopd_mm.distill.calibration import margin_shift
from uniopd_mm.distill.choices import Direction, Scope
from uniopd_mm.distill.evidence import StepSamples, Supervision
from uniopd_mm.distill.segments import ranks, units_of
from uniopd_mm.types import UserError

Values = dict[str, float | None]  # None where a value is undefined
Record = TypeVar("Record", StepSamples, Supervision)

# After a shift a margin equals delta up to rounding; a smaller gap is no violation [nats].
_ROUNDING = 1e-9

_COUNTS = ("tokens", "agreement_tokens")  # sums that others are divided by
_RENAMED = {"mismatch": "mismatch_kl", "agreement": "top1_agreement"}  # of sums, in metrics


def describe(
    samples: StepSamples, supervision: Supervision, sums: Mapping[str, Tensor], *, statistic: str, delta: float
) -> dict[str, float]:
    """Metrics of one step, then of its parts as `domain/<domain>/<name>` and `teacher/<teacher>/<name>`.

    Undefined metrics are left out: an accuracy without a known outcome, an order consistency without a pair. The order
    of the samples does not matter.

    Args:
        samples, supervision: of all processes, N samples.
        sums: f64[N] over each sample's tokens in the loss: `tokens` (their number), `entropy`, `clipped`, `gated`,
            `ratio`, `divergence`, `mismatch` (k3 between rollout engine and trainer), and `agreement` (student and
            teacher prefer the same token) out of `agreement_tokens`. Metrics of missing sums are left out. An objective
            may add others: each becomes a metric of its name, a mean per token.
        statistic, delta: how a margin is computed, and the value it must reach. Margins here are per group, whatever
            the scope of calibration.

    Raises:
        ValueError: unknown statistic, delta negative or not finite.
        UserError: a sum has the name of another metric.
    """
    step = _Part(samples=samples, supervision=supervision, sums=sums)
    num_tokens = int(samples.lengths.sum())
    parts = {"": step, **_parts(step, "domain", samples.domains), **_parts(step, "teacher", samples.teachers)}
    return {
        f"{prefix}{name}": value
        for prefix, part in parts.items()
        for name, value in {
            **_values(part, statistic, delta),
            **({"token_share": _quotient(part.samples.lengths, num_tokens)} if prefix else {}),
        }.items()
        if value is not None
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """A subset of a step's samples, with their supervision and sums."""

    samples: StepSamples
    supervision: Supervision
    sums: Mapping[str, Tensor]


def _parts(step: _Part, kind: str, names: Sequence[str | None]) -> dict[str, _Part]:
    """The samples of each name by metric prefix. `names` has one entry per sample; None belongs to no part."""
    chosen = {name: torch.tensor([entry == name for entry in names]) for name in set(names) if name is not None}
    return {
        f"{kind}/{name}/": _Part(
            samples=_rows(step.samples, chosen[name]),
            supervision=_rows(step.supervision, chosen[name]),
            sums={key: column[chosen[name]] for key, column in step.sums.items()},
        )
        for name in sorted(chosen)
    }


def _rows(record: Record, chosen: Tensor) -> Record:
    columns = {field.name: getattr(record, field.name) for field in fields(record)}
    rows: dict[str, Any] = {
        name: column[chosen] if isinstance(column, Tensor) else tuple(compress(column, chosen.tolist()))
        for name, column in columns.items()
    }
    return replace(record, **rows)


def _values(part: _Part, statistic: str, delta: float) -> Values:
    measured = {
        **_prompts(part.samples),
        **_outcomes(part.samples),
        **_divergence(part.samples),
        **_order(part.samples),
        **_violations(part.samples, part.supervision, statistic, delta),
        **_selection(part.samples, part.supervision),
    }
    check_names(part.sums, {*measured, "token_share", *_RENAMED.values()})
    return {**measured, **_per_token(part.sums)}


def check_names(names: Iterable[str], taken: Collection[str]) -> None:
    """Raises UserError for a sum of an objective whose name is taken, or reads like that of a domain or teacher."""
    for name in names:
        if name in taken or "/" in name:
            why = "is a metric of every run" if name in taken else "contains a /"
            raise UserError(f"recipe.objective: its loss returns sums named {name!r}, which {why}; rename them")


def _prompts(samples: StepSamples) -> Values:
    """Prompts and their tokens, each counted once whatever the number of rollouts."""
    groups, num_groups = units_of(samples.group_ids, Scope.GROUP)
    longest = torch.zeros(num_groups, dtype=torch.int64).scatter_reduce(0, groups, samples.prompt_lengths, "amax")
    return {"prompts": num_groups, "prompt_tokens": int(longest.sum())}


def _outcomes(samples: StepSamples) -> Values:
    """Metrics of the student's responses. `mixed_prompts` is a share of the prompts with a known outcome."""
    known = samples.correct | samples.incorrect
    num_samples = len(known)
    has_correct, has_incorrect = _groups_with(samples.correct, samples), _groups_with(samples.incorrect, samples)
    return {
        "accuracy": _mean(samples.correct, known),
        "reward": _mean(samples.outcome_rewards, known),
        "response_length": _quotient(samples.lengths, num_samples),
        "response_tokens": int(samples.lengths.sum()),
        "truncated": _quotient(samples.truncated, num_samples),
        "unknown_outcomes": int((~known).sum()),
        "teacher_failures": int(samples.failed.sum()),
        "mixed_prompts": _mean(has_correct & has_incorrect, has_correct | has_incorrect),
    }


def _divergence(samples: StepSamples) -> Values:
    """Reverse KL per token estimated on the sampled tokens, without those of teacher probability 0: k1 = -log r and k3
    = r - 1 - log r with r = pi_T / pi_old. k3 is over samples for which it estimates a KL (see `StepSamples`)."""
    tokens = (samples.lengths - samples.ruled_out).masked_fill(~samples.scored, 0)
    # A distribution over a vocabulary has an entropy above zero. Exactly zero means that the teacher reports none.
    has_entropy = samples.teacher_entropy != 0
    asked = samples.scored | (samples.ruled_out > 0)
    return {
        "reverse_kl": _quotient(samples.reverse_kl, tokens),
        "reverse_kl_k3": _quotient(samples.reverse_kl_k3, tokens.masked_fill(~samples.normalized, 0)),
        "ruled_out_tokens": int(samples.ruled_out.sum()) if asked.any() else None,
        "teacher_entropy": _quotient(samples.teacher_entropy, tokens.masked_fill(~has_entropy, 0)),
    }


def _order(samples: StepSamples) -> Values:
    """Shares of pairs (correct, incorrect) whose returns are in the right order.

    `order_consistency` counts G(tau+) >= G(tau-) within a group. `auc` is the area under the ROC curve of G over all
    pairs, P(G+ > G-) + P(G+ = G-) / 2 (Mann and Whitney).
    """
    compared = _compared(samples)
    returns, correct = samples.returns[compared], samples.correct[compared]
    groups, num_groups = units_of(samples.group_ids[compared], Scope.GROUP)
    step, one = units_of(samples.group_ids[compared], Scope.BATCH)
    num_correct = torch.bincount(groups[correct], minlength=num_groups)
    num_incorrect = torch.bincount(groups[~correct], minlength=num_groups)
    above = _pairs_won(returns, correct, step, one, ties=False)
    not_below = _pairs_won(returns, correct, step, one, ties=True)
    return {
        "order_consistency": _quotient(
            _pairs_won(returns, correct, groups, num_groups, ties=True), num_correct * num_incorrect
        ),
        "auc": _quotient((above + not_below) / 2, num_correct.sum() * num_incorrect.sum()),
    }


def _pairs_won(returns: Tensor, correct: Tensor, units: Tensor, num_units: int, *, ties: bool) -> Tensor:
    """Number of pairs (correct, incorrect) of a unit in which the correct sample has the higher return or, with `ties`,
    an equal one.

    It is the sum of the correct samples' ranks minus the sum of their ranks among themselves. Example: a correct sample
    with return 3 and incorrect ones with 1 and 2. Its rank is 2, alone it would be 0, so 2 pairs are won.
    """
    order = (correct if ties else ~correct).long().argsort(stable=True)  # among equals, the first ranks lower
    places = torch.empty_like(order)
    places[order] = ranks(returns[order], units[order], num_units)
    num_correct = torch.bincount(units[correct], minlength=num_units)
    return places[correct].sum() - (num_correct * (num_correct - 1) // 2).sum()


def _violations(samples: StepSamples, supervision: Supervision, statistic: str, delta: float) -> Values:
    """Shares of the groups with a margin that miss delta, before and after calibration. A group that a mask leaves with
    a single class no longer counts as a violation."""
    compared = _compared(samples)
    has_margin = _groups_with(samples.correct & compared, samples) & _groups_with(samples.incorrect & compared, samples)
    calibrated = replace(samples, returns=samples.returns + supervision.shift)
    before = _missing(samples, compared, statistic, delta)
    after = _missing(calibrated, compared & supervision.representative, statistic, delta)
    return {"margin_violations": _mean(before, has_margin), "margin_violations_after": _mean(after, has_margin)}


def _missing(samples: StepSamples, included: Tensor, statistic: str, delta: float) -> Tensor:
    """Whether each group misses the margin over the samples in `included` bool[N]: bool[U]. True where calibration
    would shift it."""
    shift = margin_shift(
        samples.returns,
        samples.correct & included,
        samples.incorrect & included,
        samples.group_ids,
        scope=Scope.GROUP,
        statistic=statistic,
        direction=Direction.CORRECT_UP,
        delta=delta,
    )
    return _groups_with(shift > _ROUNDING, samples)


def _selection(samples: StepSamples, supervision: Supervision) -> Values:
    """How much of the step the student learns from.

    `effective_samples` is Kish's (sum w)^2 / sum w^2; for weights 0 and 1 it is the number of samples with a token in
    the update. `dropped` is a share of the samples of known outcome, `shifted` a share of those with a return and a
    known outcome. `shift` is the mean |shift| over shifted samples [nats per token].
    """
    usable = ~samples.failed & (samples.lengths > 0)
    compared, moved = _compared(samples), supervision.shift != 0
    return {
        "effective_samples": int((usable & supervision.kept).sum()),
        "dropped": _mean(~supervision.kept, usable & (samples.correct | samples.incorrect)),
        "shifted": _mean(moved, compared),
        "shift": _mean(supervision.shift.abs(), moved & compared),
    }


def _per_token(sums: Mapping[str, Tensor]) -> Values:
    """The mean of each sum over the tokens in the loss, or over those compared."""
    return {
        _RENAMED.get(name, name): _quotient(values, sums["agreement_tokens" if name == "agreement" else "tokens"])
        for name, values in sums.items()
        if name not in _COUNTS
    }


def _compared(samples: StepSamples) -> Tensor:
    """Samples with a return and a known outcome, bool[N]."""
    return samples.scored & (samples.correct | samples.incorrect)


def _groups_with(members: Tensor, samples: StepSamples) -> Tensor:
    """Whether each prompt group contains any of `members` bool[N]: bool[U]."""
    units, num_units = units_of(samples.group_ids, Scope.GROUP)
    return torch.bincount(units[members], minlength=num_units) > 0


def _mean(values: Tensor, mask: Tensor) -> float | None:
    """Mean over the entries of `mask`, which is shaped as `values`."""
    return _quotient(values.masked_fill(~mask, 0), mask)


def _quotient(part: Tensor, whole: Tensor | int) -> float | None:
    """Sum of `part` over sum of `whole`, None if the latter is 0."""
    total = _total(torch.as_tensor(whole))
    return _total(part) / total if total else None


def _total(values: Tensor) -> float:
    # Sorted, because floats add up to the same bits only in the same order.
    return values.double().flatten().sort().values.sum().item()
