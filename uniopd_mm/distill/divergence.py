"""Generalised Jensen-Shannon divergence between the teacher's and the student's distributions of the next token.

GKD (arXiv 2306.13649), with P the teacher, Q the student, M = beta P + (1 - beta) Q:

    JSD_beta(P || Q) = beta KL(P || M) + (1 - beta) KL(Q || M)    for 0 < beta < 1
    JSD_0 = KL(P || Q), the forward KL                            the limit of JSD_beta / beta as beta goes to 0
    JSD_1 = KL(Q || P), the reverse KL                            the limit of JSD_beta / (1 - beta) as beta goes to 1

Both functions are readers, like `logprobs.predicted_logprobs`. They process `states` [M, H] in checkpointed chunks, so
the logits of only one chunk of student and teacher exist at a time. An id with probability 0 on one side counts as
`IMPOSSIBLE`, so that every divergence is finite. Not here: the weights and the reduction of the loss.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from uniopd_mm.distill.logprobs import IMPOSSIBLE, in_chunks, log_softmax, logits_of
from uniopd_mm.types import Head

LOWEST = torch.finfo(torch.float32).min  # a logit for probability 0; its sums and differences are never NaN


def full_divergence(
    states: Tensor,
    head: Head,
    targets: Tensor,
    *,
    chunk_size: int,
    temperature: float,
    banned_ids: tuple[int, ...] = (),
    teacher_states: Tensor,
    teacher_head: Head,
    teacher_temperature: float = 1.0,
    beta: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """JSD_beta over the whole vocabulary, between the teacher at `teacher_temperature` and the student at
    `temperature`. If both are the same, it is 0 where their logits are the same, up to a constant.

    Both are compared on their common ids min(V, W) and renormalised there without the banned ids. Extra rows of the
    larger embedding are padding and carry no meaning.

    Args:
        states: [M, H] student's hidden states, before the `targets` i64[M].
        head: of the student, for V ids. Only its tensors and `states` get a gradient.
        teacher_states: [M, G] teacher's hidden states before the same tokens.
        teacher_head: of the teacher, for W ids.

    Returns:
        logprobs, entropies f32[M] and most likely ids i64[M] as in `predicted_logprobs`, but detached, so that their
            backward pass needs no logits; divergence f32[M] in nats.

    Raises:
        ValueError: beta outside [0, 1].
    """
    _check_beta(beta)
    common = min(len(head.weight), len(teacher_head.weight))
    banned_there = tuple(banned for banned in banned_ids if banned < common)

    def read(head: Head, states: Tensor, targets: Tensor, teacher_states: Tensor) -> tuple[Tensor, ...]:
        logits = logits_of(states, head)
        with torch.no_grad():
            teacher_logits = logits_of(teacher_states, teacher_head)[:, :common]
            teacher = log_softmax(teacher_logits, teacher_temperature, banned_there)
        divergence = _Divergence.apply(logits[:, :common], teacher, temperature, banned_there, beta)
        return *_statistics(logits, targets, temperature, banned_ids), divergence

    arrays = (states, targets, teacher_states)
    logprobs, entropy, top_ids, divergence = in_chunks(read, chunk_size, head, *arrays)
    return logprobs, entropy, top_ids, divergence


def topk_divergence(
    states: Tensor,
    head: Head,
    targets: Tensor,
    *,
    chunk_size: int,
    temperature: float,
    banned_ids: tuple[int, ...] = (),
    topk_ids: Tensor,
    topk_logprobs: Tensor,
    beta: float,
    tail: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """JSD_beta over the teacher's top-k tokens: `topk_ids` i64[M, K], all different, with `topk_logprobs` f[M, K].

    With `tail`, all other ids form one more bucket. Both sides are then distributions over K + 1 events, and merging
    ids never makes a divergence larger. Without it, both sides are renormalised over the K ids. A teacher's entry is
    dropped if its id is banned or unknown to the student, or if its log-prob is -inf. A dropped entry becomes part of
    the tail, if there is one.

    Other arguments and the results are those of `full_divergence`.

    Raises:
        ValueError: beta outside [0, 1]; a single id without a tail.
    """
    _check_beta(beta)
    if topk_ids.shape[-1] == 1 and not tail:
        raise ValueError(
            "one id renormalised alone has probability 1 on both sides, and the divergence is always zero: "
            "set tail=True or give more ids"
        )

    def read(head: Head, states: Tensor, targets: Tensor, ids: Tensor, teacher: Tensor) -> tuple[Tensor, ...]:
        logits = logits_of(states, head)
        kept = _comparable(ids, teacher, len(head.weight), banned_ids)
        student = _student_entries(log_softmax(logits, temperature, banned_ids), ids, kept, tail)
        entries = _teacher_entries(teacher, kept)
        if tail:
            entries = _with_rest(entries, torch.finfo(teacher.dtype).eps, empty=student[:, -1:] <= LOWEST / 2)
        divergence = _Divergence.apply(student, torch.log_softmax(entries, -1), 1.0, (), beta)
        return *_statistics(logits, targets, temperature, banned_ids), divergence

    arrays = (states, targets, topk_ids, topk_logprobs.detach())
    logprobs, entropy, top_ids, divergence = in_chunks(read, chunk_size, head, *arrays)
    return logprobs, entropy, top_ids, divergence


def generalized_jsd(teacher_logprobs: Tensor, student_logprobs: Tensor, beta: float) -> Tensor:
    """JSD_beta [...] of finite log-probs [..., C], by the formulas above."""
    if beta == 0:
        return (teacher_logprobs.exp() * (teacher_logprobs - student_logprobs)).sum(-1)
    divergence = _slope(student_logprobs, teacher_logprobs, beta).sum(-1)
    if beta < 1:
        mixture = _log_mixture(student_logprobs, teacher_logprobs, beta)
        divergence += beta * (teacher_logprobs.exp() * (teacher_logprobs - mixture)).sum(-1)
    return divergence


def _check_beta(beta: float) -> None:
    if not 0 <= beta <= 1:
        raise ValueError(f"beta={beta} must lie between 0 (forward KL) and 1 (reverse KL)")


# Called last in a chunk: the backward pass recomputes a chunk up to the last tensor it needs, and so never these.
@torch.no_grad()
def _statistics(
    logits: Tensor, targets: Tensor, temperature: float, banned_ids: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probs of `targets` and entropies f32[M], most likely ids i64[M], from `logits` [M, V]."""
    logprobs = log_softmax(logits, temperature, banned_ids)
    chosen, top_ids = logprobs.gather(-1, targets[:, None]).squeeze(-1), logprobs.argmax(-1)
    logprobs.clamp_(min=IMPOSSIBLE)
    return chosen, -logprobs.exp().mul_(logprobs).sum(-1), top_ids


