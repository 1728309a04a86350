"""Diagnostics against naive loops over pairs and groups, in any order of samples."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from statistics import fmean

import torch
from diagnostics_parts import Row, measured, step
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.distill.calibration import group_mask, margin_mask, margin_shift
from uniopd_mm.distill.diagnostics import describe

TIES = st.sampled_from([-2.0, -0.0, 0.0, 1.0, 3.0])
EIGHTHS = st.integers(-16, 16).map(lambda number: number / 8)
ROWS = st.lists(
    st.builds(
        Row,
        value=TIES | EIGHTHS,
        correct=st.sampled_from([True, False, True, False, None]),
        group=st.sampled_from([-7, 2**62, 5]),
        length=st.integers(1, 9),
        scored=st.booleans() | st.just(True),
        reverse_kl=st.floats(-50, 50),
        domain=st.sampled_from(["math", "code"]),
        teacher=st.sampled_from(["expert", None]),
        kept=st.booleans(),
    ).map(lambda row: row if row.scored else replace(row, failed=True, value=0.0, reverse_kl=0.0)),
    max_size=24,
)
# Means of n and m eighths differ by a multiple of 1 / (8 n m), so none is near such a delta but on purpose.
DELTAS = st.integers(0, 32).map(lambda number: number / 8 + 1e-5)


@given(ROWS)
def test_orders_are_those_of_a_loop_over_pairs(rows: list[Row]) -> None:
    right = [row for row in rows if row.scored and row.correct is True]
    wrong = [row for row in rows if row.scored and row.correct is False]
    pairs = list(product(right, wrong))
    within = [(up, down) for up, down in pairs if up.group == down.group]
    values = measured(rows)
    consistent = fmean(up.value >= down.value for up, down in within) if within else None
    won = fmean((up.value > down.value) + (up.value == down.value) / 2 for up, down in pairs) if pairs else None
    assert values.get("order_consistency") == consistent
    assert values.get("auc") == won


def violating(rows: Sequence[Row], statistic: str, delta: float) -> set[int]:
    """Groups whose margin is below delta, give or take rounding."""
    found = set()
    for group in {row.group for row in rows}:
        right = [row.value for row in rows if row.group == group and row.correct is True and row.scored]
        wrong = [row.value for row in rows if row.group == group and row.correct is False and row.scored]
        if right and wrong:
            margin = min(right) - max(wrong) if statistic == "minmax" else fmean(right) - fmean(wrong)
            found |= {group} if margin < delta - 1e-6 else set()
    return found


@given(ROWS, st.sampled_from(["mean", "minmax"]), DELTAS, st.sampled_from(["none", "shift", "mask", "group_mask"]))
def test_violations_are_those_of_a_loop_over_groups(rows: list[Row], statistic: str, delta: float, method: str) -> None:
    samples, supervision = step(rows)
    margins = (samples.returns, samples.correct & samples.scored, samples.incorrect & samples.scored, samples.group_ids)
    named = {"statistic": statistic, "delta": delta}
    if method == "shift":
        shift = margin_shift(*margins, scope="group", direction="both", **named)
        supervision = replace(supervision, shift=shift)
    elif method == "mask":
        kept = margin_mask(*margins, scope="group", min_retain_ratio=0.25, **named)
        supervision = replace(supervision, representative=kept)
    elif method == "group_mask":
        supervision = replace(supervision, representative=group_mask(*margins, **named))
    calibrated = [
        replace(row, value=row.value + moved)
        for row, moved, stays in zip(rows, supervision.shift.tolist(), supervision.representative.tolist(), strict=True)
        if stays
    ]
    values = describe(samples, supervision, {}, **named)
    classes = {(row.group, row.correct) for row in rows if row.scored}
    num_groups = sum((group, True) in classes and (group, False) in classes for group in {g for g, _ in classes})
    if not num_groups:
        assert values.keys() & {"margin_violations", "margin_violations_after"} == set()
        return
    assert values["margin_violations"] == len(violating(rows, **named)) / num_groups
    assert values["margin_violations_after"] == len(violating(calibrated, **named)) / num_groups
    if method in {"shift", "group_mask"}:
        assert values["margin_violations_after"] == 0.0


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_samples_changes_no_bit(rows: list[Row], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert measured(shuffled) == measured(rows)


SHARES = ("accuracy", "truncated", "mixed_prompts", "order_consistency", "auc", "margin_violations", "dropped")


@given(ROWS)
def test_values_are_finite_and_shares_are_shares(rows: list[Row]) -> None:
    values = measured(rows)
    assert all(torch.tensor(float(value)).isfinite() for value in values.values())
    assert all(0 <= value <= 1 for name, value in values.items() if name.rpartition("/")[2] in SHARES)
