"""Diagnostics by hand, against naive loops over pairs, and that order, absence and failures are treated as promised."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from statistics import fmean

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from uniopd_mm.distill.calibration import group_mask, margin_mask, margin_shift
from uniopd_mm.distill.diagnostics import describe
from uniopd_mm.distill.evidence import StepSamples, Supervision

MARGIN = {"statistic": "mean", "delta": 0.4}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A sample, as a test tells it."""

    value: float = 0.0
    correct: bool | None = True
    group: int = 0
    length: int = 4
    ruled_out: int = 0
    scored: bool = True
    failed: bool = False
    truncated: bool = False
    reverse_kl: float = 0.0
    k3: float = 0.0
    teacher_entropy: float = 0.0
    domain: str = "math"
    teacher: str | None = "expert"
    shift: float = 0.0
    representative: bool = True
    kept: bool = True


def column(rows: Sequence[Row], name: str, dtype: torch.dtype) -> Tensor:
    return torch.tensor([getattr(row, name) for row in rows], dtype=dtype)


def step(rows: Sequence[Row]) -> tuple[StepSamples, Supervision]:
    outcomes = [row.correct for row in rows]
    samples = StepSamples(
        group_ids=column(rows, "group", torch.int64),
        correct=torch.tensor([outcome is True for outcome in outcomes], dtype=torch.bool),
        incorrect=torch.tensor([outcome is False for outcome in outcomes], dtype=torch.bool),
        outcome_rewards=torch.tensor([float(outcome is True) for outcome in outcomes], dtype=torch.float64),
        lengths=column(rows, "length", torch.int64),
        truncated=column(rows, "truncated", torch.bool),
        scored=column(rows, "scored", torch.bool),
        failed=column(rows, "failed", torch.bool),
        ruled_out=column(rows, "ruled_out", torch.int64),
        returns=column(rows, "value", torch.float64),
        reverse_kl=column(rows, "reverse_kl", torch.float64),
        reverse_kl_k3=column(rows, "k3", torch.float64),
        teacher_entropy=column(rows, "teacher_entropy", torch.float64),
        domains=tuple(row.domain for row in rows),
        teachers=tuple(row.teacher for row in rows),
    )
    supervision = Supervision(
        shift=column(rows, "shift", torch.float64),
        representative=column(rows, "representative", torch.bool),
        kept=column(rows, "kept", torch.bool),
    )
    return samples, supervision


def measured(rows: Sequence[Row], sums: dict[str, Tensor] | None = None, **margin: object) -> dict[str, float]:
    return describe(*step(rows), sums or {}, **{**MARGIN, **margin})


FAILED = Row(correct=True, scored=False, failed=True)

BY_HAND = [
    # Of the pairs of group 7, 3 > 1 and 3 > 2 are in order, 1 = 1 counts as such and 1 < 2 is not.
    Row(group=7, value=3.0, correct=True, length=2, reverse_kl=-6.0, k3=1.0, teacher_entropy=3.0),
    Row(group=7, value=1.0, correct=False, length=4, reverse_kl=-4.0, k3=2.0, teacher_entropy=1.0, truncated=True),
    Row(group=7, value=1.0, correct=True, length=1, reverse_kl=-1.0, k3=0.5, teacher_entropy=0.5, kept=False),
    Row(group=7, value=2.0, correct=False, length=3, ruled_out=2, reverse_kl=-2.0, k3=0.5, teacher_entropy=0.5),
    # A group of one class, an outcome that is not known and a teacher that failed.
    Row(group=9, value=0.0, correct=False, length=5, reverse_kl=5.0, k3=4.0, teacher_entropy=2.0),
    Row(group=9, value=9.0, correct=None, length=2, reverse_kl=-18.0, k3=9.0, teacher_entropy=1.0),
    replace(FAILED, group=9, length=3),
]