def _comparable(ids: Tensor, logprobs: Tensor, vocab_size: int, banned_ids: tuple[int, ...]) -> Tensor:
    """bool[M, K]: entries that both sides can score."""
    banned = torch.isin(ids, torch.tensor(banned_ids, dtype=ids.dtype, device=ids.device))
    return (ids >= 0) & (ids < vocab_size) & ~banned & (logprobs != float("-inf"))


def _student_entries(logprobs: Tensor, ids: Tensor, kept: Tensor, tail: bool) -> Tensor:
    """Log-probs of `ids` from log-probs [M, V]: [M, K], or [M, K + 1] with that of all other ids.

    The probability of the other ids is summed directly. Computed as 1 minus the rest, small values would be lost to
    rounding.
    """
    entries = logprobs.gather(-1, ids.where(kept, 0)).masked_fill(~kept, LOWEST)
    if not tail:
        return entries
    num_rows, vocab_size = logprobs.shape
    taken = torch.zeros(num_rows, vocab_size + 1, dtype=torch.bool, device=logprobs.device)
    taken.scatter_(-1, ids.where(kept, vocab_size), True)  # dropped entries go to an extra column
    rest = logprobs.masked_fill(taken[:, :-1], LOWEST).logsumexp(-1, keepdim=True)
    return torch.cat([entries, rest], dim=-1)


def _teacher_entries(logprobs: Tensor, kept: Tensor) -> Tensor:
    """f32[M, K], or f64; LOWEST for dropped entries."""
    return logprobs.to(torch.promote_types(logprobs.dtype, torch.float32)).masked_fill(~kept, LOWEST)


def _with_rest(entries: Tensor, smallest: float, empty: Tensor) -> Tensor:
    """Teacher's log-probs [M, K + 1], with the rest as the last entry.

    The rest is log(1 - sum), which rounding may push to 0 or below. It is known only to the precision of the given
    log-probs, so it is at least `smallest`, unless there is no other id (`empty` bool[M, 1]).
    """
    rest = -torch.expm1(entries.logsumexp(-1, keepdim=True))
    return torch.cat([entries, rest.clamp(min=smallest).log().masked_fill(empty, LOWEST)], dim=-1)


class _Divergence(torch.autograd.Function):
    """JSD_beta [M] of student's logits and teacher's log-probs [M, C], with a hand-written backward pass.

    It saves two arrays for the backward pass; autograd would save one per operation. With q = softmax(z / temperature),
    p the teacher's probabilities, m = beta p + (1 - beta) q:

        d JSD_beta / d z = (s - q sum(s)) / temperature    s = q d JSD_beta / d q = (1 - beta) q log(q / m)

    up to a multiple of q, which cancels. s is -p for beta 0 and q log(q / p) for beta 1.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, teacher: Tensor, temperature: float, banned_ids: tuple[int, ...], beta: float
    ) -> Tensor:
        log_q = log_softmax(logits, temperature, banned_ids).clamp_(min=IMPOSSIBLE)
        log_p = teacher.to(log_q.dtype).clamp(min=IMPOSSIBLE)
        ctx.save_for_backward(log_q, log_p)
        ctx.temperature, ctx.beta = temperature, beta
        return generalized_jsd(log_p, log_q, beta)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, for_divergence: Tensor) -> tuple[Tensor, None, None, None, None]:
        log_q, log_p = ctx.saved_tensors
        gradient = _slope(log_q, log_p, ctx.beta)
        gradient -= log_q.exp() * gradient.sum(-1, keepdim=True)
        return gradient.mul_(for_divergence[:, None] / ctx.temperature), None, None, None, None


def _slope(log_q: Tensor, log_p: Tensor, beta: float) -> Tensor:
    """s [M, C] of `_Divergence`."""
    if beta == 0:
        return -log_p.exp()
    if beta == 1:
        return log_q.exp() * (log_q - log_p)
    return (1 - beta) * log_q.exp() * (log_q - _log_mixture(log_q, log_p, beta))


def _log_mixture(log_q: Tensor, log_p: Tensor, beta: float) -> Tensor:
    return torch.logaddexp(log_p + math.log(beta), log_q + math.log1p(-beta))
