"""Requests to servers of `python -m uniopd_mm.serve`, and the checks on their replies."""

from collections.abc import Mapping, Sequence
from typing import final

import torch

from uniopd_mm.teachers.requests import (
    MAX_NOTICE,
    HttpReply,
    HttpRequest,
    MediaNames,
    MissingMedia,
    Refused,
    RemoteRequest,
    Transient,
    check_status,
)
from uniopd_mm.teachers.router import verified_tokens
from uniopd_mm.types import Failure, Prompt, Rollout, Sampling, TeacherScores
from uniopd_mm.wire import CONTENT_TYPE, GENERATE, SCORE
from uniopd_mm.wire.codec import Malformed, pack, unpack
from uniopd_mm.wire.info import ServerInfo
from uniopd_mm.wire.media import MediaPayload, payload_of
from uniopd_mm.wire.messages import (
    GenerateAnswer,
    GenerateRequest,
    Reply,
    ScoreAnswer,
    ScoreRequest,
    ids_digest,
    read_responses,
    read_scores,
    sent_prompt,
)

MEDIA_MISSING = 409
ANSWER_BYTES = 2048  # the most that an answer has besides its tokens: names, digests, a reason
TOKEN_BYTES, TOP_BYTES = 64, 24  # the most for a token, and for each of its likeliest tokens


