"""Log-probs aligned by bytes: against a plain loop over a text's bytes, on random cuts of a text; and several teachers'
scores as one."""

import math
from itertools import pairwise

import pytest
import torch
from core_parts import prompt, rollout, scored
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from uniopd_mm.distill.spans import aligned_logprobs
from uniopd_mm.teachers.router import combined
from uniopd_mm.types import Failure, TeacherScores


def aligned(student: list[float], teacher: list[float], mine: list[int], theirs: list[int]) -> Tensor:
    return aligned_logprobs(torch.tensor(student), torch.tensor(teacher), torch.tensor(mine), torch.tensor(theirs))


def naive(student: list[float], teacher: list[float], mine: list[int], theirs: list[int]) -> list[float]:
    """Byte by byte: a span ends after a byte that ends a token of both; a token stands in the span of its last byte,
    one without a byte in that of the byte before it."""
    ends, others = ends_of(mine), ends_of(theirs)
    span_of_byte, span = [], 0
    for byte in range(sum(mine)):
        span_of_byte.append(span)
        span += byte + 1 in ends and byte + 1 in others
    spans = [span_of_byte[max(0, end - 1)] if span_of_byte else 0 for end in ends]
    other_spans = [span_of_byte[max(0, end - 1)] if span_of_byte else 0 for end in others]
    result = []
    for value, own in zip(student, spans, strict=True):
        told = sum(v for v, s in zip(teacher, other_spans, strict=True) if s == own)
        said = sum(v for v, s in zip(student, spans, strict=True) if s == own)
        result.append(value + (told - said) / spans.count(own))
    return result


def ends_of(lengths: list[int]) -> list[int]:
    return [sum(lengths[: place + 1]) for place in range(len(lengths))]


@st.composite
def cuts(draw: st.DrawFn, first: int = 1) -> tuple[list[float], list[float], list[int], list[int]]:
    """Two cuts of one text, with tokens of no bytes in between but for the first `first` tokens."""
    size = draw(st.integers(0, 25))
    sides = []
    for _ in range(2):
        inner = draw(st.lists(st.integers(1, max(1, size)), max_size=12)) if size else []
        borders = sorted([0, size, *(min(size, border) for border in inner)])
        lengths = [end - start for start, end in pairwise(borders)]
        while first and lengths and lengths[0] == 0:
            lengths.pop(0)
        values = draw(st.lists(st.floats(-20, 0, width=32), min_size=len(lengths), max_size=len(lengths)))
        sides.append((values, lengths))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def test_the_miniature_of_the_docstring() -> None:
    """unhappily: un + happi + ly beside unhap + pi + ly."""
    found = aligned([-1.0, -2.0, -0.5], [-0.5, -1.5, -0.2], [2, 5, 2], [5, 2, 2])
    torch.testing.assert_close(found, torch.tensor([-0.5, -1.5, -0.2]))


def test_spans_of_one_token_and_several_by_hand() -> None:
    """ab|c|de beside a|b|cde: of the second span's reward of -2, c and de get -1 each."""
    found = aligned([-1.0, -2.0, -4.0], [-0.25, -0.5, -8.0], [2, 1, 2], [1, 1, 3])
    torch.testing.assert_close(found, torch.tensor([-0.75, -3.0, -5.0]))


@given(cuts())
def test_it_is_the_plain_loop(case: tuple[list[float], list[float], list[int], list[int]]) -> None:
    found = aligned(*case)
    assert found.dtype == torch.float32 and found.shape == (len(case[0]),)
    torch.testing.assert_close(found, torch.tensor(naive(*case)), rtol=1e-5, atol=1e-5)


@given(cuts(first=0))
def test_sums_over_the_text_are_the_teachers_own(case: tuple[list[float], list[float], list[int], list[int]]) -> None:
    """Wherever tokens without bytes stand, also before the first byte."""
    student, teacher, mine, _ = case
    found = aligned(*case)
    assert len(found) == len(student)
    if mine:
        assert found.double().sum().item() == pytest.approx(sum(teacher), abs=1e-3)


@given(cuts(), st.data())
def test_equal_cuts_give_the_teachers_log_probs(
    case: tuple[list[float], list[float], list[int], list[int]], data: st.DataObject
) -> None:
    student, _, mine, _ = case
    mine = [max(1, length) for length in mine]
    teacher = data.draw(st.lists(st.floats(-20, 0, width=32), min_size=len(mine), max_size=len(mine)))
    torch.testing.assert_close(aligned(student, teacher, mine, mine), torch.tensor(teacher), rtol=1e-6, atol=1e-6)


