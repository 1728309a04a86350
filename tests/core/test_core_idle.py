"""Steps that teach nothing, by their reason, and when a run should stop for them."""

import math
from collections.abc import Mapping, Sequence

import pytest
import torch
from core_parts import prompt, rollout, routed, scored, trajectory

from uniopd_mm.distill.idle import (
    FILTERED,
    GATED,
    NOT_FINITE,
    UNSCORED,
    ZERO,
    idle_reason,
    idle_too_long,
    score_ranges,
    score_spreads,
)
from uniopd_mm.distill.watch import warnings
from uniopd_mm.teachers.router import verified_tokens
from uniopd_mm.types import Failure, Rollout, TeacherScores

LEARNS = {"grad_norm": 0.1, "skipped_updates": 0.0, "effective_samples": 4.0, "teacher_failures": 0.0, "gated": 0.5}
NAN = {**LEARNS, "grad_norm": math.nan, "skipped_updates": 1.0}
STILL = {**LEARNS, "grad_norm": 0.0, "skipped_updates": 1.0}


def told(steps: Sequence[Mapping[str, float]]) -> list[tuple[int, str]]:
    return [(number, text) for number in range(1, len(steps) + 1) for text in warnings(steps[:number])]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"grad_norm": math.nan, "skipped_updates": 1.0}, NOT_FINITE),
        ({"grad_norm": math.inf, "skipped_updates": 1.0}, NOT_FINITE),
        ({"grad_norm": 0.0, "skipped_updates": 1.0}, ZERO),
        ({"grad_norm": 0.0, "gated": 1.0}, GATED),
        ({"grad_norm": 0.0, "effective_samples": 0.0}, FILTERED),
        ({"grad_norm": 0.0, "effective_samples": 0.0, "teacher_failures": 4.0}, UNSCORED),
        ({"gated": 1.0}, None),
    ],
)
def test_an_idle_step_has_a_reason_in_its_own_words(changes: Mapping[str, float], reason: str | None) -> None:
    assert idle_reason({**LEARNS, **changes}) == reason
    assert (told([{**LEARNS, **changes}]) == []) == (reason is None)


def test_an_idle_step_is_told_at_once_and_a_lasting_one_once() -> None:
    steps = [LEARNS, NAN, NAN, STILL, NAN, LEARNS, NAN, *[LEARNS] * 6, NAN]
    assert [(number, NOT_FINITE in text) for number, text in told(steps)] == [(2, True), (4, False), (14, True)]
    assert all(text.startswith("the student learns nothing: ") for _, text in told(steps))


def test_a_run_stops_for_idle_steps_in_a_row_or_for_gradients_that_are_mostly_not_finite() -> None:
    assert idle_too_long([STILL, STILL], 3) is None
    assert idle_too_long([LEARNS, STILL, NAN, STILL], 3) == ZERO
    assert idle_too_long([STILL, STILL, LEARNS, STILL, STILL], 3) is None
    assert idle_too_long([NAN, LEARNS, NAN, LEARNS, NAN], 3) == NOT_FINITE
    assert idle_too_long([NAN, LEARNS, NAN, LEARNS, NAN, LEARNS], 3) is None, "it learned from the newest"
    assert idle_too_long([NAN, *[LEARNS] * 5, NAN, NAN], 3) is None
    assert idle_too_long([NAN] * 99, 0) is None
    assert idle_too_long([], 3) is None


def test_scores_that_are_all_alike_are_told_by_teacher() -> None:
    answers = [rollout(prompt([1]), [2, 3, 4, 5, 6]) for _ in range(2)]

    def spread(logprobs: Sequence[float]) -> Mapping[str, float]:
        halves = [trajectory(one, scored(one, logprobs[5 * place :][:5])) for place, one in enumerate(answers)]
        return score_spreads([score_ranges(halves[:1]), score_ranges(halves[1:])])  # of two processes

    key = "teacher/t/score_spread"
    assert spread([-2.5] * 10) == {key: 0.0} and spread([-math.inf] * 10) == {key: 0.0}
    assert spread([-2.5] * 9 + [-1.0]) == {key: 1.5} and spread([-math.inf, *[-2.0] * 8, -3.0]) == {key: 1.0}
    assert score_spreads([score_ranges([trajectory(answers[0], scored(answers[0], [-1.0] * 5))])]) == {}
    flat, ruled_out = {**LEARNS, **spread([-2.5] * 10)}, {"teacher/t/ruled_out_tokens": 10.0}
    ((number, text),) = told([LEARNS, flat, flat])
    assert number == 2 and text.startswith("teacher t gives the same log-prob to every token")
    ((_, text),) = told([{**flat, **ruled_out}])
    assert text.startswith("teacher t gives probability 0 to every token")


class Rule:
    """A teacher whose log-probs are the same for every response."""

    name, overlaps = "t", False

    def __init__(self, logprobs: Sequence[float]) -> None:
        self.logprobs = logprobs

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        return [scored(one, torch.tensor(self.logprobs)) for one in rollouts]


@pytest.mark.parametrize(
    ("logprobs", "reason"),
    [
        ([-1.0, math.nan], "NaN log-probs"),
        ([-1.0, math.inf], "above 0"),
        ([-math.inf, math.inf], "NaN log-probs"),
        ([0.5, 0.2], "log-probs add up to 0.7, above 0"),
        ([1e-6, -math.inf], None),
        ([-math.inf, -math.inf], None),
    ],
)
def test_scores_above_zero_are_failures_whoever_gives_them(logprobs: list[float], reason: str | None) -> None:
    one = rollout(prompt([1]), [2, 3])
    (scores,) = routed({"d": Rule(logprobs)}).score([one])
    assert isinstance(scores, Failure) == (reason is not None)
    assert reason is None or (isinstance(scores, Failure) and reason in scores.reason)


def test_each_log_prob_of_a_teachers_own_token_is_checked() -> None:
    one = rollout(prompt([1]), [2, 3])
    failure = verified_tokens(one, scored(one, [-3.0, 0.5]))
    assert isinstance(failure, Failure) and failure.reason == "log-prob 0.5 of token 1 is above 0"
    good = scored(one, [-3.0, 1e-6])
    assert verified_tokens(one, good) is good