def test_a_step_by_hand() -> None:
    values = measured(BY_HAND)
    assert {name: value for name, value in values.items() if "/" not in name} == pytest.approx(
        {
            "accuracy": 3 / 6,
            "reward": 3 / 7,
            "response_length": 20 / 7,
            "response_tokens": 20,
            "truncated": 1 / 7,
            "unknown_outcomes": 1,
            "teacher_failures": 1,
            "mixed_prompts": 1.0,  # the failed sample of group 9 was right
            "reverse_kl": -26 / 15,
            "reverse_kl_k3": 17 / 15,
            "teacher_entropy": 8 / 15,
            "ruled_out_tokens": 2,
            "order_consistency": 3 / 4,
            "auc": 4.5 / 6,  # with the incorrect 0 of group 9: 3 > 1, 2, 0 and 1 > 0, half of 1 = 1
            "margin_violations": 0.0,  # a mean of 2 against one of 1.5
            "margin_violations_after": 0.0,
            "effective_samples": 5,
            "dropped": 1 / 5,
            "shifted": 0.0,
        }
    )


def test_the_statistic_and_delta_decide_what_violates() -> None:
    assert measured(BY_HAND, delta=0.5)["margin_violations"] == 0.0
    assert measured(BY_HAND, delta=0.51)["margin_violations"] == 1.0
    assert measured(BY_HAND, statistic="minmax", delta=0.0)["margin_violations"] == 1.0
    with pytest.raises(ValueError, match="statistic='median'"):
        measured(BY_HAND, statistic="median")


def test_shifts_are_told_by_how_many_and_how_much() -> None:
    rows = [
        Row(group=1, value=1.0, correct=True, shift=0.75),
        Row(group=1, value=2.0, correct=False, shift=-0.75),
        Row(group=2, value=2.0, correct=True),
        Row(group=2, value=1.0, correct=False),
        Row(group=2, value=1.0, correct=None),
    ]
    values = measured(rows)
    assert (values["margin_violations"], values["margin_violations_after"]) == (0.5, 0.0)
    assert (values["shifted"], values["shift"]) == (0.5, 0.75)


def test_rounding_is_no_violation() -> None:
    rows = [Row(value=0.1, correct=True, shift=0.25), Row(value=0.2, correct=False, shift=-0.25)]
    assert (0.1 + 0.25) - (0.2 - 0.25) < 0.4, "short of delta in the last digit"
    assert measured(rows, delta=0.4)["margin_violations_after"] == 0.0


def test_prompts_of_one_outcome_are_not_mixed_and_those_of_none_do_not_count() -> None:
    rows = [
        Row(group=1),
        Row(group=1, correct=False),
        Row(group=2, correct=False),
        Row(group=3),
        Row(group=4, correct=None),
    ]
    assert measured(rows)["mixed_prompts"] == 1 / 3


def test_a_group_that_is_masked_violates_nothing_any_more() -> None:
    rows = [
        Row(group=1, value=1.0, correct=True, representative=False, kept=False),
        Row(group=1, value=2.0, correct=False, representative=False, kept=False),
        Row(group=2, value=2.0, correct=True),
        Row(group=2, value=3.0, correct=False),
    ]
    values = measured(rows)
    assert (values["margin_violations"], values["margin_violations_after"]) == (1.0, 0.5)
    assert (values["effective_samples"], values["dropped"]) == (2, 0.5)


def test_what_balancing_drops_still_counts_in_margins() -> None:
    rows = [Row(value=1.0, correct=True), Row(value=2.0, correct=False), Row(value=0.0, correct=False, kept=False)]
    assert measured(rows, delta=0.0)["margin_violations_after"] == 0.0