def test_a_token_without_bytes_shares_the_span_before_it() -> None:
    """The student writes a special token after the first byte; rewards 1.0 spread over both, and 0.5."""
    found = aligned([-3.0, -1.0, -1.0], [-3.0, -0.5], [1, 0, 1], [1, 1])
    torch.testing.assert_close(found, torch.tensor([-2.5, -0.5, -0.5]))


def test_a_token_that_the_teacher_rules_out_rules_out_its_span_alone() -> None:
    found = aligned([-1.0, -1.0, -1.0], [-math.inf, -2.0], [1, 1, 1], [2, 1])
    assert found.tolist() == [-math.inf, -math.inf, -2.0]


def test_other_lengths_are_never_aligned() -> None:
    with pytest.raises(AssertionError, match="same text"):
        aligned([-1.0], [-1.0], [2], [3])


def told(name: str, logprobs: list[float], entropy: list[float] | None = None) -> TeacherScores:
    one = rollout(prompt([1]), [5, 6])
    return TeacherScores(
        teacher=name,
        token_ids=one.response_ids,
        logprobs=torch.tensor(logprobs),
        entropy=None if entropy is None else torch.tensor(entropy),
        top_ids=one.response_ids,
    )


def test_scores_of_several_are_their_weighted_mean() -> None:
    scores = {"a": told("a", [-1.0, -2.0], [1.0, 2.0]), "b": told("b", [-3.0, -math.inf], [0.0, 4.0])}
    found = combined(scores, {"b": 0.25, "a": 0.75})  # by name, not by place
    assert isinstance(found, TeacherScores) and found.teacher == "a+b"
    assert found.logprobs.tolist() == [-1.5, -math.inf] and found.token_ids.tolist() == [5, 6]
    assert found.entropy is not None and found.entropy.tolist() == [0.75, 2.5]
    assert found.top_ids is None, "nobody's likeliest token is that of the mean"


def test_what_one_does_not_tell_is_not_told_of_the_mean() -> None:
    found = combined({"a": told("a", [-1.0, -2.0], [1.0, 2.0]), "b": told("b", [-3.0, -4.0])}, {"a": 0.5, "b": 0.5})
    assert isinstance(found, TeacherScores) and found.entropy is None


@pytest.mark.parametrize("failed", ["a", "b"])
def test_one_failure_fails_all(failed: str) -> None:
    scores: dict[str, TeacherScores | Failure] = {"a": told("a", [-1.0, -2.0]), "b": told("b", [-1.0, -2.0])}
    scores[failed] = Failure(teacher=failed, reason="down")
    assert combined(scores, {"a": 0.5, "b": 0.5}) == Failure(teacher=failed, reason="down")


def test_a_single_teachers_scores_are_left_alone() -> None:
    one = rollout(prompt([1]), [5])
    scores = scored(one, [-1.0])
    assert combined({"a": scores}, {"a": 1.0}) is scores


def test_the_expected_policy_gradient_is_that_of_the_weighted_kls() -> None:
    """By enumeration of all responses of two tokens over five words, in float64, with autograd."""
    torch.manual_seed(0)
    first, second = (torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((5,), (5, 5)))
    teachers = torch.randn(3, 25, dtype=torch.float64).log_softmax(-1)
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    policy = (first.log_softmax(0)[:, None] + second.log_softmax(1)).flatten()  # log pi of each response
    exact = sum(w * (policy.exp() * (policy - teacher)).sum() for w, teacher in zip(weights, teachers, strict=True))
    wanted = torch.autograd.grad(exact, (first, second), retain_graph=True)  # type: ignore[arg-type]
    names = [str(number) for number in range(3)]
    scores = {
        name: TeacherScores(teacher=name, token_ids=torch.arange(25), logprobs=teacher.float())
        for name, teacher in zip(names, teachers, strict=True)
    }
    mean = combined(scores, dict(zip(names, weights.tolist(), strict=True)))
    assert isinstance(mean, TeacherScores)
    rewards = mean.logprobs.double() - policy.detach()
    surrogate = -(policy.detach().exp() * rewards * policy).sum()  # E[-reward * grad log pi]
    for found, gradient in zip(torch.autograd.grad(surrogate, (first, second)), wanted, strict=True):
        assert gradient.norm() > 0.05
        torch.testing.assert_close(found, gradient, rtol=1e-5, atol=1e-6)
