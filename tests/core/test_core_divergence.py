"""Divergences between whole distributions against full softmaxes in float64."""

import math

import pytest
import torch
from divergence_parts import (
    BETAS,
    PLAIN,
    M,
    V,
    all_readers,
    full_divergence,
    grouped,
    naive_divergence,
    probabilities,
    same_gradients,
    student,
    teacher,
    top_of,
    topk_divergence,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from uniopd_mm.distill.divergence import generalized_jsd


@settings(max_examples=60, deadline=None)
@given(
    beta=st.sampled_from(BETAS),
    temperature=st.sampled_from([0.6, 1.0, 1.7]),
    banned=st.sampled_from([(), (1,), (0, 2)]),
    words=st.sampled_from([V - 3, V, V + 4]),
    chunk_size=st.integers(1, M + 1),
    seed=st.integers(0, 50),
)
def test_full_divergence_is_that_of_full_softmaxes(
    beta: float, temperature: float, banned: tuple[int, ...], words: int, chunk_size: int, seed: int
) -> None:
    states, head, targets = student(seed)
    theirs = teacher(seed + 100, words=words)
    logprobs, entropy, top_ids, divergence = full_divergence(
        states, head, targets, chunk_size=chunk_size, temperature=temperature, banned_ids=banned, **theirs, beta=beta
    )
    own = [i for i in range(V) if i not in banned]
    shared = [i for i in own if i < words]
    p = probabilities(theirs["teacher_states"], theirs["teacher_head"], shared)
    naive = naive_divergence(p, probabilities(states, head, shared, temperature), beta)
    torch.testing.assert_close(divergence, naive, rtol=1e-9, atol=1e-12)
    same_gradients(divergence, naive, states, head)

    whole = probabilities(states, head, own, temperature)
    places = torch.tensor([own.index(target) for target in targets.tolist()])
    torch.testing.assert_close(logprobs, whole.gather(-1, places[:, None]).squeeze(-1).log())
    torch.testing.assert_close(entropy, -(whole * whole.log()).sum(-1))
    assert top_ids.tolist() == [own[place] for place in whole.argmax(-1).tolist()]
    assert not logprobs.requires_grad and not entropy.requires_grad


@settings(max_examples=60, deadline=None)
@given(
    beta=st.sampled_from(BETAS),
    temperature=st.sampled_from([0.6, 1.0, 1.7]),
    k=st.integers(1, V - 1),
    tail=st.booleans(),
    chunk_size=st.integers(1, M + 1),
    seed=st.integers(0, 50),
)
def test_topk_divergence_is_that_of_grouped_softmaxes(
    beta: float, temperature: float, k: int, tail: bool, chunk_size: int, seed: int
) -> None:
    k = k if tail else max(k, 2)
    states, head, targets = student(seed)
    theirs = teacher(seed + 100)
    top = top_of(theirs, k)
    divergence = topk_divergence(
        states, head, targets, chunk_size=chunk_size, temperature=temperature, **top, beta=beta, tail=tail
    )[3]
    everything = list(range(V))
    p = grouped(probabilities(*theirs.values(), everything), top["topk_ids"], tail)
    q = grouped(probabilities(states, head, everything, temperature), top["topk_ids"], tail)
    naive = naive_divergence(p, q, beta)
    torch.testing.assert_close(divergence, naive, rtol=1e-8, atol=1e-12)
    same_gradients(divergence, naive, states, head)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("tail", [True, False])
def test_banned_ids_of_the_teachers_fall_into_the_tail_or_are_left_out(beta: float, tail: bool) -> None:
    """The student gives them nothing, so their share of the teacher's mass is that of the others, or of nobody."""
    states, head, targets = student()
    theirs = teacher()
    top = top_of(theirs, 4)
    banned = tuple(top["topk_ids"][0, :2].tolist())
    divergence = topk_divergence(states, head, targets, **PLAIN, banned_ids=banned, **top, beta=beta, tail=tail)[3]
    p = probabilities(*theirs.values(), list(range(V)))
    allowed = [i for i in range(V) if i not in banned]
    q = torch.zeros_like(p).index_copy(1, torch.tensor(allowed), probabilities(states, head, allowed))
    for row in range(M):
        ids = torch.tensor([[i for i in top["topk_ids"][row].tolist() if i not in banned]])
        classes = [grouped(side[row : row + 1], ids, tail) for side in (p, q)]
        torch.testing.assert_close(divergence[row : row + 1], naive_divergence(*classes, beta), rtol=1e-8, atol=1e-12)
    gradients = torch.autograd.grad(divergence.sum(), (states, head))
    assert all(gradient.isfinite().all() for gradient in gradients) and not gradients[1][list(banned)].any()


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("banned", [(), (1, 4)])
def test_every_divergence_passes_gradcheck(beta: float, banned: tuple[int, ...]) -> None:
    states, head, targets = student(rows=3)
    theirs = teacher(rows=3)
    shared = {"chunk_size": 2, "temperature": 0.7, "banned_ids": banned, "beta": beta}
    tops = [(top_of(theirs, k), tail) for k, tail in ((3, True), (3, False), (1, True), (V, True))]
    readers = [lambda s, h: full_divergence(s, h, targets, **shared, **theirs)[3]]
    readers += [
        lambda s, h, top=top, tail=tail: topk_divergence(s, h, targets, **shared, **top, tail=tail)[3]
        for top, tail in tops
    ]
    for read in readers:
        assert torch.autograd.gradcheck(read, (states, head))


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("k", [V - 1, V, V + 5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_topk_of_all_ids_with_a_tail_is_the_full_divergence(beta: float, k: int, dtype: torch.dtype) -> None:
    states, head, targets = (entry.to(dtype) if entry.is_floating_point() else entry for entry in student())
    theirs = {name: value.to(dtype) for name, value in teacher().items()}
    full = full_divergence(states, head, targets, **PLAIN, **theirs, beta=beta)
    top = topk_divergence(states, head, targets, **PLAIN, **top_of(theirs, k), beta=beta, tail=True)
    tolerance = {"rtol": 1e-9, "atol": 1e-10} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(top, full, **tolerance)


def test_a_topk_by_hand() -> None:
    """Teacher (1/2, 1/4, 1/8, 1/8), student uniform. The first two: 2/3, 1/3 against 1/2, 1/2; with the others' 1/4
    against 1/2: KL = 1/2 log 2 + 1/4 log 1 + 1/4 log 1/2 = 1/4 log 2."""
    p = torch.tensor([[0.5, 0.25, 0.125, 0.125]]).double()
    given_ = {"topk_ids": torch.tensor([[0, 1]]), "topk_logprobs": p[:, :2].log(), "beta": 0.0}
    arguments = (torch.zeros(1, 1).double(), torch.zeros(4, 1).double(), torch.tensor([0]))
    with_tail = topk_divergence(*arguments, **PLAIN, **given_, tail=True)[3]
    without = topk_divergence(*arguments, **PLAIN, **given_, tail=False)[3]
    assert with_tail.item() == pytest.approx(math.log(2) / 4)
    assert without.item() == pytest.approx(2 / 3 * math.log(4 / 3) + 1 / 3 * math.log(2 / 3))


def test_a_jsd_by_hand() -> None:
    """(1, 0) against (1/2, 1/2) with the middle (3/4, 1/4): an id without probability adds nothing to its own side."""
    p, q = torch.tensor([[0.0, -1e4]]).double(), torch.tensor([[0.5, 0.5]]).double().log()
    value = generalized_jsd(p, q, 0.5).item()
    assert value == pytest.approx(0.5 * math.log(4 / 3) + 0.5 * (0.5 * math.log(2 / 3) + 0.5 * math.log(2)))


@pytest.mark.parametrize("beta", BETAS)
def test_float32_is_close_to_float64(beta: float) -> None:
    states, head, targets = student(scale=2)
    theirs = teacher(scale=2)
    exact = all_readers((states, head, targets), theirs, **PLAIN, beta=beta)
    single = {name: value.float() for name, value in theirs.items()}
    rough = all_readers((states.float(), head.float(), targets), single, **PLAIN, beta=beta)
    for close, wanted in zip(rough, exact, strict=True):
        assert close.dtype == torch.float32
        torch.testing.assert_close(close.double(), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("beta", BETAS)
def test_the_chunk_size_changes_nothing(beta: float) -> None:
    states, head, targets = student()
    named = {"temperature": 0.7, "banned_ids": (2,), "beta": beta}
    for chunk_size in (1, 4, 100):
        whole = all_readers((states, head, targets), teacher(), chunk_size=M, **named)
        split = all_readers((states, head, targets), teacher(), chunk_size=chunk_size, **named)
        torch.testing.assert_close(split, whole, rtol=1e-12, atol=1e-14)
        for ours, wanted in zip(split, whole, strict=True):
            same_gradients(ours, wanted, states, head)


def test_the_teacher_gets_no_gradient() -> None:
    states, head, targets = student()
    theirs = {name: value.requires_grad_() for name, value in teacher().items()}
    divergence = full_divergence(
        states,
        head,
        targets,
        **PLAIN,
        teacher_states=theirs["teacher_states"].detach(),
        teacher_head=theirs["teacher_head"],
        beta=0.5,
    )[3]
    divergence.sum().backward()
    assert theirs["teacher_head"].grad is None and states.grad is not None and head.grad is not None


def test_one_id_without_a_tail_is_refused() -> None:
    with pytest.raises(ValueError, match="tail=True"):
        topk_divergence(*student(), **PLAIN, **top_of(teacher(), 1), beta=0.5, tail=False)
    assert topk_divergence(*student(), **PLAIN, **top_of(teacher(), 1), beta=0.5, tail=True)[3].min() > 0


@pytest.mark.parametrize("beta", [-0.1, 1.1, math.nan])
def test_a_beta_outside_its_range_is_refused(beta: float) -> None:
    with pytest.raises(ValueError, match=r"beta=.* between 0"):
        full_divergence(*student(), **PLAIN, **teacher(), beta=beta)
    with pytest.raises(ValueError, match=r"beta=.* between 0"):
        topk_divergence(*student(), **PLAIN, **top_of(teacher(), 3), beta=beta, tail=True)
