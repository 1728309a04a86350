"""Balancing, the student's side of the recipe: which rollouts of a batch count, and how often each prompt is used.

Online, surplus trajectories of the majority class are masked until correct and incorrect ones are in a given ratio.
Offline, prompts of medium difficulty are repeated until difficulties are spread about evenly (arXiv 2605.03677, section
3). Prompts are never dropped for being too easy or too hard. Not here: measuring pass rates.
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
    """bool[N], False for randomly chosen surplus samples of the larger class, in each unit that has both classes.

    If correct samples are in surplus, int(num_incorrect * ratio) of them stay. If incorrect ones are, int(num_correct /
    ratio) stay. A class is left alone if fewer than 1 would stay. Ratio 0 keeps only incorrect samples, infinity only
    correct ones. A sample with neither flag is always kept and counts in neither class. Five correct and two incorrect
    samples: ratio 1 keeps 2 and 2, ratio 1.5 keeps 3 and 2, ratio 4 keeps 5 and int(5 / 4) = 1.

    Args:
        correct, incorrect: bool[N], at most one of them set.
        group_ids: i64[N], the prompt that each sample answers.
        scope: a `Scope`.
        ratio: correct samples per incorrect one, 0 to infinity.
        generator: draws one number per sample, in batch order. The result depends on its state and on that order alone.

    Raises:
        ValueError: unknown scope, negative or NaN ratio, shapes that disagree, a sample with both flags.
    """
    if not ratio >= 0:
        raise ValueError(f"ratio={ratio} must be 0 or more: correct samples per incorrect one")
    check_outcomes(correct, incorrect, group_ids)
    units, num_units = units_of(group_ids, scope)
    drawn = torch.rand(len(units), generator=generator, dtype=torch.float64, device=generator.device).to(units.device)
    # Three classes per unit: 3 u for unknown outcomes, 3 u + 1 for incorrect, 3 u + 2 for correct samples.
    classes = 3 * units + incorrect + 2 * correct
    counts = torch.bincount(classes, minlength=3 * num_units).view(num_units, 3)
    return ranks(drawn, classes, 3 * num_units) < _num_kept(counts, ratio).view(-1)[classes]


def _num_kept(counts: Tensor, ratio: float) -> Tensor:
    """How many unknown, incorrect and correct samples of each unit stay, from their counts: i64[U, 3]."""
    num_unknown, num_incorrect, num_correct = counts.unbind(-1)
    if ratio == 0:
        wanted_correct, wanted_incorrect = torch.zeros_like(num_correct), num_incorrect
    elif ratio == float("inf"):
        wanted_correct, wanted_incorrect = num_correct, torch.zeros_like(num_incorrect)
    else:
        wanted_correct = _at_most(num_incorrect.double() * ratio, num_correct)
        # At most one class shrinks: i * ratio < c means c / ratio > i, and rounding to float64 keeps the order.
        wanted_incorrect = _at_most(num_correct.double() / ratio, num_incorrect)
    has_both = (num_correct > 0) & (num_incorrect > 0)
    kept_incorrect = torch.where(has_both, wanted_incorrect, num_incorrect)
    kept_correct = torch.where(has_both, wanted_correct, num_correct)
    return torch.stack([num_unknown, kept_incorrect, kept_correct], dim=-1)


def _at_most(wanted: Tensor, available: Tensor) -> Tensor:
    """i64[U]: `wanted` rounded down, but at most `available`; all of `available` if `wanted` is below 1."""
    # Compare as floats: a ratio near 0 or infinity wants more than an int64 holds.
    return torch.where(wanted < 1, available, wanted.minimum(available.double()).long())


def balance_difficulty(pass_rates: Tensor, *, num_bins: int, max_repeat: int) -> Tensor:
    """How often to use each prompt of a corpus, i64[P], at least 1, so that medium difficulty is not rare.

    Pass rates strictly between 0 and 1 fall into `num_bins` bins of equal width, closed on the left. Each bin is raised
    to the size of the fullest one, as far as `max_repeat` uses per prompt allow. The surplus goes to the bin's prompts
    in order, so that their counts differ by at most one. Pass rates of exactly 0 and exactly 1 have bins of their own.
    They count when the fullest bin is chosen, because most of a corpus is often there. They are never raised, because
    responses that all fail or all succeed show no difference between outcomes to learn from. No prompt is removed.

        pass_rates = [0, 0, 0, 0, 0, 0.2, 0.6, 0.9, 1]  with num_bins 2, max_repeat 3: bins of 5 | 1, 2 | 1 prompts
        repeats    = [1, 1, 1, 1, 1, 3,   3,   2,   1]  5 | 3 (limited by max_repeat), 5 | 1

    Args:
        pass_rates: [P] in [0, 1], the share of rollouts that the initial student answered correctly.

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
    # A rate on an edge may have been rounded to just below it (0.7 in float32). It belongs to the bin above.
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
            f"measure it, or remove the prompt"
        )
