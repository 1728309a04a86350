"""Margin calibration against the published results, a naive trial removal in exact fractions, and its own promises."""

import json
import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniopd_mm.distill.calibration import distillation_return, group_mask, margin_mask, margin_shift
from uniopd_mm.distill.choices import Scope, Statistic

Samples = tuple[Tensor, Tensor, Tensor, Tensor]  # returns, correct, incorrect, group ids
Row = tuple[float, bool | None, int]  # return, outcome, group id

STATISTICS, SCOPES, DIRECTIONS = list(Statistic), list(Scope), ["correct_up", "incorrect_down", "both"]
FIXTURE: list[dict[str, Any]] = json.loads((Path(__file__).parent / "margin_vectors.json").read_text())


def samples(rows: list[Row]) -> Samples:
    outcomes = [outcome for _, outcome, _ in rows]
    return (
        torch.tensor([value for value, _, _ in rows], dtype=torch.float64),
        torch.tensor([outcome is True for outcome in outcomes], dtype=torch.bool),
        torch.tensor([outcome is False for outcome in outcomes], dtype=torch.bool),
        torch.tensor([group for _, _, group in rows], dtype=torch.int64),
    )


def published(batch: dict[str, Any]) -> Samples:
    tokens = [torch.tensor(row, dtype=torch.float64) for row in batch["token_advantages"]]
    lengths = torch.tensor([len(row) for row in tokens])
    padded = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True, padding_value=math.nan)
    returns = distillation_return(padded, torch.arange(padded.shape[1]) < lengths[:, None])
    rows = zip(returns.tolist(), batch["correct"], batch["group"], strict=True)
    return samples(list(rows))


@pytest.mark.parametrize("batch", FIXTURE, ids=lambda batch: f"seed{batch['seed']}")
def test_what_the_published_implementation_returns(batch: dict[str, Any]) -> None:
    arrays = published(batch)
    assert len(batch["expect"]) == 16
    for case in batch["expect"]:
        named = {"scope": case["scope"].replace("global", "batch"), "statistic": case["mode"], "delta": case["delta"]}
        if case["kind"] == "shift":
            shift = margin_shift(*arrays, direction=case["direction"], **named)
            expected = torch.tensor(case["per_sample_shift"], dtype=torch.float64)
            torch.testing.assert_close(shift, expected, rtol=0, atol=1e-6)
        else:
            keep = margin_mask(*arrays, min_retain_ratio=case["min_retain_ratio"], **named)
            assert (~keep).nonzero().flatten().tolist() == sorted(case["masked"])


# Values of few distinct sizes make ties common, and as eighths they are exact in float64.
EIGHTHS = st.integers(-16, 16).map(lambda number: number / 8)
TIES = st.sampled_from([-2.0, -1.0, 0.0, 1.0, 3.0])
OUTCOMES = st.sampled_from([True, False, True, False, None])
GROUPS = st.sampled_from([-7, 2**62, 5])
REAL_ROWS = st.tuples(st.floats(-5, 5), OUTCOMES, GROUPS)
ROWS = st.one_of(
    st.lists(st.tuples(values, OUTCOMES, groups), max_size=24)
    for values in (EIGHTHS, TIES)
    for groups in (GROUPS, st.just(3))
)
# Means of 24 eighths differ by a multiple of an eighth, or miss it by far more than 1e-5: no margin is in doubt.
DELTAS = st.integers(0, 32).map(lambda number: number / 8 + 1e-5)
UNITS = {"scope": st.sampled_from(SCOPES), "statistic": st.sampled_from(STATISTICS), "delta": DELTAS}
RATIOS = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
MASKS = st.fixed_dictionaries({**UNITS, "min_retain_ratio": RATIOS})
SHIFTS = st.fixed_dictionaries({**UNITS, "direction": st.sampled_from(DIRECTIONS)})


def units(rows: list[Row], scope: str) -> Iterator[tuple[list[int], list[int]]]:
    """Indices of the correct and of the incorrect samples of each unit."""
    for unit in sorted({group for _, _, group in rows}) if scope == "group" else [None]:
        members = [index for index, row in enumerate(rows) if unit is None or row[2] == unit]
        yield [i for i in members if rows[i][1] is True], [i for i in members if rows[i][1] is False]


