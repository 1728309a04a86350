"""The input of an objective: a batch of student tokens beside what the teachers said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uniopd_mm.types import Head, TokenBatch

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherTokens:
    """The teachers' outputs at the M tokens of a loss mask. Each field is None unless all teachers provide it:
    `top_ids` i64[M], `topk_ids` and `topk_logprobs` [M, K], `hidden` [M, G] with their shared `head`."""

    top_ids: Tensor | None = None
    topk_ids: Tensor | None = None
    topk_logprobs: Tensor | None = None
    hidden: Tensor | None = None
    head: Head | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """The input of the objective. `advantages`, `old_logprobs` and `teacher_logprobs` f32[N, T] (None without a
    teacher) are zero outside `tokens.loss_mask`, which is all False for a sample whose teacher failed. `weights`
    f32[N] scale the samples' losses, 0 for an excluded sample. `domains` has N names."""

    tokens: TokenBatch
    advantages: Tensor
    old_logprobs: Tensor
    teacher_logprobs: Tensor | None
    teacher_tokens: TeacherTokens
    weights: Tensor
    domains: tuple[str, ...]
