"""From a payload to a job for the engine, and from the engine's answers to a payload."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import Any, final

from torch import Tensor

from uniopd_mm.interfaces import RolloutEngine, Teacher
from uniopd_mm.serving.jobs import Generate, Job, Jobs, Score
from uniopd_mm.serving.metrics import Metrics
from uniopd_mm.serving.store import MediaStore
from uniopd_mm.types import Failure, FinishReason, Prompt, Rollout, TeacherScores, Vocabulary
from uniopd_mm.wire import GENERATE, SCORE
from uniopd_mm.wire.codec import Malformed
from uniopd_mm.wire.info import ServerInfo
from uniopd_mm.wire.media import with_media
from uniopd_mm.wire.messages import (
    GenerateAnswer,
    Reply,
    ScoreAnswer,
    SentPrompt,
    ids_digest,
    read_generate_request,
    read_score_request,
    received,
    write,
)


class MissingMedia(Exception):
    """Media that were only named, and are not here; `names` are theirs."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} media are not here")
        self.names = list(names)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A teacher that is ready; `vocabulary` is of its tokenizer, None where it is told by its digest alone."""

    scorer: Teacher
    writer: RolloutEngine
    info: ServerInfo
    vocabulary: Vocabulary | None = None


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """What a server does, without HTTP; called from several threads at once."""

    info: ServerInfo
    vocabulary: Vocabulary | None
    jobs: Jobs
    store: MediaStore
    metrics: Metrics

    def job(self, endpoint: str, content: bytes, seconds: float) -> Job:
        """What a request asks, all media at hand.

        Raises:
            Malformed: it cannot be read, or asks what this teacher does not give.
            MissingMedia: it names media that it must send.
        """
        expires = monotonic() + seconds
        request = self._score(content) if endpoint == SCORE else self._generate(content)
        return Job(request=request, expires=expires, answer=Future())

    def reply(self, job: Job, answers: Sequence[Any]) -> bytes:
        """The payload for what the engine said."""
        if isinstance(job.request, Score):
            top_k, pairs = job.request.top_k, zip(job.request.rollouts, answers, strict=True)
            said: list[Any] = [_scores(rollout, answer, top_k) for rollout, answer in pairs]
            self.metrics.failures.inc(sum(answer.reason is not None for answer in said))
            self._count(SCORE, [answer.token_ids for answer in said])
        else:
            said = [_response(rollout) for group in answers for rollout in group]
            self._count(GENERATE, [answer.response_ids for answer in said])
        return write(Reply(identity=self.info.identity, answers=said))

    def _count(self, endpoint: str, responses: Sequence[Any]) -> None:
        self.metrics.rollouts.labels(endpoint).inc(len(responses))
        self.metrics.tokens.labels(endpoint).inc(sum(map(len, responses)))

    def _score(self, content: bytes) -> Score:
        request = read_score_request(content)
        if request.top_k > self.info.top_k:
            raise Malformed(f"top_k={request.top_k}: this server gives {self.info.top_k}; start it with server.top_k")
        prompts = self._prompts(request.prompts, request.payloads)
        places = zip(request.prompt_of, request.responses, strict=True)
        rollouts = [_rollout(prompts[place], place, response) for place, response in places]
        return Score(rollouts=rollouts, top_k=request.top_k)

    def _generate(self, content: bytes) -> Generate:
        request = read_generate_request(content)
        prompts = self._prompts(request.prompts, request.payloads)
        return Generate(prompts=prompts, num_samples=request.num_samples, sampling=request.sampling)

    def _prompts(self, prompts: Sequence[SentPrompt], payloads: Mapping[str, bytes]) -> list[Prompt]:
        for prompt in prompts:
            self._check_ids(prompt)
        fresh = {name: self.store.add(name, content) for name, content in payloads.items()}
        self.metrics.media_bytes.inc(sum(map(len, payloads.values())))
        wanted = dict.fromkeys(prompt.payload for prompt in prompts if prompt.payload is not None)
        found = {name: fresh[name] if name in fresh else self.store.get(name) for name in wanted}
        missing = [name for name, media in found.items() if media is None]
        self.metrics.media_misses.inc(len(missing))
        self.metrics.media_hits.inc(len(found) - len(missing) - len(fresh.keys() & found.keys()))
        if missing:
            raise MissingMedia(missing)
        media = [found[prompt.payload] if prompt.payload is not None else None for prompt in prompts]
        return [with_media(received(one), of, self.info.needs) for one, of in zip(prompts, media, strict=True)]

    def _check_ids(self, prompt: SentPrompt) -> None:
        """On a GPU an id beyond the embedding would end the whole process's use of it."""
        for ids in (prompt.token_ids, prompt.engine_token_ids):
            if len(ids) and int(ids.max()) >= self.info.vocab_size:
                raise Malformed(f"id {int(ids.max())} is beyond the teacher's {self.info.vocab_size} ids")


def _rollout(prompt: Prompt, place: int, response: Any) -> Rollout:
    """Teachers read ids alone; log-probs stay with who sampled them."""
    return Rollout(
        prompt=prompt,
        group_id=place,
        response_ids=response,
        logprobs=response.new_zeros(len(response)).float(),
        finish_reason=FinishReason.STOP,
        policy_step=0,
    )


def _scores(rollout: Rollout, answer: TeacherScores | Failure, top_k: int) -> ScoreAnswer:
    name = ids_digest(rollout.prompt.token_ids)
    if isinstance(answer, Failure):
        nothing = rollout.response_ids[:0]
        return ScoreAnswer(prompt=name, token_ids=nothing, logprobs=nothing.float(), reason=answer.reason)
    return ScoreAnswer(
        prompt=name,
        token_ids=answer.token_ids,
        logprobs=answer.logprobs,
        entropy=answer.entropy,
        top_ids=answer.top_ids,
        topk_ids=_first(answer.topk_ids, top_k),
        topk_logprobs=_first(answer.topk_logprobs, top_k),
    )


def _first(columns: Tensor | None, top_k: int) -> Tensor | None:
    """The first of [R, K] columns, likeliest first; None where nobody asked."""
    return None if columns is None or not top_k else columns[:, :top_k]


def _response(rollout: Rollout) -> GenerateAnswer:
    return GenerateAnswer(
        prompt=ids_digest(rollout.prompt.token_ids),
        response_ids=rollout.response_ids,
        logprobs=rollout.logprobs,
        finish_reason=rollout.finish_reason,
    )
