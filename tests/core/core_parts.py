"""Records made by hand, and the naive forms that the core is compared with."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from uniopd_mm.config.parts import RoutingConfig
from uniopd_mm.interfaces import Teacher
from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.teachers.routes import build_routes
from uniopd_mm.types import (
    FinishReason,
    Message,
    Outcome,
    Prompt,
    Rollout,
    Sample,
    Sampling,
    TeacherScores,
    TokenBatch,
    Trajectory,
)


def sample(sample_id: str = "s", domain: str = "d", text: str = "How many?") -> Sample:
    return Sample(
        sample_id=sample_id,
        domain=domain,
        messages=(Message(role="user", content=(text,)),),
        answer="1",
        source=f"{sample_id}.jsonl:1",
    )


def prompt(token_ids: list[int], sample_id: str = "s", domain: str = "d", **fields: dict[str, Tensor]) -> Prompt:
    ids = torch.tensor(token_ids)
    return Prompt(sample=sample(sample_id, domain), token_ids=ids, engine_token_ids=ids, **fields)


def rollout(of: Prompt, response: list[int], logprobs: list[float] | None = None, group_id: int = 0) -> Rollout:
    values = [-1.0] * len(response) if logprobs is None else logprobs
    return Rollout(
        prompt=of,
        group_id=group_id,
        response_ids=torch.tensor(response, dtype=torch.int64),
        logprobs=torch.tensor(values, dtype=torch.float32),
        finish_reason=FinishReason.STOP,
        policy_step=1,
    )


def scored(of: Rollout, logprobs: list[float] | Tensor) -> TeacherScores:
    values = torch.as_tensor(logprobs, dtype=torch.float32)
    return TeacherScores(teacher="t", token_ids=of.response_ids, logprobs=values)


def routed(teachers: Mapping[str, Teacher], temperature: float = 1.0) -> TeacherRouter:
    """Each teacher teaches the domain it stands under."""
    return TeacherRouter(teachers, build_routes(RoutingConfig(), tuple(teachers), tuple(teachers)), temperature)


def trajectory(of: Rollout, scores: object, correct: bool | None = True) -> Trajectory:
    outcome = Outcome(correct=correct, reward=float(correct is True), reason="")
    return Trajectory(rollout=of, response="", outcome=outcome, scores=scores)  # type: ignore[arg-type]


def taught(of: Trajectory, advantages: list[float] | Tensor, weight: float = 1.0) -> Trajectory:
    return replace(of, advantages=torch.as_tensor(advantages, dtype=torch.float32), weight=weight)


def sampling(temperature: float = 1.0, max_new_tokens: int = 8, seed: int = 0, policy_step: int = 1) -> Sampling:
    return Sampling(temperature=temperature, max_new_tokens=max_new_tokens, seed=seed, policy_step=policy_step)


def plain_logits(model: torch.nn.Module, tokens: TokenBatch) -> Tensor:
    """f32[N, T, V] by the model's own forward pass."""
    with torch.no_grad():
        return model(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask.long(),
            **tokens.media,
            **tokens.token_features,
        ).logits


def naive_logprobs(
    hidden: Tensor, head_weight: Tensor, ids: Tensor, temperature: float, banned_ids: tuple[int, ...] = ()
) -> tuple[Tensor, Tensor]:
    """Log-probs and entropies [B, T - 1] of tokens 1.. by a full softmax over the ids that are not banned."""
    logits = hidden[:, :-1] @ head_weight.T / temperature
    allowed = torch.ones(len(head_weight), dtype=torch.bool)
    allowed[list(banned_ids)] = False
    normalizer = logits[..., allowed].logsumexp(-1, keepdim=True)
    logprobs = logits - normalizer
    entropy = -(logprobs[..., allowed].exp() * logprobs[..., allowed]).sum(-1)
    return logprobs.gather(-1, ids[:, 1:, None]).squeeze(-1), entropy
