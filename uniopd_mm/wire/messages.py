"""Requests and replies as records, and their encoding.

Both sides check the ids: an answer repeats the ids of its response, and a digest of its prompt's ids.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from uniopd_mm.types import FinishReason, Prompt, Sample, Sampling
from uniopd_mm.wire.codec import UNEXPECTED, Malformed, digest, unpack

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True, slots=True)
class SentPrompt:
    """A prompt whose media are named by `payload` (None: no media). `domain`, `sample_id` and `place` seed its
    responses."""

    sample_id: str
    domain: str
    place: int
    token_ids: Tensor
    engine_token_ids: Tensor
    engine_resizes: bool
    token_features: Mapping[str, Tensor]
    payload: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRequest:
    """Responses i64[R]; `prompt_of` has the index of each one's prompt. `temperature` divides the teacher's logits.
    `payloads` are the media that the server may lack: packed, by name."""

    prompts: Sequence[SentPrompt]
    prompt_of: Sequence[int]
    responses: Sequence[Tensor]
    top_k: int
    temperature: float
    payloads: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateRequest:
    """`num_samples` responses for each prompt."""

    prompts: Sequence[SentPrompt]
    num_samples: int
    sampling: Sampling
    payloads: Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreAnswer:
    """The scores of one response (see `TeacherScores`), or the `reason` why there are none. `prompt` is the digest of
    its prompt's ids."""

    prompt: str
    token_ids: Tensor
    logprobs: Tensor
    entropy: Tensor | None = None
    top_ids: Tensor | None = None
    topk_ids: Tensor | None = None
    topk_logprobs: Tensor | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateAnswer:
    """One response: ids i64[R] and log-probs f32[R]. `prompt` is the digest of its prompt's ids."""

    prompt: str
    response_ids: Tensor
    logprobs: Tensor
    finish_reason: FinishReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The answers for all responses, in order. `identity` is the `digest` of the server's info."""

    identity: str
    answers: Sequence[Any]


def ids_digest(prompt_ids: Tensor) -> str:
    """A digest of a prompt's expanded ids i64[L]."""
    return digest(prompt_ids.to(torch.int64).contiguous().numpy().tobytes())


def sent_prompt(prompt: Prompt, payload: str | None) -> SentPrompt:
    """The prompt as it is sent."""
    return SentPrompt(
        sample_id=prompt.sample.sample_id,
        domain=prompt.sample.domain,
        place=prompt.place,
        token_ids=prompt.token_ids,
        engine_token_ids=prompt.engine_token_ids,
        engine_resizes=prompt.engine_resizes,
        token_features=prompt.token_features,
        payload=payload,
    )


def received_prompt(prompt: SentPrompt) -> Prompt:
    """The prompt for an engine, still without its media."""
    sample = Sample(sample_id=prompt.sample_id, domain=prompt.domain, messages=(), answer=None, source=prompt.sample_id)
    return Prompt(
        sample=sample,
        token_ids=prompt.token_ids,
        engine_token_ids=prompt.engine_token_ids,
        engine_resizes=prompt.engine_resizes,
        token_features=prompt.token_features,
        place=prompt.place,
    )


def read_score_request(content: bytes) -> ScoreRequest:
    """Raises Malformed."""
    return _read(content, _score_request)


def read_generate_request(content: bytes) -> GenerateRequest:
    """Raises Malformed."""
    return _read(content, _generate_request)


def read_scores(content: bytes) -> Reply:
    """A reply with `ScoreAnswer`s. Raises Malformed."""
    return _read(content, lambda values: _reply(values, _score_answer))


def read_responses(content: bytes) -> Reply:
    """A reply with `GenerateAnswer`s. Raises Malformed."""
    return _read(content, lambda values: _reply(values, _generate_answer))


def _read(content: bytes, make: Callable[[Any], Record]) -> Record:
    values = unpack(content)
    try:
        return make(values)
    except UNEXPECTED as error:  # the other side may send anything
        reason = str(error) if isinstance(error, Malformed) else f"{type(error).__name__}: {error}"
        raise Malformed(f"not the expected record: {reason}") from error


