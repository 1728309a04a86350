"""Divergences where a naive one is NaN, infinite or negative: ids without probability, rests that rounding eats."""

import math

import pytest
import torch
from divergence_parts import (
    BETAS,
    PLAIN,
    M,
    V,
    all_readers,
    student,
    teacher,
    top_of,
    topk_divergence,
)
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("tail", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ids_that_the_teacher_rules_out_make_no_nan(beta: float, tail: bool, dtype: torch.dtype) -> None:
    """A teacher with banned ids of its own, asked for all its ids, gives some at -inf: as if it had not named them."""
    states, head, targets = (entry.to(dtype) if entry.is_floating_point() else entry for entry in student())
    states, head = states.detach().requires_grad_(), head.detach().requires_grad_()
    theirs = {name: value.to(dtype) for name, value in teacher().items()}
    for k in (V - 1, V):
        top = top_of(theirs, k, banned=(5, 6))
        assert top["topk_logprobs"].isneginf().any()
        divergence = topk_divergence(states, head, targets, **PLAIN, **top, beta=beta, tail=tail)[3]
        fewer = {name: value[:, : V - 2] for name, value in top.items()}
        unnamed = topk_divergence(states, head, targets, **PLAIN, **fewer, beta=beta, tail=tail)[3]
        torch.testing.assert_close(divergence, unnamed, rtol=1e-5, atol=1e-6)
        assert divergence.isfinite().all() and (divergence < 20).all()
        gradients = torch.autograd.grad(divergence.sum(), (states, head))
        assert all(gradient.isfinite().all() for gradient in gradients)


def test_ids_that_the_student_does_not_have_fall_into_the_tail() -> None:
    """A teacher of V + 2 ids whose likeliest is V + 1: as if it were not named."""
    states, head, targets = student()
    logprobs = torch.tensor([0.5, 0.25, 0.125]).double().log().expand(M, 3)
    for tail in (True, False):
        named = {"topk_ids": torch.tensor([[V + 1, 4, 2]]).expand(M, 3), "topk_logprobs": logprobs}
        unnamed = {"topk_ids": torch.tensor([[4, 2]]).expand(M, 2), "topk_logprobs": logprobs[:, 1:]}
        ours, wanted = (
            topk_divergence(states, head, targets, **PLAIN, **top, beta=0.5, tail=tail)[3] for top in (named, unnamed)
        )
        torch.testing.assert_close(ours, wanted)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("tail", [True, False])
@pytest.mark.parametrize("beta", BETAS)
def test_a_topk_that_holds_all_the_mass_is_finite_and_not_a_cliff(beta: float, tail: bool, dtype: torch.dtype) -> None:
    """The teacher's four ids sum up to 1 in its floating point, and to more by a rounding error; the student leaves
    about 1/500 to others. 1 - sum says that the teacher leaves nothing: that is not known, and a reverse KL must not
    make it ten thousand nats a probability."""
    logits = torch.zeros(1, V, dtype=dtype)
    logits[0, :4] = torch.tensor([9.0, 3.0, 2.0, 1.0])
    states = logits.requires_grad_()
    mass = torch.tensor([[0.9, 0.1 - 2e-20, 1e-20, 1e-20]], dtype=torch.float64).log()
    for excess in (0.0, 1e-6):
        top = {"topk_ids": torch.arange(4)[None], "topk_logprobs": (mass + excess).to(dtype)}
        arguments = (states, torch.eye(V, dtype=dtype), torch.tensor([0]))
        divergence = topk_divergence(*arguments, **PLAIN, **top, beta=beta, tail=tail)[3]
        gradient = torch.autograd.grad(divergence.sum(), states)[0]
        assert divergence.isfinite().all() and gradient.isfinite().all()
        assert -1e-5 <= divergence.item() < 1 and gradient.abs().max() < 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_students_small_tail_is_not_lost_in_rounding(dtype: torch.dtype) -> None:
    """The student leaves 2e-12 to the others, the teacher 1/2: the forward KL is 1/2 log(1/2) + 1/2 log(1/2 / 2e-12),
    and pulls the others up."""
    rest = 2e-12
    others = math.log(rest / (V - 1))
    states = torch.tensor([[0.0] + [others] * (V - 1)], dtype=dtype).requires_grad_()
    top = {"topk_ids": torch.tensor([[0]]), "topk_logprobs": torch.tensor([[math.log(0.5)]], dtype=dtype)}
    arguments = (states, torch.eye(V, dtype=dtype), torch.tensor([0]))
    divergence = topk_divergence(*arguments, **PLAIN, **top, beta=0.0, tail=True)[3]
    assert divergence.item() == pytest.approx(0.5 * math.log(0.5) + 0.5 * math.log(0.5 / rest), rel=1e-5)
    gradient = torch.autograd.grad(divergence.sum(), states)[0][0]
    assert gradient[0].item() == pytest.approx(0.5, rel=1e-5)
    assert gradient[1:].sum().item() == pytest.approx(-0.5, rel=1e-5)


@settings(max_examples=60, deadline=None)
@given(
    beta=st.floats(0, 1),
    scale=st.sampled_from([0.1, 3.0, 30.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 100),
)
def test_a_divergence_is_finite_and_never_negative(beta: float, scale: float, dtype: torch.dtype, seed: int) -> None:
    states, head, targets = student(seed, scale=scale)
    states, head = (entry.detach().to(dtype).requires_grad_() for entry in (states, head))
    theirs = {name: value.to(dtype) for name, value in teacher(seed + 100, scale=scale).items()}
    for divergence in all_readers((states, head, targets), theirs, **PLAIN, beta=beta):
        assert (divergence >= -2e-6).all() if dtype == torch.float32 else (divergence >= -1e-14).all()
        gradients = torch.autograd.grad(divergence.sum(), (states, head))
        assert divergence.isfinite().all() and all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("beta", BETAS)
def test_equal_distributions_do_not_diverge_and_do_not_pull(beta: float) -> None:
    states, head, targets = student()
    theirs = {"teacher_states": states.detach(), "teacher_head": head.detach()}
    for divergence in all_readers((states, head, targets), theirs, **PLAIN, beta=beta):
        torch.testing.assert_close(divergence, torch.zeros(M).double(), rtol=0, atol=1e-12)
        for gradient in torch.autograd.grad(divergence.sum(), (states, head)):
            torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-12)


def test_no_rows_are_a_differentiable_nothing() -> None:
    states, head, targets = student(rows=0)
    for divergence in all_readers((states, head, targets), teacher(rows=0), **PLAIN, beta=0.5):
        assert divergence.shape == (0,)
        assert not torch.autograd.grad(divergence.sum(), head)[0].any()
