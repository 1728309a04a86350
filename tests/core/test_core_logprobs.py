"""Chunked log-probs against a full softmax in float64."""

import math

import pytest
import torch
from core_parts import naive_logprobs
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniopd_mm.distill.logprobs import log_softmax, predicted_logprobs, shifted, token_logprobs, unshifted
from uniopd_mm.types import Head

V, H = 11, 5


def inputs(batch: int, length: int, seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = scale * torch.randn(batch, length, H, generator=generator, dtype=torch.float64)
    head_weight = torch.randn(V, H, generator=generator, dtype=torch.float64)
    return (
        hidden.requires_grad_(),
        head_weight.requires_grad_(),
        torch.randint(3, V, (batch, length), generator=generator),
    )


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 7),
    chunk_size=st.integers(1, 30),
    temperature=st.sampled_from([0.3, 0.7, 1.0, 2.5]),
    banned=st.sampled_from([(), (0,), (0, 2)]),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 100),
)
def test_values_and_gradients_are_those_of_a_full_softmax(
    batch: int, length: int, chunk_size: int, temperature: float, banned: tuple[int, ...], scale: float, seed: int
) -> None:
    hidden, head_weight, ids = inputs(batch, length, seed, scale)
    settings_ = {"temperature": temperature, "banned_ids": banned}
    logprobs, entropy = token_logprobs(hidden, Head(weight=head_weight), ids, chunk_size=chunk_size, **settings_)
    naive = naive_logprobs(hidden, head_weight, ids, **settings_)
    assert not logprobs[:, 0].any() and not entropy[:, 0].any()
    torch.testing.assert_close(logprobs[:, 1:], naive[0], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(entropy[:, 1:], naive[1], rtol=1e-9, atol=1e-9)

    generator = torch.Generator().manual_seed(seed)
    weights = [torch.randn(value.shape, generator=generator, dtype=torch.float64) for value in naive]
    ours = (logprobs[:, 1:] * weights[0] + entropy[:, 1:] * weights[1]).sum()
    theirs = (naive[0] * weights[0] + naive[1] * weights[1]).sum()
    for mine, wanted in zip(
        torch.autograd.grad(ours, (hidden, head_weight)),
        torch.autograd.grad(theirs, (hidden, head_weight)),
        strict=True,
    ):
        torch.testing.assert_close(mine, wanted, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("banned", [(), (1, 4)])
def test_either_gradient_passes_gradcheck(banned: tuple[int, ...]) -> None:
    hidden, head_weight, ids = inputs(1, 4, seed=3)
    for entry in range(2):
        assert torch.autograd.gradcheck(
            lambda h, w, entry=entry: token_logprobs(
                h, Head(weight=w), ids, chunk_size=2, temperature=0.7, banned_ids=banned
            )[entry],
            (hidden, head_weight),
        )


def test_a_token_is_predicted_by_the_state_before_it() -> None:
    """H=1 and logits (h, 0): after h=log 3 token 0 has probability 3/4; after h=0 each has 1/2."""
    hidden = torch.tensor([[[math.log(3)], [0.0], [50.0]]])
    head_weight = torch.tensor([[1.0], [0.0]])
    logprobs, entropy = token_logprobs(
        hidden, Head(weight=head_weight), torch.tensor([[0, 0, 1]]), chunk_size=1, temperature=1.0
    )
    torch.testing.assert_close(logprobs, torch.tensor([[0.0, math.log(3 / 4), math.log(1 / 2)]]))
    quarter = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    torch.testing.assert_close(entropy, torch.tensor([[0.0, quarter, math.log(2)]]))


def test_the_mask_selects_and_leaves_zero_elsewhere() -> None:
    hidden, head_weight, ids = inputs(3, 6, seed=1)
    mask = torch.rand(3, 6, generator=torch.Generator().manual_seed(0)) > 0.5
    mask[:, 0] = False
    settings_ = {"chunk_size": 4, "temperature": 0.7, "banned_ids": (1,)}
    whole = token_logprobs(hidden, Head(weight=head_weight), ids, **settings_)
    states, targets = shifted(hidden, ids, mask)
    *selected, top_ids = predicted_logprobs(states, Head(weight=head_weight), targets, **settings_)
    for everywhere, values in zip(whole, selected, strict=True):
        torch.testing.assert_close(unshifted(values, mask), everywhere * mask)
    assert unshifted(top_ids, mask).dtype == torch.int64 and unshifted(targets, mask).equal(ids * mask)


def test_states_outside_the_mask_get_no_gradient() -> None:
    hidden, head_weight, ids = inputs(1, 4, seed=1)
    states, targets = shifted(hidden, ids, torch.tensor([[False, False, True, False]]))
    predicted_logprobs(states, Head(weight=head_weight), targets, chunk_size=4, temperature=1.0)[0].sum().backward()
    assert hidden.grad is not None
    assert hidden.grad[0].abs().sum(-1).ne(0).tolist() == [False, True, False, False]


def test_a_mask_on_the_first_token_is_refused() -> None:
    hidden, _, ids = inputs(2, 3, seed=0)
    mask = torch.zeros(2, 3, dtype=torch.bool)
    mask[1, 0] = True
    with pytest.raises(ValueError, match="first token"):
        shifted(hidden, ids, mask)


def test_an_empty_mask_gives_a_differentiable_zero() -> None:
    hidden, head_weight, ids = inputs(2, 3, seed=0)
    mask = torch.zeros(2, 3, dtype=torch.bool)
    states, targets = shifted(hidden, ids, mask)
    read = predicted_logprobs(states, Head(weight=head_weight), targets, chunk_size=4, temperature=1.0)
    logprobs, entropy, top_ids = (unshifted(values, mask) for values in read)
    (logprobs.sum() + entropy.sum()).backward()
    assert logprobs.shape == entropy.shape == top_ids.shape == (2, 3)
    assert hidden.grad is not None and not hidden.grad.any()
    assert head_weight.grad is not None and not head_weight.grad.any()


@pytest.mark.parametrize("chunk_size", [1, 4, 30])
def test_the_likeliest_id_is_that_of_the_allowed_ones(chunk_size: int) -> None:
    """H=1, head 3, 2, 1, 0: a positive state makes id 0 the likeliest, or 1 where 0 is banned; a negative one, id 3."""
    states = torch.tensor([[1.0], [-1.0], [2.0]], requires_grad=True)
    head_weight, targets = torch.tensor([[3.0], [2.0], [1.0], [0.0]]), torch.tensor([3, 3, 3])
    settings_ = {"chunk_size": chunk_size, "temperature": 1.0}
    for banned, likeliest in (((), [0, 3, 0]), ((0,), [1, 3, 1])):
        top_ids = predicted_logprobs(states, Head(weight=head_weight), targets, banned_ids=banned, **settings_)[2]
        assert top_ids.tolist() == likeliest and not top_ids.requires_grad


def test_a_banned_target_is_impossible_and_its_gradient_finite() -> None:
    hidden, head_weight, _ = inputs(1, 2, seed=0)
    logprobs, _, top_ids = predicted_logprobs(
        hidden[0], Head(weight=head_weight), torch.tensor([4, 1]), chunk_size=4, temperature=1.0, banned_ids=(4,)
    )
    assert logprobs[0] == -math.inf and logprobs[1].isfinite() and 4 not in top_ids
    logprobs.sum().backward()
    assert head_weight.grad is not None and head_weight.grad.isfinite().all() and not head_weight.grad[4].any()


def test_half_precision_states_give_float32_log_probs() -> None:
    hidden, head_weight, ids = (t.bfloat16() if t.is_floating_point() else t for t in inputs(1, 5, seed=0))
    logprobs, entropy = token_logprobs(hidden, Head(weight=head_weight), ids, chunk_size=3, temperature=1.0)
    assert logprobs.dtype == entropy.dtype == torch.float32
    logits = (hidden[:, :-1] @ head_weight.T).double()
    exact = torch.log_softmax(logits, -1).gather(-1, ids[:, 1:, None]).squeeze(-1)
    torch.testing.assert_close(logprobs[:, 1:].double(), exact, rtol=1e-5, atol=1e-5)


def test_log_softmax_leaves_its_argument_alone() -> None:
    logits = torch.randn(2, V)
    before = logits.clone()
    log_softmax(logits, 1.0, (2,))
    assert torch.equal(logits, before)


def test_a_chunk_holds_at_least_one_prediction() -> None:
    hidden, head_weight, ids = inputs(1, 3, seed=0)
    with pytest.raises(ValueError, match="chunk_size=0"):
        token_logprobs(hidden, Head(weight=head_weight), ids, chunk_size=0, temperature=1.0)
