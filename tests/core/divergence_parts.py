"""A student and a teacher of a few ids, and their divergences written naively, with full softmaxes in float64."""

from typing import Any

import torch
from torch import Tensor

from uniopd_mm.distill import divergence, likeliest
from uniopd_mm.types import Head

V, H, G, M = 13, 5, 4, 6
BETAS = [0.0, 0.3, 0.5, 1.0]
PLAIN = {"chunk_size": 4, "temperature": 1.0}


def randn(*shape: int, seed: int, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def student(seed: int = 0, rows: int = M, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """States [rows, H], head [V, H] and targets of a student."""
    targets = torch.randint(3, V, (rows,), generator=torch.Generator().manual_seed(seed))
    return randn(rows, H, seed=seed, scale=scale).requires_grad_(), randn(V, H, seed=1).requires_grad_(), targets


def teacher(seed: int = 2, rows: int = M, words: int = V, scale: float = 1.0) -> dict[str, Tensor]:
    return {"teacher_states": randn(rows, G, seed=seed, scale=scale), "teacher_head": randn(words, G, seed=3)}


def full_divergence(
    states: Tensor, head: Tensor, targets: Tensor, *, teacher_head: Tensor, **named: Any
) -> tuple[Tensor, ...]:
    """With output embeddings alone, as all below: what else a model does to its logits is tested in test_core_head."""
    whole = {"teacher_head": Head(weight=teacher_head), **named}
    return divergence.full_divergence(states, Head(weight=head), targets, **whole)


def topk_divergence(states: Tensor, head: Tensor, targets: Tensor, **named: Any) -> tuple[Tensor, ...]:
    return divergence.topk_divergence(states, Head(weight=head), targets, **named)


def likeliest_tokens(states: Tensor, head: Tensor, targets: Tensor, **named: Any) -> tuple[Tensor, ...]:
    return likeliest.likeliest_tokens(states, Head(weight=head), targets, **named)


def probabilities(states: Tensor, head: Tensor, ids: list[int], temperature: float = 1.0) -> Tensor:
    """[M, len(ids)]: a softmax over these ids alone."""
    weights = (states @ head.T / temperature)[:, ids].exp()
    return weights / weights.sum(-1, keepdim=True)


def naive_kl(first: Tensor, second: Tensor) -> Tensor:
    terms = [
        torch.where(p > 0, p * (p.clamp(min=1e-300) / q.clamp(min=1e-300)).log(), 0)
        for p, q in zip(first.unbind(-1), second.unbind(-1), strict=True)
    ]
    return torch.stack(terms).sum(0)


def naive_divergence(p: Tensor, q: Tensor, beta: float) -> Tensor:
    """Of a teacher's and a student's probabilities [M, C]."""
    if beta in (0.0, 1.0):
        return naive_kl(p, q) if beta == 0 else naive_kl(q, p)
    middle = beta * p + (1 - beta) * q
    return beta * naive_kl(p, middle) + (1 - beta) * naive_kl(q, middle)


def grouped(values: Tensor, ids: Tensor, tail: bool) -> Tensor:
    """Probabilities [M, V] of the classes `ids` i64[M, K], and of all others together, or renormalised."""
    chosen = values.gather(-1, ids)
    if not tail:
        return chosen / chosen.sum(-1, keepdim=True)
    others = torch.ones_like(values).scatter(-1, ids, 0)
    return torch.cat([chosen, (values * others).sum(-1, keepdim=True)], -1)


def same_gradients(ours: Tensor, naive: Tensor, *parameters: Tensor) -> None:
    weights = randn(*ours.shape, seed=9)
    torch.testing.assert_close(
        torch.autograd.grad((ours * weights).sum(), parameters),
        torch.autograd.grad((naive * weights).sum(), parameters),
        rtol=1e-8,
        atol=1e-10,
    )


def top_of(theirs: dict[str, Tensor], k: int, banned: tuple[int, ...] = ()) -> dict[str, Tensor]:
    """The teacher's k likeliest tokens, as a teacher gives them."""
    nothing = torch.zeros(len(theirs["teacher_states"]), dtype=torch.int64)
    _, _, ids, logprobs = likeliest_tokens(
        theirs["teacher_states"], theirs["teacher_head"], nothing, top_k=k, **PLAIN, banned_ids=banned
    )
    return {"topk_ids": ids, "topk_logprobs": logprobs}


def all_readers(arguments: tuple[Tensor, ...], theirs: dict[str, Tensor], **named: Any) -> list[Tensor]:
    """Divergences of every kind."""
    tops = [topk_divergence(*arguments, **named, **top_of(theirs, 4), tail=tail)[3] for tail in (True, False)]
    return [full_divergence(*arguments, **named, **theirs)[3], *tops]
