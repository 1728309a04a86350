"""Spans of text as actions: what a token of a span is taught, and which estimates of a KL are none."""

import math
from dataclasses import replace

import pytest
import torch
from core_parts import rollout, scored, trajectory
from gradient_parts import (
    ALL,
    DRAWN,
    OLD,
    OTHER_TEACHER,
    REDUCTIONS,
    STUDENT,
    TEACHER,
    different,
    expected_gradient,
    gradient,
    kl,
    policy,
    same,
)
from hypothesis import given
from supervision_parts import QUESTION, SHIFT, answer, learner, measured, supervised
from test_core_spans import cuts
from torch import Tensor

from uniopd_mm.distill.advantages import k3
from uniopd_mm.distill.exopd import ExtrapolatedDistillation
from uniopd_mm.distill.objective import Objective
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.distill.recipe import Calibration
from uniopd_mm.distill.spans import aligned_logprobs, clipped, span_ends, span_sums
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.teachers.router import combined
from uniopd_mm.types import TeacherScores, Trajectory

PLAIN = Calibration()
ONE_SPAN = torch.tensor([False, True]).expand(len(ALL), 2)
TEXT = TEACHER.logprobs().sum(1)  # of a whole response, whose tokens the teacher cannot tell apart
SPREAD = OLD + ((TEXT - OLD.sum(1)) / 2)[:, None]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_span_of_two_tokens_is_taught_the_reverse_kl_of_the_span(reduction: str) -> None:
    """By enumeration of all responses of two tokens, a mean over tokens; with the n-th part of the reward for each
    token, half the gradient would be left."""
    objective = OnPolicyDistillation(policy=policy(reduction=reduction))
    responses = STUDENT.logprobs().sum(1)
    exact = gradient((responses.exp() * (responses - TEXT)).sum() / 2)
    same(expected_gradient(objective, teacher_logprobs=SPREAD, span_ends=ONE_SPAN), exact)
    shares = expected_gradient(objective, teacher_logprobs=SPREAD)
    same(tuple(2 * part for part in shares), exact)
    different(shares, exact)


def test_spans_of_one_token_change_nothing() -> None:
    objective = OnPolicyDistillation(policy=policy(advantage_clip=0.5))
    every = torch.ones(len(ALL), 2, dtype=torch.bool)
    same(expected_gradient(objective, span_ends=every), expected_gradient(objective))


def test_a_clip_is_applied_once_to_the_reward_of_a_span() -> None:
    """-6 over three tokens and -1 on one, to plus or minus 3: the advantages are the bound, the return is its mean."""
    for objective in (OnPolicyDistillation, ExtrapolatedDistillation):
        of = objective(policy=PolicyLoss(temperature=1.0, advantage_clip=3.0))
        taught = supervised([in_spans([-1.0, -3.0, -2.0, -1.0], [False, False, True, True])], PLAIN, objective=of)  # type: ignore[arg-type]
        assert advantages(taught.trajectories) == [pytest.approx([-3.0, -3.0, -3.0, -1.0])]
        assert taught.samples.returns.tolist() == [pytest.approx(-1.0)]


def in_spans(rewards: list[float], ends: list[bool], correct: bool | None = True) -> Trajectory:
    made = answer(rewards, correct)
    assert isinstance(made.scores, TeacherScores)
    scores = replace(made.scores, span_ends=torch.tensor(ends), normalized=False)
    return replace(made, scores=scores, base=scores)


def advantages(trajectories: object) -> list[list[float]]:
    return [one.advantages.tolist() for one in trajectories]  # type: ignore[attr-defined]


def test_returns_count_a_span_once_and_a_shift_is_the_same_for_every_token() -> None:
    """Returns -1 and 1, margin -2: both are shifted by half of 2.625; the reward of a span of two is twice its mean."""
    rows = [in_spans([-1.0, -1.0], [False, True]), answer([1.0, 1.0, 1.0], False)]
    taught = supervised(rows, SHIFT)
    assert taught.samples.returns.tolist() == [-1.0, 1.0]
    assert taught.supervision.shift.tolist() == [1.3125, -1.3125]
    assert advantages(taught.trajectories) == [[-2.0 + 1.3125] * 2, [1.0 - 1.3125] * 3]
    assert measured(taught)["reverse_kl"] == pytest.approx(-1 / 5)


@given(cuts())
def test_sums_over_spans_are_those_of_a_loop(case: tuple[list[float], list[float], list[int], list[int]]) -> None:
    student, teacher, mine, theirs = (torch.tensor(column) for column in case)
    if not len(mine):
        assert len(span_ends(mine.long(), theirs.long())) == 0
        return
    ends = span_ends(mine, theirs)
    rewards = (aligned_logprobs(student, teacher, mine, theirs) - student).double()
    wanted, start = torch.zeros_like(rewards), 0
    for place, end in enumerate(ends.tolist()):
        if end:
            wanted[start : place + 1], start = rewards[start : place + 1].sum(), place + 1
    assert start == len(ends), "the last token ends a span"
    torch.testing.assert_close(span_sums(rewards[None], ends[None])[0], wanted)
    bounded = clipped(rewards[None], 2.5, ends[None])
    torch.testing.assert_close(span_sums(bounded, ends[None])[0], wanted.clamp(-2.5, 2.5))


