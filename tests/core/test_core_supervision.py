"""From scores to advantages and weights of a step: numbers by hand, and what is in no statistic."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import torch
from core_parts import rollout, routed, scored, trajectory
from supervision_parts import (
    EVEN,
    MASK,
    NONE,
    SHIFT,
    advantages,
    answer,
    finite,
    learner,
    measured,
    supervised,
    weights,
)

from uniopd_mm.distill.choices import CalibrationMethod, Direction, Scope
from uniopd_mm.distill.recipe import Balancing, Calibration
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.types import Failure, Prompt, Rollout, TeacherScores

# Returns 0.125 and 0.5: the margin of -0.375 is 1 short of 0.625.
BY_HAND = [
    answer([0.0, 0.25], True),
    answer([0.5], False),
    answer([2.0, -1.0], None),
    answer([9.0], True, failed=True),
    answer([-3.0], False, group=1),
]
DIRECTIONS = {Direction.BOTH: (0.5, -0.5), Direction.CORRECT_UP: (1.0, 0.0), Direction.INCORRECT_DOWN: (0.0, -1.0)}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_shift_is_added_to_every_token_of_its_class(direction: Direction) -> None:
    up, down = DIRECTIONS[direction]
    taught = supervised(BY_HAND, replace(SHIFT, direction=direction))
    assert taught.supervision.shift.tolist() == [up, down, 0.0, 0.0, 0.0]
    assert advantages(taught) == [[up, 0.25 + up], [0.5 + down], [2.0, -1.0], [0.0], [-3.0]]
    assert weights(taught) == [1.0] * 5
    assert measured(taught)["margin_violations"] == 1.0 and measured(taught)["margin_violations_after"] == 0.0


def test_a_shift_over_the_batch_counts_all_groups() -> None:
    """Incorrect ones return 0.5 and -3: their mean of -1.25 is 1.375 below 0.125."""
    assert not supervised(BY_HAND, replace(SHIFT, scope=Scope.BATCH)).supervision.shift.any()
    taught = supervised(BY_HAND, replace(SHIFT, scope=Scope.BATCH, delta=2.375))
    assert taught.supervision.shift.tolist() == [0.5, -0.5, 0.0, 0.0, -0.5]


@pytest.mark.parametrize("method", CalibrationMethod)
def test_failures_and_unknown_outcomes_are_in_no_statistic(method: CalibrationMethod) -> None:
    """What stands in them changes nothing for the others, and they are neither shifted nor dropped."""
    plan = Calibration(method=method, delta=0.625)
    known = [answer([1.0], True), answer([-1.0], True), answer([0.5], False), answer([-2.0], False)]
    wanted = supervised(known, plan, EVEN)
    for correct in (True, False, None):
        for extreme in (-100.0, 100.0):
            others = [answer([extreme], correct, failed=True), answer([extreme, extreme], None)]
            taught = supervised([*known, *others], plan, EVEN)
            assert advantages(taught)[:4] == advantages(wanted)
            assert taught.supervision.shift.tolist() == [*wanted.supervision.shift.tolist(), 0.0, 0.0]
            assert taught.supervision.representative.tolist()[4:] == [True, True]
            assert advantages(taught)[4:] == [[0.0], [extreme, extreme]]
            assert (taught.samples.scored.tolist()[4:], taught.samples.failed.tolist()[4:]) == (
                [False, True],
                [True, False],
            )
            values = measured(taught)
            assert (values["teacher_failures"], values["unknown_outcomes"]) == (1, 1 + (correct is None))
            assert values["margin_violations"] == measured(wanted)["margin_violations"]


@pytest.mark.parametrize("after", [False, True])
def test_balancing_uses_no_failure_and_no_unknown_outcome(after: bool) -> None:
    """One correct and one incorrect sample are even, whatever else there is; of four surplus ones three go."""
    plan = replace(SHIFT, after_balancing=after)
    others = [answer([1.0], True, failed=True), answer([1.0], True, failed=True), answer([1.0], None)]
    pair = [answer([1.0], True), answer([0.0], False)]
    more = [answer([float(number)], True) for number in range(3)]
    for seed in range(10):
        assert weights(supervised([*others, *pair], plan, EVEN, seed)) == [1.0] * 5
        kept = weights(supervised([*others, *pair, *more], plan, EVEN, seed))
        assert kept[:3] == [1.0] * 3 and kept[4] == 1.0 and sum(kept) == 5


def test_a_token_that_the_teacher_rules_out_is_not_in_the_return(backbone: Backbone, prompts: list[Prompt]) -> None:
    """Returns 0.25 (without the token) and 0.5: 0.875 short of 0.625."""
    rows = [answer([0.25, -math.inf], True, of=prompts[0]), answer([0.5], False, of=prompts[0])]
    taught = supervised(rows)
    assert taught.samples.returns.tolist() == [0.25, 0.5]
    assert taught.supervision.shift.tolist() == [0.4375, -0.4375]
    assert advantages(taught) == [[0.6875, 0.0], [0.0625]]
    values = measured(taught)
    assert values["ruled_out_tokens"] == 1 and values["reverse_kl"] == pytest.approx((-0.25 - 0.5) / 2)
    update = learner(backbone).update(taught.trajectories)
    assert update.values["skipped_updates"] == 0 and update.values["grad_norm"] > 0
    assert update.sums["gated"].tolist() == [1, 0] and finite(backbone)
    measured(taught, update=update)


def test_a_token_that_is_ruled_out_and_left_out_is_no_nan(backbone: Backbone, prompts: list[Prompt]) -> None:
    """A weight of 0 times an advantage of -inf."""
    rows = [answer([-4.0, -math.inf], True), answer([0.0], True), answer([-1.0], False)]
    rows = [replace(row, rollout=replace(row.rollout, prompt=prompts[0])) for row in rows]
    taught = supervised(rows, MASK)
    assert weights(taught) == [0.0, 1.0, 1.0]
    update = learner(backbone).update(taught.trajectories)
    assert update.values["grad_norm"] == 0 and math.isfinite(update.values["loss"]) and finite(backbone)


@pytest.mark.parametrize("method", CalibrationMethod)
def test_a_response_that_is_ruled_out_whole_has_no_return(method: CalibrationMethod) -> None:
    """Its return would be 0, which here is better than every other: it is in no statistic, as an empty one is not."""
    plan = Calibration(method=method, delta=0.5)
    known = [answer([-2.0], True), answer([-1.0], False)]
    wanted = supervised(known, plan)
    for other in ([-math.inf, -math.inf], []):
        for correct in (True, False):
            taught = supervised([*known, answer(other, correct)], plan)
            assert advantages(taught)[:2] == advantages(wanted) and weights(taught)[:2] == weights(wanted)
            assert taught.supervision.shift.tolist()[2] == 0 and taught.samples.returns.tolist()[2] == 0
            values, fewer = measured(taught, plan), measured(wanted, plan)
            assert values["ruled_out_tokens"] == len(other)
            for name in ("auc", "order_consistency", "margin_violations", "reverse_kl"):
                assert values[name] == fewer[name], name


class Broken:
    """A teacher with NaN among the log-probs of every second response."""

    name = "t"
    overlaps = False

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores]:
        calls = count()
        return [scored(one, [math.nan if next(calls) % 2 else 0.5, *[-1.0] * 3]) for one in rollouts]


def test_nan_from_a_teacher_is_a_failure_and_reaches_no_weight(backbone: Backbone, prompts: list[Prompt]) -> None:
    rollouts = [rollout(prompts[index // 2], [30, 31, 32, 33], group_id=index // 2) for index in range(4)]
    scores = routed({"video_qa": Broken()}).score(rollouts)
    assert [isinstance(entry, Failure) for entry in scores] == [False, True, False, True]
    rows = [
        trajectory(one, entry, correct=number < 1)
        for number, (one, entry) in enumerate(zip(rollouts, scores, strict=True))
    ]
    taught = supervised(rows, replace(SHIFT, scope=Scope.BATCH), EVEN)
    assert measured(taught)["teacher_failures"] == 2 and measured(taught)["effective_samples"] == 2
    assert advantages(taught)[1] == advantages(taught)[3] == [0.0] * 4
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    update = learner(backbone).update(taught.trajectories)
    assert update.sums["tokens"].tolist() == [4, 0, 4, 0] and update.values["skipped_updates"] == 0
    assert finite(backbone)
    ours = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    backbone.model.load_state_dict(before)
    alone = learner(backbone).update([taught.trajectories[0], taught.trajectories[2]])
    assert update.values == pytest.approx(alone.values, rel=1e-5)
    for name, value in backbone.model.state_dict().items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-4, msg=name)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("method", CalibrationMethod)
def test_without_both_classes_nothing_is_calibrated_or_balanced(method: CalibrationMethod, after: bool) -> None:
    plan = Calibration(method=method, after_balancing=after)
    for balancing in (NONE, EVEN, Balancing(ratio=0.0), Balancing(ratio=math.inf, scope=Scope.BATCH)):
        for correct in (None, True, False):
            rows = [answer([1.0, 2.0], correct), answer([-3.0], correct), answer([0.5], correct, group=1)]
            taught = supervised(rows, plan, balancing)
            assert advantages(taught) == [[1.0, 2.0], [-3.0], [0.5]] and weights(taught) == [1.0] * 3
            assert ("accuracy" in measured(taught)) == (correct is not None)
            failed = supervised(
                [answer([1.0, 2.0], correct, failed=True), answer([1.0], True, failed=True)], plan, balancing
            )
            assert advantages(failed) == [[0.0, 0.0], [0.0]] and not failed.supervision.shift.any()
            values = measured(failed)
            assert (values["teacher_failures"], values["effective_samples"]) == (2, 0)
            assert values.keys() & {"reverse_kl", "margin_violations", "ruled_out_tokens"} == set()


def test_if_all_teachers_failed_there_is_no_update(backbone: Backbone, prompts: list[Prompt]) -> None:
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    taught = supervised([answer([1.0], correct, failed=True, of=prompts[0]) for correct in (True, False)], SHIFT, EVEN)
    update = learner(backbone).update(taught.trajectories)
    assert update.values["skipped_updates"] == 1
    measured(taught, update=update)
    assert all(torch.equal(value, before[name]) for name, value in backbone.model.state_dict().items())


def test_balancing_by_its_ratio() -> None:
    """Three correct and one incorrect sample in a group, two of each in another."""
    outcomes = [(True, 0)] * 3 + [(False, 0)] + [(True, 1)] * 2 + [(False, 1)] * 2
    rows = [answer([1.0], correct, group) for correct, group in outcomes]

    def kept(**plan: Any) -> list[float]:
        return weights(supervised(rows, Calibration(), Balancing(**plan)))

    assert kept() == kept(ratio=None, scope=Scope.BATCH) == [1.0] * 8
    assert kept(ratio=0.0) == [float(not correct) for correct, _ in outcomes]
    assert kept(ratio=math.inf) == [float(correct) for correct, _ in outcomes]
    assert kept(ratio=1.0)[3:] == [1.0] * 5 and sum(kept(ratio=1.0)) == 6
    of_batch = kept(ratio=1.0, scope=Scope.BATCH)
    assert sum(of_batch) == 6 and of_batch[3] == of_batch[6] == of_batch[7] == 1.0


def test_margins_before_and_after_balancing() -> None:
    """Returns 0 against 0.25 and 1.25, of which balancing keeps one: the margin is -0.75 of all, and -0.25 or -1.25 of
    what stays. For a delta of 0.25 the shift is 1 in all, or 0.5 or 1.5."""
    rows = [answer([0.0], True), answer([0.25], False), answer([1.25], False)]
    seen = set()
    for seed in range(20):
        published = supervised(rows, replace(SHIFT, delta=0.25), EVEN, seed)
        assert published.supervision.shift.tolist() == [0.5, -0.5, -0.5]
        after = supervised(rows, replace(SHIFT, delta=0.25, after_balancing=True), EVEN, seed)
        assert weights(after) == weights(published)
        wanted = {(1.0, 1.0, 0.0): [0.25, -0.25, 0.0], (1.0, 0.0, 1.0): [0.75, 0.0, -0.75]}
        assert after.supervision.shift.tolist() == wanted[tuple(weights(after))]  # type: ignore[index]
        seen.add(tuple(weights(after)))
    assert len(seen) == 2


def test_a_mask_before_and_after_balancing() -> None:
    """Correct ones return -4 and 0, an incorrect one -1: the mask drops the -4, and the rest is even. Balancing first
    keeps either of the two, which then is all of its class."""
    rows = [answer([-4.0], True), answer([0.0], True), answer([-1.0], False)]
    seen = set()
    for seed in range(20):
        published = supervised(rows, MASK, EVEN, seed)
        assert weights(published) == [0.0, 1.0, 1.0]
        assert published.supervision.representative.tolist() == [False, True, True]
        after = supervised(rows, replace(MASK, after_balancing=True), EVEN, seed)
        assert after.supervision.representative.all()
        seen.add(tuple(weights(after)))
    assert seen == {(0.0, 1.0, 1.0), (1.0, 0.0, 1.0)}


def test_what_a_mask_dropped_has_no_gradient(backbone: Backbone, prompts: list[Prompt]) -> None:
    rows = [answer([-4.0, -4.0], True, of=prompts[0]), answer([0.0], True), answer([-1.0], False)]
    taught = supervised(rows, MASK)
    assert weights(taught) == [0.0, 1.0, 1.0] and advantages(taught)[0] == [-4.0, -4.0]
    update = learner(backbone).update(taught.trajectories[:1])
    assert update.values["grad_norm"] == 0 and update.values["loss"] == 0
    assert update.sums["tokens"].tolist() == [2]


def test_a_group_mask_drops_whole_groups_by_hand() -> None:
    rows = [*BY_HAND, answer([5.0], True, group=1), answer([5.0], None, group=1)]
    taught = supervised(rows, Calibration(method=CalibrationMethod.GROUP_MASK, delta=0.625))
    assert weights(taught) == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert measured(taught)["dropped"] == 0.5
