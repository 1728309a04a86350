"""Log-probs of given tokens from hidden states, without holding the logits of a whole sequence.

The one-token shift of a causal model (hidden state t-1 predicts token t) is in this file and nowhere else: the arrays
it returns are token-aligned. Chunks are activation-checkpointed: the backward pass recomputes each chunk's logits, so
the peak is one chunk's logits whatever the length of the sequence. Not here: tensor-parallel vocabularies.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from uniopd_mm.types import Head

IMPOSSIBLE = -1e4  # exp(-1e4) is 0 even in float64: such an id adds nothing to sums, and p log p is 0, not 0 * -inf


def token_logprobs(
    hidden: Tensor,
    head: Head,
    ids: Tensor,
    *,
    chunk_size: int,
    temperature: float,
    banned_ids: tuple[int, ...] = (),
) -> tuple[Tensor, Tensor]:
    """Log-prob of every token, and entropy of the distribution it was drawn from.

    Args:
        hidden: [B, T, H] hidden states; entry t has read tokens 0..t.
        head: of the model; V is its number of ids.
        ids: i64[B, T] tokens.
        chunk_size: number of predictions whose logits ([chunk_size, V]) exist at a time.
        temperature: divides the logits. Use the sampling temperature, so that both sides mean the same distribution.
        banned_ids: ids with probability 0.

    Returns:
        logprobs f32[B, T], entropy f32[B, T] in nats. Entry 0, which nothing predicts, is 0 in both.
    """
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[:, 0] = False
    states, targets = shifted(hidden, ids, mask)
    logprobs, entropy, _ = predicted_logprobs(
        states, head, targets, chunk_size=chunk_size, temperature=temperature, banned_ids=banned_ids
    )
    return unshifted(logprobs, mask), unshifted(entropy, mask)


def shifted(hidden: Tensor, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The M tokens i64[M] of `mask` bool[B, T], row by row, and the states [M, H] that predict them. Prompts cost
    nothing.

    Raises:
        ValueError: the mask contains a first token, which nothing predicts.
    """
    if mask[:, 0].any():
        raise ValueError("the first token of a sequence has no log-prob; its mask entry must be False")
    return hidden[:, :-1][mask[:, 1:]], ids[mask]


def unshifted(values: Tensor, mask: Tensor) -> Tensor:
    """[B, T] with the values [M] at the tokens of `mask` bool[B, T], 0 elsewhere."""
    return values.new_zeros(mask.shape).masked_scatter(mask, values)


def predicted_logprobs(
    states: Tensor,
    head: Head,
    targets: Tensor,
    *,
    chunk_size: int,
    temperature: float,
    banned_ids: tuple[int, ...] = (),
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probs and entropies f32[M] of `targets` i64[M], and the most likely ids i64[M].

    Already shifted: `states` [M, H] predict the targets.
    """
    read = partial(_chunk, temperature=temperature, banned_ids=banned_ids)
    logprobs, entropy, top_ids = in_chunks(read, chunk_size, head, states, targets)
    return logprobs, entropy, top_ids


def in_chunks(
    read: Callable[..., tuple[Tensor, ...]], chunk_size: int, head: Head, *rows: Tensor
) -> tuple[Tensor, ...]:
    """Apply `read(head, *rows)` to `chunk_size` of the M rows at a time, activation-checkpointed, and
    concatenate the results."""
    if chunk_size < 1:
        raise ValueError(f"chunk_size={chunk_size} must be at least 1")
    chunks = [
        checkpoint(read, head, *part, use_reentrant=False)
        for part in zip(*(row.split(chunk_size) for row in rows), strict=True)
    ]
    return tuple(torch.cat(column) for column in zip(*chunks, strict=True))


def _chunk(
    head: Head, states: Tensor, targets: Tensor, *, temperature: float, banned_ids: tuple[int, ...]
) -> tuple[Tensor, Tensor, Tensor]:
    return _ChosenAndEntropy.apply(logits_of(states, head), targets, temperature, banned_ids)


class _ChosenAndEntropy(torch.autograd.Function):
    """Log-probs of `targets` and entropies [M] from logits [M, V], with a hand-written backward pass.

    Autograd would keep six arrays of the logits' size; three are enough. With l = log softmax(z / temperature), p =
    exp(l), H = -sum p l:

        d l_target / d z = (onehot(target) - p) / temperature        d H / d z = -p (l + H) / temperature
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, targets: Tensor, temperature: float, banned_ids: tuple[int, ...]
    ) -> tuple[Tensor, Tensor, Tensor]:
        logprobs = log_softmax(logits, temperature, banned_ids)
        chosen = logprobs.gather(-1, targets[:, None]).squeeze(-1)
        top_ids = logprobs.argmax(-1)
        ctx.mark_non_differentiable(top_ids)
        logprobs.clamp_(min=IMPOSSIBLE)
        entropy = -logprobs.exp().mul_(logprobs).sum(-1)
        ctx.save_for_backward(logprobs, targets, entropy)
        ctx.temperature, ctx.banned_ids = temperature, banned_ids
        return chosen, entropy, top_ids

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, for_chosen: Tensor, for_entropy: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        logprobs, targets, entropy = ctx.saved_tensors
        gradient = logprobs + entropy[:, None]
        gradient.mul_(-for_entropy[:, None]).sub_(for_chosen[:, None]).mul_(logprobs.exp())
        gradient.scatter_add_(-1, targets[:, None], for_chosen[:, None])
        if ctx.banned_ids:
            gradient[:, list(ctx.banned_ids)] = 0
        return gradient.div_(ctx.temperature), None, None, None


def logits_of(states: Tensor, head: Head) -> Tensor:
    """cap * tanh(scale * (W h + b) / cap), [..., V] of `states` [..., H]: the operations of the model itself, in their
    order and dtype. Without a cap, scale * (W h + b)."""
    logits = linear(states, head.weight, head.bias)
    if head.scale != 1:
        logits = logits * head.scale
    return logits if head.cap is None else torch.tanh(logits / head.cap) * head.cap


def log_softmax(logits: Tensor, temperature: float, banned_ids: tuple[int, ...] = ()) -> Tensor:
    """Log-probs f32[..., V] (f64 for f64 logits) of the policy: logits divided by temperature, banned ids at -inf."""
    scaled = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    if banned_ids:
        scaled[..., list(banned_ids)] = float("-inf")
    return torch.log_softmax(scaled, dim=-1)