def test_means_per_token_are_over_all_tokens() -> None:
    rows = [Row(length=1), Row(length=3), replace(FAILED, length=5)]
    columns = {
        "tokens": [1, 3, 0],
        "entropy": [2.0, 2.0, 0.0],
        "clipped": [1, 0, 0],
        "gated": [0, 3, 0],
        "ratio": [1.5, 3.0, 0.0],
        "divergence": [1.0, 1.0, 0.0],
        "mismatch": [0.5, 0.0, 0.0],
        "agreement": [1, 0, 0],
        "agreement_tokens": [1, 1, 0],
    }
    sums = {name: torch.tensor(values, dtype=torch.float64) for name, values in columns.items()}
    expected = {
        "entropy": 1.0,
        "clipped": 0.25,
        "gated": 0.75,
        "ratio": 1.125,
        "divergence": 0.5,
        "mismatch_kl": 0.125,
        "top1_agreement": 0.5,
    }
    values = measured(rows, sums)
    assert {name: values[name] for name in expected} == expected
    absent = measured(
        rows, {"tokens": sums["tokens"], "agreement": 0 * sums["tokens"], "agreement_tokens": 0 * sums["tokens"]}
    )
    assert not expected.keys() & absent.keys()
    nobody = measured(rows, {name: 0 * column for name, column in sums.items()})
    assert not expected.keys() & nobody.keys()


COUNTS = {"reward", "response_length", "response_tokens", "truncated", "unknown_outcomes", "teacher_failures"}


def test_what_has_no_value_is_left_out() -> None:
    unknown = [Row(correct=None, scored=False, teacher=None)]
    assert {name for name in measured(unknown) if "/" not in name} == {*COUNTS, "effective_samples"}
    failed = measured([FAILED, replace(FAILED, correct=False)])
    assert (
        failed.keys() & {"reverse_kl", "auc", "order_consistency", "margin_violations", "dropped", "shifted"} == set()
    )
    assert (failed["effective_samples"], failed["teacher_failures"]) == (0, 2)
    right = measured([Row(), Row(group=1)])
    assert right.keys() & {"auc", "order_consistency", "margin_violations"} == set()
    assert right["mixed_prompts"] == 0.0


def test_a_recipe_without_a_teacher_tells_nothing_of_one() -> None:
    values = measured([Row(correct=index > 1, scored=False, teacher=None, kept=index != 2) for index in range(4)])
    outcomes = {"accuracy", "mixed_prompts", "effective_samples", "dropped"}
    assert {name for name in values if not name.startswith("domain/")} == COUNTS | outcomes
    assert (values["effective_samples"], values["dropped"], values["teacher_failures"]) == (3, 0.25, 0)


def test_a_teacher_without_an_entropy_is_in_no_mean_of_entropies() -> None:
    values = measured([Row(teacher="small", teacher_entropy=6.0, length=3), Row(teacher="served", length=50)])
    assert values["teacher_entropy"] == values["teacher/small/teacher_entropy"] == 2.0
    assert "teacher/served/teacher_entropy" not in values


def test_domains_and_teachers_are_told_apart_and_always() -> None:
    math = [Row(value=1.0), Row(value=0.0, correct=False), replace(FAILED, teacher="expert")]
    code = [replace(row, group=1, value=-row.value, domain="code", teacher="coder", length=9) for row in math[:2]]
    both = measured([*math, *code])
    for name, values in measured(math).items():
        kind, _, rest = name.partition("/")
        assert both[name if rest else f"domain/math/{kind}"] == values
        assert both[name if rest else f"teacher/expert/{kind}"] == values
    assert both["domain/math/auc"] == 1.0 and both["teacher/coder/auc"] == 0.0 and both["auc"] == 0.5
    assert both["domain/code/response_length"] == 9.0
    assert both["teacher/expert/teacher_failures"] == 1 and both["teacher/coder/teacher_failures"] == 0


def test_sums_go_with_their_samples() -> None:
    rows = [Row(domain="math"), Row(domain="code"), Row(domain="math")]
    sums = {"tokens": torch.tensor([1.0, 2.0, 3.0]).double(), "entropy": torch.tensor([1.0, 8.0, 7.0]).double()}
    values = measured(rows, sums)
    assert (values["domain/math/entropy"], values["domain/code/entropy"]) == (2.0, 4.0)


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


def test_every_field_of_the_records_has_one_entry_a_sample() -> None:
    samples, supervision = step(BY_HAND)
    for record in (samples, supervision):
        assert {len(getattr(record, field.name)) for field in fields(record)} == {len(BY_HAND)}