def test_spans_of_several_teachers_end_where_all_of_them_do() -> None:
    one = rollout(QUESTION, [5, 6, 7])
    tokens, text = scored(one, [-1.0, -1.0, -1.0]), scored(one, [-2.0, -2.0, -2.0])
    text = replace(text, span_ends=torch.tensor([False, True, True]), normalized=False)
    for scores in ({"a": tokens, "b": text}, {"a": text, "b": text}):
        found = combined(scores, {"a": 0.5, "b": 0.5})
        assert isinstance(found, TeacherScores) and found.span_ends is not None
        assert found.span_ends.tolist() == [False, True, True] and not found.normalized
    found = combined({"a": tokens, "b": tokens}, {"a": 0.5, "b": 0.5})
    assert isinstance(found, TeacherScores) and found.span_ends is None and not found.normalized
    assert combined({"a": tokens}, {"a": 1.0}) is tokens


def expected_k3(teacher: Tensor) -> float:
    """Mean per token over all responses."""
    return (DRAWN[:, None] * k3(teacher - OLD)).sum().item() / 2


def test_k3_estimates_the_reverse_kl_to_one_distribution_only() -> None:
    """By enumeration. Of the mean log-probs of two teachers, and of spans, the second distribution is none."""
    exact = (DRAWN[:, None] * (OLD - TEACHER.logprobs())).sum().item() / 2
    assert expected_k3(TEACHER.logprobs()) == pytest.approx(exact, rel=1e-9)
    mean = (TEACHER.logprobs() + OTHER_TEACHER.logprobs()) / 2
    of_both = (DRAWN[:, None] * (OLD - mean)).sum().item() / 2
    assert abs(expected_k3(mean) - of_both) > 0.01
    of_text = kl(OLD.sum(1), TEXT).item() / 2
    assert of_text == pytest.approx(exact, rel=1e-9) and abs(expected_k3(SPREAD) - of_text) > 0.01


def test_k3_is_reported_of_samples_that_one_distribution_scored() -> None:
    plain, text = answer([1.0, -0.5], True), in_spans([2.0, 2.0], [False, True], False)
    assert isinstance(plain.scores, TeacherScores)
    several = replace(plain, scores=replace(plain.scores, teacher="a+b", normalized=False))
    corrected = replace(plain, student_logprobs=plain.rollout.logprobs)
    wanted = (math.expm1(1.0) - 1.0 + math.expm1(-0.5) + 0.5) / 2
    for others in ([], [text], [text, several, corrected]):
        assert measured(supervised([plain, *others], PLAIN))["reverse_kl_k3"] == pytest.approx(wanted)
    values = measured(supervised([text, several, corrected], PLAIN))
    assert "reverse_kl_k3" not in values and values["reverse_kl"] == pytest.approx(-5 / 6)


@pytest.mark.parametrize("clip", [None, 2.0])
@pytest.mark.parametrize("kind", [OnPolicyDistillation, ExtrapolatedDistillation])
def test_a_token_that_is_ruled_out_counts_nowhere_whatever_the_clip(
    clip: float | None, kind: type, backbone: Backbone
) -> None:
    """Neither in the return nor in the loss; a response that is ruled out whole has no return."""
    of: Objective = kind(policy=PolicyLoss(temperature=1.0, advantage_clip=clip, gate=math.inf))
    rows = [answer([-math.inf, 1.0], True), answer([-1.0], False), answer([-math.inf], True)]
    rows = [replace(row, base=row.scores) for row in rows]
    taught = supervised(rows, objective=of)  # type: ignore[arg-type]
    assert taught.samples.returns.tolist() == [1.0, -1.0, 0.0]
    assert taught.samples.scored.tolist() == [True, True, False]
    assert advantages(taught.trajectories) == [[0.0, 1.0], [-1.0], [0.0]]
    assert measured(taught)["ruled_out_tokens"] == 2
    update = learner(backbone).update(taught.trajectories)
    assert update.sums["gated"].tolist() == [1.0, 0.0, 1.0]
    alone = learner(backbone).update([replace(taught.trajectories[2], weight=1.0)])
    assert alone.values["skipped_updates"] == 1, "nothing to learn from"


def test_a_span_with_a_token_that_is_ruled_out_is_ruled_out_whole() -> None:
    ends, values = torch.tensor([[False, True, True]]), torch.tensor([[-math.inf, 1.0, 9.0]])
    assert clipped(values, 2.0, ends).tolist() == [[-math.inf, -math.inf, 2.0]]
    assert span_sums(values, ends).tolist() == [[-math.inf, -math.inf, 9.0]]


def test_trajectories_of_tokens_and_of_text_share_a_step() -> None:
    text = in_spans([1.0, 1.0, 0.5], [False, True, True])
    empty = rollout(QUESTION, [])
    taught = supervised([answer([0.25], True), text, trajectory(empty, scored(empty, []))], PLAIN)
    assert advantages(taught.trajectories) == [[0.25], [2.0, 2.0, 0.5], []]