def _score_request(values: Any) -> ScoreRequest:
    request = ScoreRequest(
        prompts=[_prompt(entry) for entry in values["prompts"]],
        prompt_of=[int(index) for index in values["prompt_of"]],
        responses=[_ids(entry) for entry in values["responses"]],
        top_k=int(values["top_k"]),
        temperature=float(values["temperature"]),
        payloads=_payloads(values["payloads"]),
    )
    if len(request.prompt_of) != len(request.responses) or request.top_k < 0:
        raise Malformed("prompt_of and responses differ in length, or top_k is below 0")
    if any(not 0 <= index < len(request.prompts) for index in request.prompt_of):
        raise Malformed("a response to a prompt that was not sent")
    if not 0 < request.temperature < float("inf"):
        raise Malformed(f"temperature={request.temperature} must be above 0")
    return request


def _generate_request(values: Any) -> GenerateRequest:
    given = values["sampling"]
    sampling = Sampling(
        temperature=float(given["temperature"]),
        max_new_tokens=int(given["max_new_tokens"]),
        seed=int(given["seed"]),
        policy_step=int(given["policy_step"]),
        stop_strings=tuple(str(text) for text in given["stop_strings"]),
    )
    num_samples = int(values["num_samples"])
    if num_samples < 1 or sampling.max_new_tokens < 1 or not 0 <= sampling.temperature < float("inf"):
        raise Malformed("num_samples and max_new_tokens must be at least 1, temperature at least 0")
    prompts = [_prompt(entry) for entry in values["prompts"]]
    return GenerateRequest(
        prompts=prompts, num_samples=num_samples, sampling=sampling, payloads=_payloads(values["payloads"])
    )


def _prompt(values: Any) -> SentPrompt:
    ids, features = _ids(values["token_ids"]), dict(values["token_features"])
    aligned = (isinstance(feature, Tensor) and feature.shape == ids.shape for feature in features.values())
    if not len(ids) or not all(aligned):
        raise Malformed("a prompt has no tokens, or its token features have another length")
    payload = values["payload"]
    return SentPrompt(
        sample_id=str(values["sample_id"]),
        domain=str(values["domain"]),
        place=int(values["place"]),
        token_ids=ids,
        engine_token_ids=_ids(values["engine_token_ids"]),
        engine_resizes=bool(values["engine_resizes"]),
        token_features=features,
        payload=None if payload is None else str(payload),
    )


def _ids(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.dtype != torch.int64 or value.dim() != 1 or (value < 0).any():
        raise Malformed("ids are not an i64[L] tensor of numbers from 0")
    return value


def _payloads(values: Any) -> dict[str, bytes]:
    if not all(isinstance(content, bytes) for content in values.values()):
        raise Malformed("media payloads are not bytes")
    return dict(values)


def _reply(values: Any, make: Callable[[Any], Record]) -> Reply:
    return Reply(identity=str(values["identity"]), answers=[make(answer) for answer in values["answers"]])


def _score_answer(values: Any) -> ScoreAnswer:
    answer = ScoreAnswer(**values)
    length = len(_logprobs(answer.logprobs, _ids(answer.token_ids)))
    columns = {1: (answer.entropy, answer.top_ids), 2: (answer.topk_ids, answer.topk_logprobs)}
    for rank, tensors in columns.items():
        for column in tensors:
            if column is not None and (not isinstance(column, Tensor) or (column.dim(), len(column)) != (rank, length)):
                raise Malformed("scores and their tokens differ in shape")
    return answer


def _generate_answer(values: Any) -> GenerateAnswer:
    answer = GenerateAnswer(**{**values, "finish_reason": FinishReason(values["finish_reason"])})
    _logprobs(answer.logprobs, _ids(answer.response_ids))
    return answer


def _logprobs(value: Any, ids: Tensor) -> Tensor:
    if not isinstance(value, Tensor) or value.dtype != torch.float32 or value.shape != ids.shape:
        raise Malformed("log-probs are not an f32[R] tensor, one for each token")
    return value
