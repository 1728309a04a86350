"""A teacher's scores beyond the log-prob of each token: its entropy and its top-k tokens, from chunks of logits."""

import torch
from torch import Tensor

from uniopd_mm.distill.logprobs import IMPOSSIBLE, log_softmax, logits_of
from uniopd_mm.types import Head


def likeliest_tokens(
    states: Tensor,
    head: Head,
    targets: Tensor,
    *,
    top_k: int,
    chunk_size: int,
    temperature: float,
    banned_ids: tuple[int, ...] = (),
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scores of `targets` i64[M], predicted by `states` [M, H].

    Returns log-probs and entropies f32[M], and the K = min(top_k, V) most likely tokens i64[M, K] with their log-probs
    f32[M, K], in descending order. Keeps all chunks; for teachers, which need no backward pass.
    """
    chunks = [
        _chunk(log_softmax(logits_of(part, head), temperature, banned_ids), target, top_k)
        for part, target in zip(states.split(chunk_size), targets.split(chunk_size), strict=True)
    ]
    logprobs, entropy, ids, values = (torch.cat(column) for column in zip(*chunks, strict=True))
    return logprobs, entropy, ids, values


def _chunk(distribution: Tensor, targets: Tensor, top_k: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    chosen = distribution.gather(-1, targets[:, None]).squeeze(-1)
    values, ids = distribution.topk(min(top_k, distribution.shape[-1]))
    finite = distribution.clamp(min=IMPOSSIBLE)
    return chosen, -(finite.exp() * finite).sum(-1), ids, values