def exact_margin(rows: list[Row], statistic: str, correct: list[int], incorrect: list[int]) -> Fraction:
    up, down = ([Fraction(rows[i][0]) for i in side] for side in (correct, incorrect))
    return sum(up) / len(up) - sum(down) / len(down) if statistic == "mean" else min(up) - max(down)


def trial_removal(rows: list[Row], *, scope: str, statistic: str, delta: float, min_retain_ratio: float) -> list[bool]:
    """The greedy mask as the paper tells it: try either removal, keep the better."""
    keep = [True] * len(rows)
    for sides in units(rows, scope):
        floors = [max(1, int(len(side) * min_retain_ratio)) for side in sides]
        while all(sides) and (margin := exact_margin(rows, statistic, *sides)) < delta:
            trials = []
            for side, floor, least_representative in zip(sides, floors, (min, max), strict=True):
                if len(side) > floor:
                    tried = least_representative(side, key=lambda i: rows[i][0])
                    rest = [[i for i in members if i != tried] for members in sides]
                    trials.append((exact_margin(rows, statistic, *rest), tried, side))
            best = max(trials, key=lambda trial: trial[0], default=None)  # of equal ones the first: the correct side
            if best is None or best[0] <= margin:
                break
            keep[best[1]] = False
            best[2].remove(best[1])
    return keep


@settings(max_examples=600, deadline=None)
@given(ROWS, MASKS)
def test_the_greedy_mask_is_that_of_trial_removal(rows: list[Row], mask: dict[str, Any]) -> None:
    """Where returns are exact so is a minmax margin: delta itself is enough."""
    exact = {**mask, "statistic": "minmax", "delta": mask["delta"] - 1e-5}
    for named in (mask, exact):
        assert margin_mask(*samples(rows), **named).tolist() == trial_removal(rows, **named)


@settings(max_examples=200, deadline=None)
@given(ROWS, MASKS)
def test_the_mask_meets_the_margin_or_has_nothing_left_to_drop(rows: list[Row], mask: dict[str, Any]) -> None:
    keep = margin_mask(*samples(rows), **mask).tolist()
    statistic = mask["statistic"]
    assert all(keep[index] for index, row in enumerate(rows) if row[1] is None)
    for sides in units(rows, mask["scope"]):
        kept = [[i for i in side if keep[i]] for side in sides]
        floors = [max(1, int(len(side) * mask["min_retain_ratio"])) for side in sides]
        assert all(len(left) >= min(f, len(side)) for left, f, side in zip(kept, floors, sides, strict=True))
        if not all(sides) or exact_margin(rows, statistic, *kept) >= mask["delta"]:
            assert all(sides) or kept == list(sides)
            continue
        # Another drop would enlarge a margin only where the least representative stands out from the rest.
        ordered = [sorted(rows[i][0] for i in kept[0]), sorted(-rows[i][0] for i in kept[1])]
        for left, floor, values in zip(kept, floors, ordered, strict=True):
            stands_out = values[0] < (values[-1] if statistic == "mean" else values[min(1, len(values) - 1)])
            assert len(left) <= floor or not stands_out


@settings(max_examples=200, deadline=None)
@given(ROWS, SHIFTS)
def test_margins_are_met_after_the_shift_and_a_second_one_is_none(rows: list[Row], plan: dict[str, Any]) -> None:
    returns, *outcomes = samples(rows)
    shift = margin_shift(returns, *outcomes, **plan)
    again = margin_shift(returns + shift, *outcomes, **plan)
    assert not len(rows) or again.abs().max() <= 1e-9
    assert not shift[~(outcomes[0] | outcomes[1])].any()
    moved = [(value, *row[1:]) for value, row in zip((returns + shift).tolist(), rows, strict=True)]
    for sides in units(rows, plan["scope"]):
        if all(sides):
            before = exact_margin(rows, plan["statistic"], *sides)
            after = exact_margin(moved, plan["statistic"], *sides)
            assert after == pytest.approx(max(before, plan["delta"]), abs=1e-9)
        else:
            assert not any(shift[i] for side in sides for i in side)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.sampled_from(STATISTICS), DELTAS)
