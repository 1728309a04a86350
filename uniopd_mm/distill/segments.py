"""Samples that count together: the unit a statistic is taken over, and order within it, without loops over units.

Legend: N samples, U units, K places. A unit is a prompt group or the whole batch; its samples need not be adjacent.
Leaves out what is computed from them: see `calibration` and `balancing`.
"""

import torch
from torch import Tensor

from uniopd_mm.distill.choices import Scope


def units_of(group_ids: Tensor, scope: str) -> tuple[Tensor, int]:
    """Unit of each sample, i64[N] in 0..U-1, and U. Group ids are any int64: [7, -1, 7] makes units [1, 0, 1] of two
    groups, [0, 0, 0] of the one batch."""
    if Scope(scope) is Scope.BATCH:
        return torch.zeros_like(group_ids, dtype=torch.int64), min(len(group_ids), 1)
    ids, units = torch.unique(group_ids, return_inverse=True)
    return units, len(ids)


def check_outcomes(correct: Tensor, incorrect: Tensor, group_ids: Tensor) -> None:
    """Flags bool[N] of which at most one is set, and group ids i64[N].

    Raises:
        ValueError: shapes disagree, or a sample has both flags.
    """
    for name, array in (("incorrect", incorrect), ("group_ids", group_ids)):
        check_shape(name, array, "correct", correct)
    if len(twice := (correct & incorrect).nonzero()):
        raise ValueError(
            f"correct and incorrect are both True at sample {int(twice[0])}: set one, or neither if it is unknown"
        )


def check_shape(name: str, array: Tensor, other_name: str, other: Tensor) -> None:
    """Both have one entry for each sample.

    Raises:
        ValueError: they have not.
    """
    if array.shape != other.shape:
        raise ValueError(
            f"{name} has shape {list(array.shape)} and {other_name} {list(other.shape)}: give both one entry a sample"
        )


def ranks(values: Tensor, units: Tensor, num_units: int) -> Tensor:
    """Place of each value within its unit, i64[N]; the smallest has 0, and of equal ones the first in the batch.

    Values [5, 3, 4, 1] of units [0, 1, 0, 1] have ranks [1, 1, 0, 0].
    """
    order = values.argsort(stable=True)
    order = order[units[order].argsort(stable=True)]
    counts = torch.bincount(units, minlength=num_units)
    first = counts.cumsum(0) - counts
    place = torch.arange(len(units), device=units.device) - first[units[order]]
    return torch.empty_like(place).scatter_(0, order, place)


def sorted_rows(values: Tensor, members: Tensor, units: Tensor, num_units: int) -> tuple[Tensor, Tensor]:
    """One row for each unit: the indices of its members, smallest value first, i64[U, K] with -1 in empty places, and
    how many there are, i64[U]. K is the count of the largest unit, 1 at least.

    A unit's row depends on its own samples only, which makes what is computed from it independent of the rest of the
    batch to the last bit.
    """
    chosen = members.nonzero().squeeze(-1)
    counts = torch.bincount(units[chosen], minlength=num_units)
    width = max(1, int(counts.amax())) if num_units else 1
    rows = torch.full((num_units, width), -1, device=units.device)
    rows[units[chosen], ranks(values[chosen], units[chosen], num_units)] = chosen
    return rows, counts
