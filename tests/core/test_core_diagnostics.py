"""Diagnostics by hand, and that absence and failures are treated as promised."""

from dataclasses import fields, replace

import pytest
import torch
from diagnostics_parts import Row, measured, step

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
            "prompts": 2,
            "prompt_tokens": 6,
            "accuracy": 3 / 6,
            "reward": 3 / 6,
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


COUNTS = {
    "prompts",
    "prompt_tokens",
    "response_length",
    "response_tokens",
    "truncated",
    "unknown_outcomes",
    "teacher_failures",
}


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
    outcomes = {"accuracy", "reward", "mixed_prompts", "effective_samples", "dropped"}
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
        if name.endswith("token_share"):
            continue
        assert both[name if rest else f"domain/math/{kind}"] == values
        assert both[name if rest else f"teacher/expert/{kind}"] == values
    assert both["domain/math/auc"] == 1.0 and both["teacher/coder/auc"] == 0.0 and both["auc"] == 0.5
    assert both["domain/code/response_length"] == 9.0
    assert (both["domain/code/prompts"], both["prompts"], both["domain/code/prompt_tokens"]) == (1, 2, 3)
    assert both["domain/code/token_share"] == 18 / (18 + 3 * 4) and "token_share" not in both
    assert both["teacher/expert/teacher_failures"] == 1 and both["teacher/coder/teacher_failures"] == 0


def test_sums_go_with_their_samples() -> None:
    rows = [Row(domain="math"), Row(domain="code"), Row(domain="math")]
    sums = {"tokens": torch.tensor([1.0, 2.0, 3.0]).double(), "entropy": torch.tensor([1.0, 8.0, 7.0]).double()}
    values = measured(rows, sums)
    assert (values["domain/math/entropy"], values["domain/code/entropy"]) == (2.0, 4.0)


def test_every_field_of_the_records_has_one_entry_a_sample() -> None:
    samples, supervision = step(BY_HAND)
    for record in (samples, supervision):
        assert {len(getattr(record, field.name)) for field in fields(record)} == {len(BY_HAND)}
