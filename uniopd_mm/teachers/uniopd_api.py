"""What is said to a server of `python -m uniopd_mm.serve`, and how its answers are judged."""

from collections.abc import Mapping, Sequence
from typing import final

import torch

from uniopd_mm.teachers.requests import (
    HttpReply,
    HttpRequest,
    Known,
    Missing,
    Refused,
    RemoteRequest,
    Transient,
    check_status,
)
from uniopd_mm.teachers.router import verified
from uniopd_mm.types import Failure, Prompt, Rollout, Sampling, TeacherScores
from uniopd_mm.wire import CONTENT_TYPE, GENERATE, SCORE
from uniopd_mm.wire.codec import Malformed, unpack
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
    sent,
    write,
)

MEDIA_MISSING = 409


@final
class UniopdApi:
    """Errands for servers that all say `info` of themselves, and know `tokens` (None: those that they are sent)."""

    one_by_one = False  # a request holds many responses, each prompt once

    def __init__(self, info: ServerInfo, teacher: str, top_k: int, tokens: Mapping[str, int] | None = None) -> None:
        self.info = info
        self.teacher = teacher
        self.top_k = top_k
        self.vocab_size = info.vocab_size
        self.identity = info.compared(tokens)

    def score(self, rollouts: Sequence[Rollout]) -> RemoteRequest[list[TeacherScores | Failure]]:
        """One entry per rollout, in order. Rollouts of one prompt share the record."""
        prompts = {id(rollout.prompt): rollout.prompt for rollout in rollouts}
        place = {key: index for index, key in enumerate(prompts)}
        payloads = self._parcels(list(prompts.values()))
        contents = {payload.name: payload for payload in payloads if payload}

        def written(known: Known) -> HttpRequest:
            request = ScoreRequest(
                prompts=[sent(*pair) for pair in zip(prompts.values(), _names(payloads), strict=True)],
                prompt_of=[place[id(rollout.prompt)] for rollout in rollouts],
                responses=[rollout.response_ids for rollout in rollouts],
                top_k=self.top_k,
                payloads=_unknown(contents, known),
            )
            return HttpRequest(path=SCORE, content=write(request), content_type=CONTENT_TYPE)

        return RemoteRequest(media=list(contents), write=written, read=lambda said, _: self._scores(rollouts, said))

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling
    ) -> RemoteRequest[list[list[Rollout]]]:
        """`num_samples` rollouts of each prompt, in order; group ids count from 0."""
        payloads = self._parcels(prompts)
        contents = {payload.name: payload for payload in payloads if payload}

        def written(known: Known) -> HttpRequest:
            request = GenerateRequest(
                prompts=[sent(*pair) for pair in zip(prompts, _names(payloads), strict=True)],
                num_samples=num_samples,
                sampling=sampling,
                payloads=_unknown(contents, known),
            )
            return HttpRequest(path=GENERATE, content=write(request), content_type=CONTENT_TYPE)

        def read(said: HttpReply, known: Known) -> list[list[Rollout]]:
            return self._responses(prompts, num_samples, sampling, said)

        return RemoteRequest(media=list(contents), write=written, read=read)

    def _parcels(self, prompts: Sequence[Prompt]) -> list[MediaPayload | None]:
        """Raises Refused where media cannot be sent."""
        try:
            return [payload_of(prompt, self.info.needs) for prompt in prompts]
        except (Malformed, TypeError) as error:
            raise Refused(f"media that cannot be sent: {error}", alone=True) from error

    def _scores(self, rollouts: Sequence[Rollout], said: HttpReply) -> list[TeacherScores | Failure]:
        reply = self._reply(said, SCORE, len(rollouts))
        return [self._score(rollout, answer) for rollout, answer in zip(rollouts, reply.answers, strict=True)]

    def _score(self, rollout: Rollout, answer: ScoreAnswer) -> TeacherScores | Failure:
        """Raises Transient where it speaks of other tokens than the sampled ones."""
        if answer.prompt != ids_digest(rollout.prompt.token_ids):
            raise Transient("scored a response behind another prompt")
        if answer.reason is not None:
            return Failure(teacher=self.teacher, reason=answer.reason)
        if self.top_k and (answer.topk_ids is None or answer.topk_ids.shape[1] != self.top_k):
            raise Transient(f"does not name the {self.top_k} likeliest tokens")
        scores = TeacherScores(
            teacher=self.teacher,
            token_ids=answer.token_ids,
            logprobs=answer.logprobs,
            entropy=answer.entropy,
            top_ids=answer.top_ids,
            topk_ids=answer.topk_ids,
            topk_logprobs=answer.topk_logprobs,
        )
        judged = verified(rollout, scores)
        if isinstance(judged, Failure):
            raise Transient(judged.reason)
        return judged

    def _responses(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, said: HttpReply
    ) -> list[list[Rollout]]:
        reply = self._reply(said, GENERATE, len(prompts) * num_samples)
        answers = iter(reply.answers)
        return [
            [_rollout(prompt, group, next(answers), sampling) for _ in range(num_samples)]
            for group, prompt in enumerate(prompts)
        ]

    def _reply(self, said: HttpReply, endpoint: str, expected: int) -> Reply:
        """Raises what a status means, or Transient where the content is not a whole answer of this teacher."""
        try:
            if said.status == MEDIA_MISSING:
                raise Missing(unpack(said.content)["missing"])
            check_status(said)
            reply = (read_scores if endpoint == SCORE else read_responses)(said.content)
        except (Malformed, KeyError, TypeError) as error:
            raise Transient(f"undecodable answer: {error}") from error
        if reply.identity != self.info.identity:
            raise Transient(f"serves another teacher than {self.info.name} now")
        if len(reply.answers) != expected:
            raise Transient(f"answered {len(reply.answers)} of {expected}")
        return reply


def _names(payloads: Sequence[MediaPayload | None]) -> list[str | None]:
    return [payload.name if payload else None for payload in payloads]


def _unknown(contents: Mapping[str, MediaPayload], known: Known) -> dict[str, bytes]:
    return {name: payload.packed() for name, payload in contents.items() if name not in known}


def _rollout(prompt: Prompt, group: int, answer: GenerateAnswer, sampling: Sampling) -> Rollout:
    """Raises Transient where it answers another prompt."""
    if answer.prompt != ids_digest(prompt.token_ids) or torch.isnan(answer.logprobs).any():
        raise Transient("answered another prompt, or with log-probs that are NaN")
    return Rollout(
        prompt=prompt,
        group_id=group,
        response_ids=answer.response_ids,
        logprobs=answer.logprobs,
        finish_reason=answer.finish_reason,
        policy_step=sampling.policy_step,
    )
