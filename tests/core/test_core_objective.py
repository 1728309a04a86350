"""The clipped policy loss by hand, its independence of how a batch is split, and its expected gradient."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniopd_mm.distill.choices import Reduction
from uniopd_mm.distill.objective import clipped_policy_loss, denominator, reduce, token_rewards

REDUCTIONS = list(Reduction)
SETTINGS = {"clip_low": 0.2, "clip_high": 0.28, "gate": 10.0}


def row(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def one_token(ratio: float, advantage: float) -> tuple[float, float]:
    """Loss and its derivative in the log-prob, of one token."""
    logprob = row(math.log(ratio)).requires_grad_()
    mask = torch.tensor([[True]])
    loss, _ = clipped_policy_loss(logprob, row(0.0), row(advantage), row(0.0), mask, **SETTINGS, reduction="token_mean")
    loss.backward()
    assert logprob.grad is not None
    return loss.item(), logprob.grad.item()


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.1, 2.0, -2.2, -2.2),  # within the clip
        (1.5, 2.0, -2.56, 0.0),  # above it, and better already: -1.28 * 2
        (0.5, 2.0, -1.0, -1.0),  # below it, but the token should become likelier: not held back
        (1.5, -2.0, 3.0, 3.0),  # above it, but the token should become less likely: not held back
        (0.5, -2.0, 1.6, 0.0),  # below it, and less likely already: 0.8 * 2
        (1.25, 1.0, -1.25, -1.25),  # 1.25 is within 1.28 ...
        (0.75, -1.0, 0.8, 0.0),  # ... and 0.75 is not within 0.8: the clip is not symmetric
    ],
)
def test_a_token_by_hand(ratio: float, advantage: float, loss: float, slope: float) -> None:
    assert one_token(ratio, advantage) == pytest.approx((loss, slope), abs=1e-12)


def test_reductions_by_hand() -> None:
    """Losses 1, 2, 3 and 5 in samples of three tokens and one: (2 + 5) / 2 against 11 / 4; an empty sample is none."""
    losses = torch.tensor([[0.0, 1.0, 2.0, 3.0], [9.0, 5.0, 9.0, 9.0], [9.0, 9.0, 9.0, 9.0]])
    mask = torch.tensor([[0, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]]).bool()
    assert reduce(losses, mask, "sample_mean").item() == 3.5
    assert reduce(losses, mask, "token_mean").item() == 2.75
    assert (denominator(mask, "sample_mean").item(), denominator(mask, "token_mean").item()) == (2, 4)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_gradient_at_ratio_one_is_minus_the_advantage(reduction: str) -> None:
    mask = torch.tensor([[0, 1, 1, 1], [0, 1, 0, 0]]).bool()
    advantages = torch.tensor([[0.0, 1.5, -2.0, 0.25], [0.0, -4.0, 0.0, 0.0]])
    logprobs = torch.full((2, 4), -1.0, requires_grad=True)
    loss, _ = clipped_policy_loss(
        logprobs, logprobs.detach(), advantages, logprobs.detach(), mask, **SETTINGS, reduction=reduction
    )
    loss.backward()
    weights = torch.tensor([[1 / 6], [1 / 2]]) if reduction == "sample_mean" else torch.tensor(1 / 4)
    torch.testing.assert_close(logprobs.grad, -advantages * weights)


def test_the_gate_drops_tokens_far_from_the_teacher_and_keeps_the_denominator() -> None:
    """|-1 - -10.9| = 9.9 is within 10, 10.0 and 10.1 are not: one loss of three tokens is left, -(-9.9) / 3."""
    logprobs = row(-1.0, -1.0, -1.0).requires_grad_()
    teacher = row(-10.9, -11.0, -11.1)
    mask = torch.ones(1, 3, dtype=torch.bool)
    loss, metrics = clipped_policy_loss(
        logprobs, logprobs.detach(), teacher + 1, teacher, mask, **SETTINGS, reduction="token_mean"
    )
    loss.backward()
    assert loss.item() == pytest.approx(3.3)
    assert logprobs.grad is not None and logprobs.grad.tolist() == [[pytest.approx(3.3), 0, 0]]
    assert {name: value.item() for name, value in metrics.items()} == {
        "clipped": 0,
        "gated": 2,
        "ratio": 3,
        "tokens": 3,
    }


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("clip", [None, 3.0])
def test_a_token_the_teacher_rules_out_is_dropped_without_nan(reduction: str, clip: float | None) -> None:
    logprobs = row(-1.0, -2.0).requires_grad_()
    teacher, old = row(-math.inf, -1.0), logprobs.detach()
    advantages = token_rewards(teacher, old, clip)
    assert advantages.tolist() == [[-math.inf, 1.0]]
    mask = torch.ones(1, 2, dtype=torch.bool)
    loss, metrics = clipped_policy_loss(logprobs, old, advantages, teacher, mask, **SETTINGS, reduction=reduction)
    loss.backward()
    assert loss.item() == -0.5 and metrics["gated"] == 1
    assert logprobs.grad is not None and logprobs.grad.tolist() == [[0.0, -0.5]]


def test_an_unknown_reduction_names_the_choices() -> None:
    arguments = (row(0.0), row(0.0), row(0.0), row(0.0), torch.tensor([[True]]))
    with pytest.raises(ValueError, match=r"median.*sample_mean.*token_mean"):
        clipped_policy_loss(*arguments, **SETTINGS, reduction="median")


def batch(num: int, length: int, seed: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(4, num, length, generator=generator, dtype=torch.float64)
    mask = torch.rand(num, length, generator=generator) > 0.5
    return values[0], values[0] + values[1] / 5, values[2], values[3] * 6, mask


@settings(max_examples=60, deadline=None)
@given(
    num=st.integers(1, 7),
    cuts=st.lists(st.integers(0, 7)),
    seed=st.integers(0, 999),
    reduction=st.sampled_from(REDUCTIONS),
)
def test_a_split_batch_adds_up_to_the_whole(num: int, cuts: list[int], seed: int, reduction: str) -> None:
    arrays = batch(num, 5, seed)
    whole, _ = clipped_policy_loss(*arrays, **SETTINGS, reduction=reduction)
    total = denominator(arrays[4], reduction).clamp(min=1)
    parts = torch.zeros(())
    for start, end in itertools.pairwise(sorted({0, num, *(cut for cut in cuts if cut < num)})):
        part = [array[start:end] for array in arrays]
        loss, _ = clipped_policy_loss(*part, **SETTINGS, reduction=reduction)
        parts = parts + loss * denominator(part[4], reduction) / total
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 999),
    padding=st.sampled_from([0.0, 1e30, math.nan, math.inf, -math.inf]),
    reduction=st.sampled_from(REDUCTIONS),
)
def test_padding_never_matters(seed: int, padding: float, reduction: str) -> None:
    *arrays, mask = batch(3, 4, seed)
    wide = [torch.nn.functional.pad(array, (0, 2), value=padding) for array in arrays]
    logprobs = wide[0].requires_grad_()
    loss, metrics = clipped_policy_loss(
        logprobs, *wide[1:], torch.nn.functional.pad(mask, (0, 2)), **SETTINGS, reduction=reduction
    )
    loss.backward()
    expected, narrow = clipped_policy_loss(*arrays, mask, **SETTINGS, reduction=reduction)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    assert logprobs.grad is not None and not logprobs.grad[:, 4:].any() and logprobs.grad.isfinite().all()
    torch.testing.assert_close(metrics, narrow)


def test_a_batch_without_a_token_has_a_differentiable_zero_loss() -> None:
    logprobs = torch.randn(2, 3, requires_grad=True)
    zeros, mask = torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.bool)
    for reduction in REDUCTIONS:
        loss, _ = clipped_policy_loss(logprobs, zeros, zeros, zeros, mask, **SETTINGS, reduction=reduction)
        loss.backward()
        assert loss.item() == 0
    assert logprobs.grad is not None and not logprobs.grad.any()


WORDS, LENGTH = 6, 3


def log_policy(parameters: Tensor, words: tuple[int, ...]) -> Tensor:
    """[LENGTH, WORDS]: a distribution for each token, which depends on the token before it."""
    before = [WORDS, *words[:-1]]
    return torch.log_softmax(parameters[torch.arange(LENGTH), torch.tensor(before)], -1)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_the_expected_gradient_is_that_of_the_reverse_kl(reduction: str) -> None:
    """Over all 6^3 responses, each by its probability: the gradient of the mean over tokens of
    KL(pi(.|prefix) || pi_T(.|prefix)), at prefixes drawn from the policy and held fixed (a token is rewarded for
    itself alone, not for where it leads)."""
    generator = torch.Generator().manual_seed(0)
    shape = (LENGTH, WORDS + 1, WORDS)
    student = torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()
    teacher = torch.randn(shape, generator=generator, dtype=torch.float64)
    expected, exact = torch.zeros(shape, dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    mask = torch.ones(1, LENGTH, dtype=torch.bool)
    for words in itertools.product(range(WORDS), repeat=LENGTH):
        ours, theirs = log_policy(student, words), log_policy(teacher, words)
        chosen = torch.tensor(words)[:, None]
        logprobs, teacher_logprobs = ours.gather(1, chosen).T, theirs.gather(1, chosen).T
        old = logprobs.detach()
        loss, _ = clipped_policy_loss(
            logprobs,
            old,
            token_rewards(teacher_logprobs, old),
            teacher_logprobs,
            mask,
            clip_low=0.2,
            clip_high=0.28,
            gate=100.0,
            reduction=reduction,
        )
        probability = old.sum().exp()
        expected += probability * torch.autograd.grad(loss, student, retain_graph=True)[0]
        exact = exact + probability * (ours.exp() * (ours - theirs)).sum(-1).mean()
    torch.testing.assert_close(expected, torch.autograd.grad(exact, student)[0], rtol=1e-10, atol=1e-12)
    assert expected.abs().max() > 1e-3
