"""Requests and answers as records, and the records as payloads.

Ids are checked on both sides: an answer repeats the response ids that it speaks of, and a digest of its prompt's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from uniopd_mm.types import FinishReason, Prompt, Sample, Sampling
from uniopd_mm.wire.codec import Malformed, digest, pack, unpack

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True, slots=True)
class SentPrompt:
    """A prompt whose media are named by `payload`, None for no media. `sample_id` seeds its responses."""

    sample_id: str
    token_ids: Tensor
    engine_token_ids: Tensor
    token_features: Mapping[str, Tensor]
    payload: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRequest:
    """Responses i64[R], each with the place of its prompt; `payloads` are the contents that the server may lack."""

    prompts: Sequence[SentPrompt]
    prompt_of: Sequence[int]
    responses: Sequence[Tensor]
    top_k: int
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
    """Of one response: see `TeacherScores`; or `reason`, why there are none."""

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
    """One response: ids i64[R] and log-probs f32[R]."""

    prompt: str
    response_ids: Tensor
    logprobs: Tensor
    finish_reason: FinishReason


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """The answers of the teacher with this identity; `answers` has an entry for each response, in order."""

    identity: str
    answers: Sequence[Any]


def ids_digest(prompt_ids: Tensor) -> str:
    """Names a prompt by its expanded ids i64[L]."""
    return digest(prompt_ids.to(torch.int64).contiguous().numpy().tobytes())


def sent(prompt: Prompt, payload: str | None) -> SentPrompt:
    """The prompt as it goes over the network."""
    return SentPrompt(
        sample_id=prompt.sample.sample_id,
        token_ids=prompt.token_ids,
        engine_token_ids=prompt.engine_token_ids,
        token_features=prompt.token_features,
        payload=payload,
    )


def received(prompt: SentPrompt) -> Prompt:
    """The prompt as engines take it, still without its media."""
    sample = Sample(sample_id=prompt.sample_id, domain="", messages=(), answer=None, source=prompt.sample_id)
    return Prompt(
        sample=sample,
        token_ids=prompt.token_ids,
        engine_token_ids=prompt.engine_token_ids,
        token_features=prompt.token_features,
    )


def write(record: ScoreRequest | GenerateRequest | Reply) -> bytes:
    """The payload of a record."""
    return pack(record)


def read_score_request(content: bytes) -> ScoreRequest:
    """Raises Malformed."""
    return _read(content, _score_request)


def read_generate_request(content: bytes) -> GenerateRequest:
    """Raises Malformed."""
    return _read(content, _generate_request)


def read_scores(content: bytes) -> Reply:
    """With `ScoreAnswer`s. Raises Malformed."""
    return _read(content, lambda values: _reply(values, _score_answer))


def read_responses(content: bytes) -> Reply:
    """With `GenerateAnswer`s. Raises Malformed."""
    return _read(content, lambda values: _reply(values, _generate_answer))


def _read(content: bytes, make: Callable[[Any], Record]) -> Record:
    values = unpack(content)
    try:
        return make(values)
    except (KeyError, TypeError, AttributeError, ValueError) as error:  # what a client sent may be anything
        reason = str(error) if isinstance(error, Malformed) else f"{type(error).__name__}: {error}"
        raise Malformed(f"not the record that is expected here: {reason}") from error


def _score_request(values: Any) -> ScoreRequest:
    request = ScoreRequest(
        prompts=[_prompt(entry) for entry in values["prompts"]],
        prompt_of=[int(place) for place in values["prompt_of"]],
        responses=[_ids(entry) for entry in values["responses"]],
        top_k=int(values["top_k"]),
        payloads=_parcels(values["payloads"]),
    )
    if len(request.prompt_of) != len(request.responses) or request.top_k < 0:
        raise Malformed("prompt_of, responses and top_k do not fit")
    if any(not 0 <= place < len(request.prompts) for place in request.prompt_of):
        raise Malformed("a response of a prompt that was not sent")
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
        raise Malformed("num_samples and max_new_tokens must be at least 1, temperature not below 0")
    prompts = [_prompt(entry) for entry in values["prompts"]]
    return GenerateRequest(
        prompts=prompts, num_samples=num_samples, sampling=sampling, payloads=_parcels(values["payloads"])
    )


def _prompt(values: Any) -> SentPrompt:
    ids, features = _ids(values["token_ids"]), dict(values["token_features"])
    if not len(ids) or any(feature.shape != ids.shape for feature in features.values()):
        raise Malformed("a prompt without tokens, or whose features do not fit them")
    payload = values["payload"]
    return SentPrompt(
        sample_id=str(values["sample_id"]),
        token_ids=ids,
        engine_token_ids=_ids(values["engine_token_ids"]),
        token_features=features,
        payload=None if payload is None else str(payload),
    )


def _ids(value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.dtype != torch.int64 or value.dim() != 1 or (value < 0).any():
        raise Malformed("ids that are no i64[L] of numbers from 0")
    return value


def _parcels(values: Any) -> dict[str, bytes]:
    if not all(isinstance(content, bytes) for content in values.values()):
        raise Malformed("media that are no bytes")
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
                raise Malformed("scores of another shape than their tokens")
    return answer


def _generate_answer(values: Any) -> GenerateAnswer:
    answer = GenerateAnswer(**{**values, "finish_reason": FinishReason(values["finish_reason"])})
    _logprobs(answer.logprobs, _ids(answer.response_ids))
    return answer


def _logprobs(value: Any, ids: Tensor) -> Tensor:
    if not isinstance(value, Tensor) or value.dtype != torch.float32 or value.shape != ids.shape:
        raise Malformed("log-probs that are no f32[R], one for each token")
    return value