def test_the_group_mask_drops_every_known_sample_of_a_violating_group(
    rows: list[Row], statistic: str, delta: float
) -> None:
    groups = [sides for sides in units(rows, "group") if all(sides)]
    violating = [sides for sides in groups if exact_margin(rows, statistic, *sides) < delta]
    keep = group_mask(*samples(rows), statistic=statistic, delta=delta)
    assert (~keep).nonzero().flatten().tolist() == sorted(i for sides in violating for side in sides for i in side)


def everything(scope: str, statistic: str, delta: float) -> list[Callable[..., Tensor]]:
    """All functions on units, with `group_mask` only where it applies."""
    named = {"scope": scope, "statistic": statistic, "delta": delta}
    functions: list[Callable[..., Tensor]] = [partial(margin_mask, **named, min_retain_ratio=0.25)]
    functions += [partial(margin_shift, **named, direction=direction) for direction in DIRECTIONS]
    return functions + ([partial(group_mask, statistic=statistic, delta=delta)] if scope == "group" else [])


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(SCOPES), st.sampled_from(STATISTICS), st.floats(0, 3))
def test_the_order_of_samples_does_not_matter(data: st.DataObject, scope: str, statistic: str, delta: float) -> None:
    rows = data.draw(st.lists(REAL_ROWS, max_size=20, unique_by=lambda row: row[0]))
    order = data.draw(st.permutations(range(len(rows))))
    arrays, shuffled = samples(rows), samples([rows[index] for index in order])
    for function in everything(scope, statistic, delta):
        assert torch.equal(function(*arrays)[list(order)], function(*shuffled))


@settings(max_examples=100, deadline=None)
@given(st.lists(REAL_ROWS, max_size=24), st.sampled_from(STATISTICS), st.floats(0, 3))
def test_groups_do_not_see_each_other(rows: list[Row], statistic: str, delta: float) -> None:
    """Rank by rank, or all at once: the same to the last bit."""
    arrays = samples(rows)
    for function in everything("group", statistic, delta):
        whole = function(*arrays)
        for group in {row[2] for row in rows}:
            mine = arrays[3] == group
            assert torch.equal(function(*(array[mine] for array in arrays)), whole[mine])


def test_returns_by_hand() -> None:
    """(1 + 2) / 2, a sample without a token, and what stands in the padding."""
    rewards = torch.tensor([[1.0, 2.0, math.nan], [-math.inf, math.nan, math.inf], [-4.0, -math.inf, 1.0]])
    mask = torch.tensor([[1, 1, 0], [0, 0, 0], [1, 0, 1]]).bool()
    assert distillation_return(rewards, mask).tolist() == [1.5, 0.0, -1.5]
    assert distillation_return(rewards[:0], mask[:0]).tolist() == []
    assert distillation_return(rewards[:, :0], mask[:, :0]).tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_returns_of_long_responses_keep_their_digits(dtype: torch.dtype) -> None:
    """16,384 times the same reward: a running sum in bfloat16 would stand still at about 26, in float32 drift."""
    rewards = torch.full((2, 16_384), 0.1, dtype=dtype)
    returns = distillation_return(rewards, torch.ones_like(rewards, dtype=torch.bool))
    assert returns.dtype == torch.float32
    assert returns.tolist() == pytest.approx([rewards[0, 0].item()] * 2, rel=1e-6)


# Group 7: correct 1.0, 0.0, incorrect 1.5 and an unknown one; group -2: only correct ones.
EXAMPLE: list[Row] = [(1.0, True, 7), (9.0, True, -2), (1.5, False, 7), (0.0, True, 7), (99.0, None, 7)]


