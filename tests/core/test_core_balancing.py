"""Balancing by outcome and by difficulty: counts by hand and by the integer rule, and what must never be touched."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniopd_mm.distill.balancing import balance_difficulty, balance_outcomes
from uniopd_mm.distill.choices import Scope

Row = tuple[bool | None, int]  # outcome, group id

SCOPES = list(Scope)
ROWS = st.lists(st.tuples(st.sampled_from([True, False, None]), st.sampled_from([-7, 2**62, 5])), max_size=30)
FINITE = st.one_of(st.sampled_from([0.5, 0.75, 1.0, 1.2, 1.5, 2.0, 0.29, 1 / 3, 5e-324, 1e308]), st.floats(0.01, 50))
RATIOS = st.one_of(FINITE, st.sampled_from([0.0, math.inf]))


def flags(rows: list[Row]) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.tensor([outcome is True for outcome, _ in rows], dtype=torch.bool),
        torch.tensor([outcome is False for outcome, _ in rows], dtype=torch.bool),
        torch.tensor([group for _, group in rows], dtype=torch.int64),
    )


def balanced(rows: list[Row], scope: str, ratio: float, seed: int = 0) -> list[bool]:
    generator = torch.Generator().manual_seed(seed)
    return balance_outcomes(*flags(rows), scope=scope, ratio=ratio, generator=generator).tolist()


def kept_counts(rows: list[Row], keep: list[bool], scope: str) -> dict[int | None, Counter[bool | None]]:
    counts: dict[int | None, Counter[bool | None]] = {}
    for (outcome, group), kept in zip(rows, keep, strict=True):
        counts.setdefault(group if scope == "group" else None, Counter())[outcome] += kept
    return counts


def published_rule(num_correct: int, num_incorrect: int, ratio: float) -> tuple[int, int]:
    """How many of either class stay. A whole number exceeds x where it exceeds int(x), which may overflow."""
    if not (num_correct and num_incorrect):
        return num_correct, num_incorrect
    if ratio in (0, math.inf):
        return (0, num_incorrect) if ratio == 0 else (num_correct, 0)
    if 1 <= num_incorrect * ratio < num_correct:
        return int(num_incorrect * ratio), num_incorrect
    if 1 <= num_correct / ratio < num_incorrect:
        return num_correct, int(num_correct / ratio)
    return num_correct, num_incorrect


@settings(max_examples=400, deadline=None)
@given(ROWS, st.sampled_from(SCOPES), RATIOS, st.integers(0, 99))
def test_counts_follow_the_published_rule(rows: list[Row], scope: str, ratio: float, seed: int) -> None:
    keep = balanced(rows, scope, ratio, seed)
    before, after = (kept_counts(rows, marks, scope) for marks in ([True] * len(rows), keep))
    for unit, had in before.items():
        assert (after[unit][True], after[unit][False]) == published_rule(had[True], had[False], ratio)
        assert after[unit][None] == had[None]
    assert keep == balanced(rows, scope, ratio, seed)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.sampled_from(SCOPES), FINITE)
def test_the_ratio_is_met_as_nearly_as_whole_samples_allow(rows: list[Row], scope: str, ratio: float) -> None:
    before = kept_counts(rows, [True] * len(rows), scope)
    for unit, counts in kept_counts(rows, balanced(rows, scope, ratio), scope).items():
        correct, incorrect = counts[True], counts[False]
        if correct < before[unit][True]:
            assert correct <= incorrect * ratio < correct + 1
        if incorrect < before[unit][False]:
            assert incorrect <= correct / ratio < incorrect + 1


@settings(max_examples=100, deadline=None)
@given(st.data(), ROWS, st.sampled_from(SCOPES), RATIOS)
def test_the_order_of_samples_does_not_change_the_counts(
    data: st.DataObject, rows: list[Row], scope: str, ratio: float
) -> None:
    shuffled = data.draw(st.permutations(rows))
    counts = [kept_counts(batch, balanced(batch, scope, ratio), scope) for batch in (rows, shuffled)]
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("correct", "incorrect", "ratio", "kept"),
    [
        (5, 2, 1.0, (2, 2)),
        (5, 2, 1.5, (3, 2)),
        (5, 2, 4.0, (5, 1)),  # 5 / 4
        (2, 5, 0.75, (2, 2)),  # 2 / 0.75 = 2.67
        (3, 1, 0.5, (3, 1)),  # half a correct sample: left whole
        (1, 3, 2.0, (1, 3)),  # half an incorrect one
        (5, 2, 0.0, (0, 2)),
        (5, 2, math.inf, (5, 0)),
        (5, 0, 0.0, (5, 0)),
        (0, 2, math.inf, (0, 2)),
        (5, 0, 1.0, (5, 0)),
    ],
)
@pytest.mark.parametrize("scope", SCOPES)
def test_counts_by_hand(correct: int, incorrect: int, ratio: float, kept: tuple[int, int], scope: str) -> None:
    rows: list[Row] = [*[(True, 3)] * correct, *[(False, 3)] * incorrect, (None, 3)]
    counts = kept_counts(rows, balanced(rows, scope, ratio), scope).popitem()[1]
    assert (counts[True], counts[False], counts[None]) == (*kept, 1)


def test_the_scope_says_what_is_balanced() -> None:
    """Two correct, then two incorrect samples of two prompts: balanced as a batch, single classes as groups; and a
    group of three to one in a batch of three to three."""
    rows: list[Row] = [(True, 0), (True, 0), (True, 0), (False, 0), (False, 1), (False, 1)]
    assert sum(balanced(rows, "batch", 1.0)) == 6
    keep = balanced(rows, "group", 1.0)
    assert sum(keep[:3]) == 1 and keep[3:] == [True, True, True]


def test_surplus_samples_are_drawn_evenly() -> None:
    """Two of four stay, in one group of 500: of 500 draws each about 250 times, five standard deviations are 56."""
    rows: list[Row] = [(outcome, group) for group in range(500) for outcome in (True, False, True, True, False, True)]
    kept = torch.tensor(balanced(rows, "group", 1.0)).view(500, 6).sum(0)
    assert kept[[1, 4]].tolist() == [500, 500]
    assert (kept[[0, 2, 3, 5]] - 250).abs().max() < 56


@pytest.mark.parametrize("ratio", [0.0, 1.0, 7.0, math.inf])
def test_every_sample_takes_one_number_from_the_generator(ratio: float) -> None:
    """Whatever the outcomes: so what is drawn next does not depend on them."""
    generator, other = (torch.Generator().manual_seed(3) for _ in range(2))
    rows: list[Row] = [(True, 0), (None, 1), (False, 0), (True, 0)]
    balance_outcomes(*flags(rows), scope="group", ratio=ratio, generator=generator)
    torch.rand(4, generator=other, dtype=torch.float64)
    assert torch.equal(generator.get_state(), other.get_state())


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"ratio": -0.5}, "ratio=-0.5 must be 0 or more"),
        ({"ratio": math.nan}, "ratio=nan must be 0 or more"),
        ({"scope": "global"}, "scope='global' must be one of group, batch"),
        ({"incorrect": torch.tensor([False, True])}, "correct and incorrect are both True at sample 1"),
        ({"incorrect": torch.tensor([False])}, r"incorrect has shape \[1\] and correct \[2\]"),
        ({"group_ids": torch.tensor([[1, 2]])}, r"group_ids has shape \[1, 2\]"),
    ],
)
def test_bad_arguments_are_refused(option: dict[str, Any], message: str) -> None:
    correct, incorrect, group_ids = flags([(False, 0), (True, 0)])
    named = {"correct": correct, "incorrect": incorrect, "group_ids": group_ids, "scope": "group", "ratio": 1.0}
    with pytest.raises(ValueError, match=message):
        balance_outcomes(**{**named, **option}, generator=torch.Generator())


# Of k rollouts; float32, which is what pass rates read from a file become, on and beside the edges of bins.
RATES = st.integers(1, 16).flatmap(lambda k: st.lists(st.integers(0, k).map(lambda n: n / k), max_size=40))


def histogram(rates: list[float], repeats: list[int], num_bins: int) -> tuple[list[int], list[int], int]:
    """Uses of prompts in each inner bin, and prompts there; the count of the fullest bin, edges included."""
    uses, prompts = [0] * num_bins, [0] * num_bins
    for rate, repeat in zip(rates, repeats, strict=True):
        if 0 < rate < 1:
            uses[_bin(rate, num_bins)] += repeat
            prompts[_bin(rate, num_bins)] += 1
    return uses, prompts, max(*prompts, rates.count(0), rates.count(1), 0)


def repeated(rates: list[float], num_bins: int, max_repeat: int) -> list[int]:
    repeats = balance_difficulty(torch.tensor(rates), num_bins=num_bins, max_repeat=max_repeat)
    assert repeats.dtype == torch.int64
    return repeats.tolist()


@settings(max_examples=300, deadline=None)
@given(RATES, st.integers(1, 10), st.integers(1, 5))
def test_medium_difficulty_is_raised_toward_the_fullest_bin(rates: list[float], num_bins: int, max_repeat: int) -> None:
    repeats = repeated(rates, num_bins, max_repeat)
    assert all(1 <= repeat <= max_repeat for repeat in repeats)
    assert all(repeat == 1 for rate, repeat in zip(rates, repeats, strict=True) if rate in (0, 1))
    uses, prompts, fullest = histogram(rates, repeats, num_bins)
    assert uses == [min(fullest, count * max_repeat) for count in prompts]
    filled = [(use, count) for use, count in zip(uses, prompts, strict=True) if count]
    assert not filled or max(u for u, _ in filled) - min(u for u, _ in filled) <= fullest - min(c for _, c in filled)
    for index in range(num_bins):
        members = [r for rate, r in zip(rates, repeats, strict=True) if 0 < rate < 1 and _bin(rate, num_bins) == index]
        assert not members or max(members) - min(members) <= 1
        assert members == sorted(members, reverse=True)


def _bin(rate: float, num_bins: int) -> int:
    return int(rate * num_bins + 1e-6)


@settings(max_examples=100, deadline=None)
@given(RATES, st.integers(1, 10), st.integers(1, 5))
def test_more_repeats_are_never_fewer_and_rarer_difficulty_is_not_repeated_less(
    rates: list[float], num_bins: int, max_repeat: int
) -> None:
    repeats = repeated(rates, num_bins, max_repeat)
    assert all(more >= r for more, r in zip(repeated(rates, num_bins, max_repeat + 1), repeats, strict=True))
    uses, prompts, _ = histogram(rates, repeats, num_bins)
    by_rarity = sorted((count, use / count) for use, count in zip(uses, prompts, strict=True) if count)
    shares = [share for _, share in by_rarity]
    assert shares == sorted(shares, reverse=True)


def test_a_mirrored_j_by_hand() -> None:
    """Bins of 5 all-wrong | 1, 2 | 1 all-right prompts, at most three uses of each: the 5 set the height."""
    assert repeated([0, 0, 0.2, 0.6, 0, 0.9, 1, 0, 0], 2, 3) == [1, 1, 3, 3, 1, 2, 1, 1, 1]


def test_a_rate_on_an_edge_belongs_to_the_bin_above() -> None:
    """0.7 in float32 is a little less than 0.7: still the bin of 0.75, of two prompts, and not that of 0.65."""
    assert repeated([0.7, 0.75, 0.65, 0.3, 0.3, 0.3], 10, 9) == [2, 1, 3, 1, 1, 1]
    assert repeated([0.999999, 0.3, 0.3], 10, 9) == [2, 1, 1]


def test_nothing_to_balance() -> None:
    assert repeated([], 4, 2) == []
    assert repeated([0.0, 1.0, 1.0], 4, 2) == [1, 1, 1]
    assert repeated([0.1, 0.4, 0.4], 3, 1) == [1, 1, 1]


@pytest.mark.parametrize(
    ("rates", "num_bins", "max_repeat", "message"),
    [
        ([0.5, math.nan], 4, 2, "pass_rates=nan at prompt 1 must be between 0 and 1"),
        ([1.5, 0.5], 4, 2, "pass_rates=1.5 at prompt 0"),
        ([0.5, -0.25], 4, 2, "pass_rates=-0.25 at prompt 1"),
        ([0.5], 0, 2, "num_bins=0 must be at least 1"),
        ([0.5], 4, 0, "max_repeat=0 must be at least 1"),
    ],
)
def test_bad_difficulties_are_refused(rates: list[float], num_bins: int, max_repeat: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        repeated(rates, num_bins, max_repeat)