@final
class UniopdApi:
    """The `RemoteApi` of servers that all have the same `info`.

    Args:
        teacher: its name in scores and failures.
        tokens: the servers' tokens and ids, where they were fetched; None where they are those of the run.
    """

    one_per_request = False  # a request holds many responses, and each of their prompts once

    def __init__(self, info: ServerInfo, teacher: str, top_k: int, tokens: Mapping[str, int] | None = None) -> None:
        self.info = info
        self.teacher = teacher
        self.top_k = top_k
        self.vocab_size = info.vocab_size
        self.identity = info.model_identity(tokens)

    def score(
        self, rollouts: Sequence[Rollout], temperature: float = 1.0
    ) -> RemoteRequest[list[TeacherScores | Failure]]:
        """One entry per rollout, in order. Rollouts of one prompt must share the `Prompt` object."""
        prompts = {id(rollout.prompt): rollout.prompt for rollout in rollouts}
        index_of = {key: index for index, key in enumerate(prompts)}
        payloads = self._payloads(list(prompts.values()))
        by_name = {payload.name: payload for payload in payloads if payload}

        def build(known: MediaNames) -> HttpRequest:
            request = ScoreRequest(
                prompts=[sent_prompt(*pair) for pair in zip(prompts.values(), _names(payloads), strict=True)],
                prompt_of=[index_of[id(rollout.prompt)] for rollout in rollouts],
                responses=[rollout.response_ids for rollout in rollouts],
                top_k=self.top_k,
                temperature=temperature,
                payloads=_missing(by_name, known),
            )
            return HttpRequest(path=SCORE, content=pack(request), content_type=CONTENT_TYPE)

        tokens = sum(len(rollout.response_ids) for rollout in rollouts)
        return RemoteRequest(
            media=list(by_name),
            max_reply=_most_bytes(len(rollouts), tokens, self.top_k),
            build=build,
            parse=lambda reply, _: self._scores(rollouts, reply),
        )

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling
    ) -> RemoteRequest[list[list[Rollout]]]:
        """`num_samples` rollouts of each prompt, in order; group ids count from 0."""
        payloads = self._payloads(prompts)
        by_name = {payload.name: payload for payload in payloads if payload}

        def build(known: MediaNames) -> HttpRequest:
            request = GenerateRequest(
                prompts=[sent_prompt(*pair) for pair in zip(prompts, _names(payloads), strict=True)],
                num_samples=num_samples,
                sampling=sampling,
                payloads=_missing(by_name, known),
            )
            return HttpRequest(path=GENERATE, content=pack(request), content_type=CONTENT_TYPE)

        def parse(http_reply: HttpReply, known: MediaNames) -> list[list[Rollout]]:
            answers = iter(self._reply(http_reply, GENERATE, len(prompts) * num_samples).answers)
            return [
                [_rollout(prompt, group, next(answers), sampling) for _ in range(num_samples)]
                for group, prompt in enumerate(prompts)
            ]

        num_responses = len(prompts) * num_samples
        most = _most_bytes(num_responses, num_responses * sampling.max_new_tokens)
        return RemoteRequest(media=list(by_name), max_reply=most, build=build, parse=parse)

    def _payloads(self, prompts: Sequence[Prompt]) -> list[MediaPayload | None]:
        """Raises Refused if media cannot be sent."""
        try:
            return [payload_of(prompt, self.info.needs) for prompt in prompts]
        except (Malformed, TypeError) as error:
            raise Refused(f"media that cannot be sent: {error}", splittable=True) from error

    def _scores(self, rollouts: Sequence[Rollout], http_reply: HttpReply) -> list[TeacherScores | Failure]:
        reply = self._reply(http_reply, SCORE, len(rollouts))
        return [self._score(rollout, answer) for rollout, answer in zip(rollouts, reply.answers, strict=True)]

    def _score(self, rollout: Rollout, answer: ScoreAnswer) -> TeacherScores | Failure:
        """Raises Transient if the answer is about other tokens than the sampled ones."""
        if answer.prompt != ids_digest(rollout.prompt.token_ids):
            raise Transient("scored the response after another prompt")
        if answer.reason is not None:
            return Failure(teacher=self.teacher, reason=answer.reason)
        if self.top_k and (answer.topk_ids is None or answer.topk_ids.shape[1] != self.top_k):
            raise Transient(f"did not return the {self.top_k} likeliest tokens")
        scores = TeacherScores(
            teacher=self.teacher,
            token_ids=answer.token_ids,
            logprobs=answer.logprobs,
            entropy=answer.entropy,
            top_ids=answer.top_ids,
            topk_ids=answer.topk_ids,
            topk_logprobs=answer.topk_logprobs,
        )
        checked = verified_tokens(rollout, scores)
        if isinstance(checked, Failure):
            raise Transient(checked.reason)
        return checked

    def _reply(self, http_reply: HttpReply, endpoint: str, num_expected: int) -> Reply:
        """Raises what the status means, or Transient if the content is not a complete reply of this teacher."""
        try:
            if http_reply.status == MEDIA_MISSING:
                raise MissingMedia(unpack(http_reply.content)["missing"])
            check_status(http_reply)
            reply = (read_scores if endpoint == SCORE else read_responses)(http_reply.content)
        except (Malformed, KeyError, TypeError) as error:
            raise Transient(f"undecodable reply: {error}") from error
        if reply.identity != self.info.digest:
            raise Transient(f"now serves another teacher than {self.info.name}")
        if len(reply.answers) != num_expected:
            raise Transient(f"returned {len(reply.answers)} of {num_expected} answers")
        return reply


def _most_bytes(num_answers: int, num_tokens: int, top_k: int = 0) -> int:
    """The most bytes of a reply with these answers."""
    return MAX_NOTICE + num_answers * ANSWER_BYTES + num_tokens * (TOKEN_BYTES + top_k * TOP_BYTES)


def _names(payloads: Sequence[MediaPayload | None]) -> list[str | None]:
    return [payload.name if payload else None for payload in payloads]


def _missing(payloads: Mapping[str, MediaPayload], known: MediaNames) -> dict[str, bytes]:
    return {name: payload.packed() for name, payload in payloads.items() if name not in known}


def _rollout(prompt: Prompt, group: int, answer: GenerateAnswer, sampling: Sampling) -> Rollout:
    """Raises Transient if the answer is to another prompt."""
    if answer.prompt != ids_digest(prompt.token_ids) or torch.isnan(answer.logprobs).any():
        raise Transient("answered another prompt, or with NaN log-probs")
    return Rollout(
        prompt=prompt,
        group_id=group,
        response_ids=answer.response_ids,
        logprobs=answer.logprobs,
        finish_reason=answer.finish_reason,
        policy_step=sampling.policy_step,
    )