@pytest.mark.parametrize(
    ("statistic", "direction", "expected"),
    [
        ("mean", "correct_up", [1.5, 0, 0, 1.5, 0]),  # m = 0.5 - 1.5, s = 0.5 + 1
        ("mean", "incorrect_down", [0, 0, -1.5, 0, 0]),
        ("mean", "both", [0.75, 0, -0.75, 0.75, 0]),
        ("minmax", "both", [1, 0, -1, 1, 0]),  # m = 0 - 1.5, s = 0.5 + 1.5
    ],
)
def test_shifts_by_hand(statistic: str, direction: str, expected: list[float]) -> None:
    shift = margin_shift(*samples(EXAMPLE), scope="group", statistic=statistic, direction=direction, delta=0.5)
    assert shift.tolist() == expected


def test_a_small_gain_holds_back_the_large_ones_behind_it() -> None:
    """Incorrect 5, 5, 0: dropping one 5 gains nothing by minmax, so the greedy choice never gets to the other."""
    named = {"scope": "group", "statistic": "minmax", "delta": 4.0, "min_retain_ratio": 0.0}
    rows: list[Row] = [(1.0, True, 0), (2.0, True, 0), (5.0, False, 0), (5.0, False, 0), (0.0, False, 0)]
    assert margin_mask(*samples(rows), **named).tolist() == [False, True, True, True, True]
    rows[3] = (4.875, False, 0)
    assert margin_mask(*samples(rows), **named).tolist() == [False, True, False, False, True]


def test_equal_returns_that_float64_cannot_sum_exactly_are_not_dropped() -> None:
    """Means of 0.1 differ in their last digit by how many there are: not a gain."""
    rows: list[Row] = [(0.1, index % 2 == 0, 0) for index in range(30)]
    keep = margin_mask(*samples(rows), scope="batch", statistic="mean", delta=1.0, min_retain_ratio=0.0)
    assert keep.all()


CALLS: dict[str, Callable[..., Tensor]] = {
    "shift": partial(margin_shift, scope="group", statistic="mean", direction="both", delta=0.4),
    "mask": partial(margin_mask, scope="group", statistic="mean", delta=0.4, min_retain_ratio=0.25),
    "group_mask": partial(group_mask, statistic="mean", delta=0.4),
}


@pytest.mark.parametrize("function", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_only_a_known_outcome_needs_a_finite_return(function: Callable[..., Tensor], bad: float) -> None:
    unread: list[Row] = [*EXAMPLE[:4], (bad, None, 7)]
    assert torch.equal(function(*samples(unread)), function(*samples(EXAMPLE)))
    with pytest.raises(ValueError, match=f"returns={bad} at sample 4 must be finite"):
        function(*samples([*EXAMPLE[:4], (bad, True, 7)]))


@pytest.mark.parametrize("function", CALLS.values(), ids=CALLS)
def test_contradictory_arguments_are_refused(function: Callable[..., Tensor]) -> None:
    returns, correct, incorrect, group_ids = samples(EXAMPLE)
    with pytest.raises(ValueError, match="correct and incorrect are both True at sample 0"):
        function(returns, correct, incorrect | correct, group_ids)
    with pytest.raises(ValueError, match=r"group_ids has shape \[4\].*\[5\].*one entry a sample"):
        function(returns, correct, incorrect, group_ids[1:])
    with pytest.raises(ValueError, match=r"returns has shape \[1, 5\]"):
        function(returns[None], correct, incorrect, group_ids)
    for delta in (-0.1, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"delta={delta}"):
            function(returns, correct, incorrect, group_ids, delta=delta)


@pytest.mark.parametrize(
    ("call", "option", "choices"),
    [
        ("shift", {"scope": "global"}, "scope='global' must be one of group, batch"),
        ("shift", {"direction": "up"}, "direction='up' must be one of correct_up, incorrect_down, both"),
        ("mask", {"statistic": "median"}, "statistic='median' must be one of mean, minmax"),
        ("mask", {"min_retain_ratio": 1.01}, "min_retain_ratio=1.01 must be between 0 and 1"),
        ("mask", {"min_retain_ratio": math.nan}, "min_retain_ratio=nan must be between 0 and 1"),
    ],
)
def test_an_unknown_option_names_the_choices(call: str, option: dict[str, Any], choices: str) -> None:
    with pytest.raises(ValueError, match=choices):
        CALLS[call](*samples(EXAMPLE), **option)
    with pytest.raises(ValueError, match=choices):
        CALLS[call](*samples([]), **option)
