"""Outcome-guided margin calibration: returns are made consistent with outcomes before they become advantages.

A teacher is believed where it prefers the correct trajectories of a prompt to the incorrect ones (arXiv 2605.03677,
section 4). With G the distillation return, S+ the correct and S- the incorrect samples of a unit, the margin

    minmax: m = min_{S+} G - max_{S-} G        mean: m = mean_{S+} G - mean_{S-} G

must reach delta. Where it does not, either all samples of a class are shifted, or samples are masked. A unit without
both classes has no margin and is left alone. A sample with neither flag (unknown outcome, failed teacher) counts in no
statistic, gets no shift and is always kept. Leaves out the choice between shift and mask, and gathering over ranks.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from uniopd_mm.distill.choices import Direction, Scope, Statistic
from uniopd_mm.distill.segments import check_outcomes, check_shape, sorted_rows, units_of

# Share of the missing margin that correct samples go up and incorrect ones go down.
SHARES = {Direction.CORRECT_UP: (1.0, 0.0), Direction.INCORRECT_DOWN: (0.0, 1.0), Direction.BOTH: (0.5, 0.5)}


def distillation_return(token_rewards: Tensor, mask: Tensor) -> Tensor:
    """G [N] of token rewards [N, R]: the mean over the tokens of `mask` bool[N, R], 0 for a sample without any.

    f32, f64 of f64 rewards. What stands outside the mask never matters, be it NaN or infinite.
    """
    # A sum in the rewards' own precision and an int32 count: both take a CPU a tenth of the time of the wider types,
    # which are converted as a whole first. torch sums in a tree, so the error does not grow with the length.
    dtype = torch.promote_types(token_rewards.dtype, torch.float32)
    total = torch.where(mask, token_rewards, 0).sum(-1, dtype=dtype)
    return total / mask.sum(-1, dtype=torch.int32).clamp(min=1)


def margin_shift(
    returns: Tensor,
    correct: Tensor,
    incorrect: Tensor,
    group_ids: Tensor,
    *,
    scope: str,
    statistic: str,
    direction: str,
    delta: float,
) -> Tensor:
    """What to add to every token reward of a sample so that each unit's margin reaches delta, shaped as returns [N].

    With s = delta - m where m < delta: `correct_up` gives +s to correct samples, `incorrect_down` -s to incorrect
    ones, `both` +s/2 and -s/2. Returns [0.1, 0.3] of a correct and an incorrect sample have m = -0.2; for delta 0.4
    s = 0.6, and `both` gives [0.3, -0.3]: 0.4 and 0.0.

    Args:
        returns: [N] distillation returns; entries of samples without a flag are not read.
        correct, incorrect: bool[N], at most one of them set.
        group_ids: i64[N], which prompt a sample answers.
        scope, statistic, direction: a `Scope`, a `Statistic`, a `Direction`.

    Raises:
        ValueError: unknown option, delta negative or not finite, shapes that disagree, a sample with both flags, a
            return of a flagged sample that is not finite.
    """
    up, down = SHARES[Direction(direction)]
    _check(returns, correct, incorrect, group_ids, delta)
    units, num_units = units_of(group_ids, scope)
    margin, has_both = _margins(_sides(returns, correct, incorrect, units, num_units, statistic))
    missing = (delta - margin).clamp(min=0).masked_fill(~has_both, 0)
    return missing[units].to(returns.dtype) * (up * correct - down * incorrect)


def group_mask(
    returns: Tensor, correct: Tensor, incorrect: Tensor, group_ids: Tensor, *, statistic: str, delta: float
) -> Tensor:
    """bool[N], False for every sample of known outcome in a prompt group whose margin is below delta.

    Arguments and errors as in `margin_shift`.
    """
    _check(returns, correct, incorrect, group_ids, delta)
    units, num_units = units_of(group_ids, Scope.GROUP)
    margin, has_both = _margins(_sides(returns, correct, incorrect, units, num_units, statistic))
    violating = has_both & (margin < delta)
    return ~(violating[units] & (correct | incorrect))


def margin_mask(
    returns: Tensor,
    correct: Tensor,
    incorrect: Tensor,
    group_ids: Tensor,
    *,
    scope: str,
    statistic: str,
    delta: float,
    min_retain_ratio: float,
) -> Tensor:
    """bool[N], False for the samples a greedy choice drops until each unit's margin reaches delta.

    While m < delta, the lowest-return correct or the highest-return incorrect sample is dropped, whichever leaves the
    larger margin; a tie drops the correct one, and of equal returns the first in the batch. A class of n samples keeps
    max(1, int(n * min_retain_ratio)). It ends early where no drop enlarges the margin. Correct [1, 4] against
    incorrect [2, 3] has a minmax margin of 1 - 3; dropping 1 leaves 4 - 3, dropping 3 only 1 - 2: the 1 goes.

    Arguments and errors as in `margin_shift`; besides, min_retain_ratio outside [0, 1] raises ValueError.
    """
    if not 0 <= min_retain_ratio <= 1:
        raise ValueError(f"min_retain_ratio={min_retain_ratio} must be between 0 and 1")
    _check(returns, correct, incorrect, group_ids, delta)
    units, num_units = units_of(group_ids, scope)
    sides = _sides(returns, correct, incorrect, units, num_units, statistic)
    keep = torch.ones_like(correct)
    keep[_greedily_dropped(sides, delta, min_retain_ratio)] = False
    return keep


@dataclass(frozen=True, kw_only=True, slots=True)
class _Side:
    """One class of every unit, in the order its samples would be dropped: lowest first. Incorrect samples stand with
    the sign of their return changed, so that both classes look alike and a margin is the sum of both levels.

    samples: i64[U, K] indices, -1 in empty places. counts: i64[U]. levels: f64[U, K], the statistic of place k and all
    after it. gains: f64[U, K], by how much dropping place k raises it; 0 for the last.
    """

    samples: Tensor
    counts: Tensor
    levels: Tensor
    gains: Tensor


def _sides(
    returns: Tensor, correct: Tensor, incorrect: Tensor, units: Tensor, num_units: int, statistic: str
) -> tuple[_Side, _Side]:
    """The correct and the incorrect class."""
    chosen = Statistic(statistic)
    values = returns.double()
    return _side(values, correct, units, num_units, chosen), _side(-values, incorrect, units, num_units, chosen)


def _side(values: Tensor, members: Tensor, units: Tensor, num_units: int, statistic: Statistic) -> _Side:
    samples, counts = sorted_rows(values, members, units, num_units)
    present = samples >= 0
    rows = values[samples.clamp(min=0)].masked_fill(~present, 0)
    gaps = torch.zeros_like(rows)
    gaps[:, :-1] = rows.diff(dim=-1).masked_fill(~present[:, 1:], 0)
    if statistic is Statistic.MINMAX:
        return _Side(samples=samples, counts=counts, levels=rows, gains=gaps)
    left = (counts[:, None] - torch.arange(rows.shape[1], device=rows.device)).clamp(min=1)
    levels = _sum_from(rows) / left
    # The mean M of k values rises by (M - x) / (k - 1) without x, the least: that is sum_j (x_j - x) / (k (k - 1)).
    # Summed from gaps between neighbours it is exactly 0 for equal values, and not a rounding error that looks like a
    # gain. The gap after place j is in all of the left_j - 1 differences of later places.
    gains = _sum_from(gaps * (left - 1)) / (left * (left - 1)).clamp(min=1)
    return _Side(samples=samples, counts=counts, levels=levels, gains=gains)


def _sum_from(rows: Tensor) -> Tensor:
    """[U, K]: entry k is the sum of entries k, k+1, ..."""
    return rows.flip(-1).cumsum(-1).flip(-1)


def _margins(sides: tuple[_Side, _Side]) -> tuple[Tensor, Tensor]:
    """Margin f64[U] of whole units, and bool[U], whether there is one."""
    correct, incorrect = sides
    return correct.levels[:, 0] + incorrect.levels[:, 0], (correct.counts > 0) & (incorrect.counts > 0)


def _greedily_dropped(sides: tuple[_Side, _Side], delta: float, min_retain_ratio: float) -> Tensor:
    """Indices of the dropped samples, i64[D].

    What a drop gains depends on its own side alone, so the greedy choice merges two queues by the gains at their
    heads, and a small gain holds back the larger ones behind it. That merge is a sort by the running minimum of gains
    of either queue. For heads a, b with gains g and running minima p: if g_a >= g_b, then p_a = g_a >= p_b, or p_a is
    the minimum before a, which was sorted ahead of b and hence is >= p_b. A stable sort of correct before incorrect
    breaks ties as wanted.
    """
    correct, incorrect = sides
    _, has_both = _margins(sides)
    keys = torch.cat([_running_minima(side, min_retain_ratio) for side in sides], dim=-1)
    keys, order = keys.masked_fill(~has_both[:, None], 0).sort(dim=-1, descending=True, stable=True)
    takes_correct = order < correct.samples.shape[1]
    margin = _level_after(correct, takes_correct) + _level_after(incorrect, ~takes_correct)
    # Rounding may lower a margin in the last digit, but what has ended does not go on: hence the running maximum.
    dropped = (keys > 0) & (margin.cummax(dim=-1).values < delta)
    return torch.cat([correct.samples, incorrect.samples], dim=-1).gather(-1, order)[dropped]


def _running_minima(side: _Side, min_retain_ratio: float) -> Tensor:
    """f64[U, K]: the least gain up to place k; 0 from where no drop is allowed, or none gains, onwards."""
    floor = (side.counts.double() * min_retain_ratio).long().clamp(min=1)
    place = torch.arange(side.gains.shape[1], device=side.gains.device)
    allowed = place < (side.counts - floor)[:, None]
    return side.gains.masked_fill(~allowed, 0).cummin(dim=-1).values


def _level_after(side: _Side, takes: Tensor) -> Tensor:
    """f64[U, D]: the side's level before each drop of a sequence, of which those in `takes` bool[U, D] are its own."""
    num_dropped = takes.cumsum(-1) - takes.long()
    return side.levels.gather(-1, num_dropped.clamp(max=side.levels.shape[1] - 1))


def _check(returns: Tensor, correct: Tensor, incorrect: Tensor, group_ids: Tensor, delta: float) -> None:
    if not 0 <= delta < math.inf:
        raise ValueError(f"delta={delta} must be 0 or a positive number")
    check_shape("returns", returns, "correct", correct)
    check_outcomes(correct, incorrect, group_ids)
    if len(bad := ((correct | incorrect) & ~returns.isfinite()).nonzero()):
        sample = int(bad[0])
        raise ValueError(
            f"returns={returns[sample].item()} at sample {sample} must be finite: clip its token rewards, or clear its "
            f"flag in correct and incorrect"
        )
