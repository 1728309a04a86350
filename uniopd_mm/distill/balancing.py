"""Balancing, the student's side of the recipe: which rollouts of a batch, and how often a prompt of the corpus, count.

Online, surplus trajectories of the majority class are masked until correct and incorrect ones stand in a given ratio;
offline, prompts of medium difficulty are repeated until difficulty is spread about evenly (arXiv 2605.03677, section
3). Nothing is ever filtered away for being too easy or too hard. Leaves out how pass rates are measured.
"""

import torch
from torch import Tensor

from uniopd_mm.distill.segments import check_outcomes, ranks, units_of


def balance_outcomes(
    correct: Tensor,
    incorrect: Tensor,
    group_ids: Tensor,
    *,
    scope: str,
    ratio: float,
    generator: torch.Generator,
) -> Tensor:
    """bool[N], False for randomly chosen surplus samples of the class that is too many, in each unit with both classes.

    With surplus correct samples int(num_incorrect * ratio) of them stay, with surplus incorrect ones
    int(num_correct / ratio), in either case only if that is at least 1. Ratio 0 keeps only incorrect ones, infinity
    only correct ones. A sample with neither flag is always kept and counts in neither class. Five correct and two
    incorrect samples: ratio 1 keeps 2 and 2, ratio 1.5 keeps 3 and 2, ratio 4 keeps 5 and int(5 / 4) = 1.

    Args:
        correct, incorrect: bool[N], at most one of them set.
        group_ids: i64[N], which prompt a sample answers.
        scope: a `Scope`.
        ratio: correct samples for each incorrect one, 0 to infinity.
        generator: gives one number for each sample, in order of the batch: its state and that order decide alone.

    Raises:
        ValueError: unknown scope, ratio negative or NaN, shapes that disagree, a sample with both flags.
    """
    if not ratio >= 0:
        raise ValueError(f"ratio={ratio} must be 0 or more: correct samples for each incorrect one")
    check_outcomes(correct, incorrect, group_ids)
    units, num_units = units_of(group_ids, scope)
    drawn = torch.rand(len(units), generator=generator, dtype=torch.float64, device=generator.device).to(units.device)
    # A unit's classes side by side: 3 u for unknown outcomes, 3 u + 1 for incorrect, 3 u + 2 for correct samples.
    classes = 3 * units + incorrect + 2 * correct
    counts = torch.bincount(classes, minlength=3 * num_units).view(num_units, 3)
    return ranks(drawn, classes, 3 * num_units) < _num_kept(counts, ratio).view(-1)[classes]


def _num_kept(counts: Tensor, ratio: float) -> Tensor:
    """How many of each unit's unknown, incorrect and correct samples stay, from how many there are: i64[U, 3]."""
    num_unknown, num_incorrect, num_correct = counts.unbind(-1)
    if ratio == 0:
        wanted_correct, wanted_incorrect = torch.zeros_like(num_correct), num_incorrect
    elif ratio == float("inf"):
        wanted_correct, wanted_incorrect = num_correct, torch.zeros_like(num_incorrect)
    else:
        wanted_correct = _at_most(num_incorrect.double() * ratio, num_correct)
        # At most one class loses: i * ratio < c means c / ratio > i, and rounding to float64 keeps the order.
        wanted_incorrect = _at_most(num_correct.double() / ratio, num_incorrect)
    has_both = (num_correct > 0) & (num_incorrect > 0)
    kept_incorrect = torch.where(has_both, wanted_incorrect, num_incorrect)
    kept_correct = torch.where(has_both, wanted_correct, num_correct)
    return torch.stack([num_unknown, kept_incorrect, kept_correct], dim=-1)


def _at_most(wanted: Tensor, available: Tensor) -> Tensor:
    """i64[U]: `wanted` rounded down, but not more than there are; all of them where less than one is wanted."""
    # Compared as floats: a ratio near 0 or infinity asks for more than an int64 holds.
    return torch.where(wanted < 1, available, wanted.minimum(available.double()).long())


def balance_difficulty(pass_rates: Tensor, *, num_bins: int, max_repeat: int) -> Tensor:
    """How often each prompt of a corpus is to be used, i64[P], 1 at least, so that medium difficulty is not rare.

    Pass rates strictly between 0 and 1 fall into `num_bins` bins of equal width, closed on the left. Each of these is
    raised to the count of the fullest bin, as far as `max_repeat` uses of one prompt allow; the surplus goes round the
    bin's prompts in order, so that they differ by one at most. Pass rates of exactly 0 and exactly 1 have a bin of
    their own each: it counts for the fullest, since a corpus mostly piles up there, but it is never raised, because
    responses that all fail, or all succeed, show no difference between outcomes to learn from. None is removed.

        pass_rates = [0, 0, 0, 0, 0, 0.2, 0.6, 0.9, 1]  with num_bins 2, max_repeat 3: bins of 5 | 1, 2 | 1 prompts
        repeats    = [1, 1, 1, 1, 1, 3,   3,   2,   1]  5 | 3 (held by max_repeat), 5 | 1

    Args:
        pass_rates: [P] in [0, 1], the initial student's share of correct rollouts.

    Raises:
        ValueError: a pass rate that is NaN or out of range, num_bins or max_repeat below 1.
    """
    _check_difficulty(pass_rates, num_bins, max_repeat)
    bins = difficulty_bins(pass_rates.double(), num_bins)
    counts = torch.bincount(bins, minlength=num_bins + 2)
    totals = (counts * max_repeat).clamp(max=int(counts.max()))
    totals[[0, -1]] = counts[[0, -1]]
    share, surplus = totals // counts.clamp(min=1), totals % counts.clamp(min=1)
    return share[bins] + (ranks(torch.zeros_like(bins), bins, num_bins + 2) < surplus[bins])


def difficulty_bins(pass_rates: Tensor, num_bins: int) -> Tensor:
    """i64[P]: 0 for pass rate 0, 1..num_bins in between, num_bins + 1 for pass rate 1."""
    # A rate on an edge may have been rounded to just below it (0.7 in float32): it belongs to the bin above.
    inner = (pass_rates * num_bins + 1e-6).long().clamp(max=num_bins - 1) + 1
    return inner.masked_fill(pass_rates == 0, 0).masked_fill(pass_rates == 1, num_bins + 1)


def _check_difficulty(pass_rates: Tensor, num_bins: int, max_repeat: int) -> None:
    for name, value in (("num_bins", num_bins), ("max_repeat", max_repeat)):
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    if len(bad := (~((pass_rates >= 0) & (pass_rates <= 1))).nonzero()):
        prompt = int(bad[0])
        raise ValueError(
            f"pass_rates={pass_rates[prompt].item():g} at prompt {prompt} must be between 0 and 1: "
            f"measure it, or leave the prompt out"
        )
