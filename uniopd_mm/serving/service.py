"""From the body of a request to a job for the engine, and from the engine's answers to the body of the reply."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from time import monotonic
from typing import Any, final

from torch import Tensor

from uniopd_mm.interfaces import RolloutEngine, Teacher
from uniopd_mm.serving.jobs import Generate, Job, Jobs, Score
from uniopd_mm.serving.metrics import Metrics
from uniopd_mm.serving.store import MediaStore
from uniopd_mm.types import BadSample, Failure, FinishReason, Prompt, Rollout, Sampling, TeacherScores, Vocabulary
from uniopd_mm.wire import GENERATE, SCORE
from uniopd_mm.wire.codec import Malformed, pack
from uniopd_mm.wire.info import ServerInfo
from uniopd_mm.wire.media import Needs, with_media
from uniopd_mm.wire.messages import (
    GenerateAnswer,
    Reply,
    ScoreAnswer,
    SentPrompt,
    ids_digest,
    read_generate_request,
    read_score_request,
    received_prompt,
)


class MissingMedia(Exception):
    """The request names media that are not in the store."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{len(names)} media are missing")
        self.names = list(names)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """A loaded teacher. `check` raises BadSample for prompts whose media its engine must not read. `vocabulary` is that
    of its tokenizer; None publishes only its digest."""

    scorer: Teacher
    engine: RolloutEngine
    info: ServerInfo
    check: Callable[[Prompt], None]
    vocabulary: Vocabulary | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SamplingLimits:
    """The most that one request may have generated: responses to a prompt, and tokens of each."""

    max_samples: int
    max_new_tokens: int

    def check(self, num_samples: int, sampling: Sampling) -> None:
        """Raises Malformed above a limit."""
        given = {"num_samples": num_samples, "max_new_tokens": sampling.max_new_tokens}
        for (name, value), key in zip(given.items(), ("max_samples", "max_new_tokens"), strict=True):
            if value > getattr(self, key):
                raise Malformed(
                    f"{name}={value} is above {getattr(self, key)}; start the server with server.{key}={value}"
                )


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """The server without HTTP. Several threads call it at once."""

    info: ServerInfo
    check: Callable[[Prompt], None]
    limits: SamplingLimits
    vocabulary: Vocabulary | None
    jobs: Jobs
    store: MediaStore
    metrics: Metrics

    def job(self, endpoint: str, content: bytes, seconds: float) -> Job:
        """The job of a request, with all its media.

        Raises:
            Malformed: the request cannot be read, or asks for more than this teacher returns.
            MissingMedia: it names media that it must send.
        """
        expires = monotonic() + seconds
        request = self._score(content) if endpoint == SCORE else self._generate(content)
        return Job(request=request, expires=expires, answer=Future())

    def reply(self, job: Job, answers: Sequence[Any]) -> bytes:
        """The body of the reply with the engine's answers."""
        if isinstance(job.request, Score):
            top_k, pairs = job.request.top_k, zip(job.request.rollouts, answers, strict=True)
            sent: list[Any] = [_score_answer(rollout, answer, top_k) for rollout, answer in pairs]
            self.metrics.failures.inc(sum(answer.reason is not None for answer in sent))
            self._count(SCORE, [answer.token_ids for answer in sent])
        else:
            sent = [_generate_answer(rollout) for group in answers for rollout in group]
            self._count(GENERATE, [answer.response_ids for answer in sent])
        return pack(Reply(identity=self.info.digest, answers=sent))

    def _count(self, endpoint: str, responses: Sequence[Any]) -> None:
        self.metrics.rollouts.labels(endpoint).inc(len(responses))
        self.metrics.tokens.labels(endpoint).inc(sum(map(len, responses)))

    def _score(self, content: bytes) -> Score:
        request = read_score_request(content)
        if request.top_k > self.info.top_k:
            raise Malformed(
                f"top_k={request.top_k}: this server returns {self.info.top_k}; start it with "
                f"server.top_k={request.top_k}"
            )
        prompts = self._prompts(request.prompts, request.payloads)
        pairs = zip(request.prompt_of, request.responses, strict=True)
        rollouts = [_rollout(prompts[index], index, response) for index, response in pairs]
        return Score(rollouts=rollouts, temperature=request.temperature, top_k=request.top_k)

    def _generate(self, content: bytes) -> Generate:
        request = read_generate_request(content)
        self.limits.check(request.num_samples, request.sampling)
        prompts = self._prompts(request.prompts, request.payloads)
        return Generate(prompts=prompts, num_samples=request.num_samples, sampling=request.sampling)

    def _prompts(self, prompts: Sequence[SentPrompt], payloads: Mapping[str, bytes]) -> list[Prompt]:
        for prompt in prompts:
            self._check_ids(prompt)
        received = {name: self.store.add(name, content) for name, content in payloads.items()}
        self.metrics.media_bytes.inc(sum(map(len, payloads.values())))
        needed = dict.fromkeys(prompt.payload for prompt in prompts if prompt.payload is not None)
        found = {name: received[name] if name in received else self.store.get(name) for name in needed}
        missing = [name for name, media in found.items() if media is None]
        self.metrics.media_misses.inc(len(missing))
        self.metrics.media_hits.inc(len(found) - len(missing) - len(received.keys() & found.keys()))
        if missing:
            raise MissingMedia(missing)
        media = [None if prompt.payload is None else found[prompt.payload] for prompt in prompts]
        pairs = zip(map(received_prompt, prompts), media, strict=True)
        return [self._checked(with_media(prompt, of_prompt, self.info.needs)) for prompt, of_prompt in pairs]

    def _checked(self, prompt: Prompt) -> Prompt:
        """Decoded media have no grids that could differ: the engine makes them."""
        try:
            if self.info.needs is Needs.MEDIA:
                self.check(prompt)
        except BadSample as error:
            raise Malformed(f"media that do not fit: {error}") from error
        return prompt

    def _check_ids(self, prompt: SentPrompt) -> None:
        """On a GPU, an id beyond the embedding would break the whole process."""
        for ids in (prompt.token_ids, prompt.engine_token_ids):
            if len(ids) and int(ids.max()) >= self.info.vocab_size:
                raise Malformed(f"id {int(ids.max())} is beyond the teacher's {self.info.vocab_size} ids")


def _rollout(prompt: Prompt, group_id: int, response: Any) -> Rollout:
    """Teachers read only the ids; the client keeps the log-probs, and they are 0 here."""
    return Rollout(
        prompt=prompt,
        group_id=group_id,
        response_ids=response,
        logprobs=response.new_zeros(len(response)).float(),
        finish_reason=FinishReason.STOP,
        policy_step=0,
    )


def _score_answer(rollout: Rollout, scores: TeacherScores | Failure, top_k: int) -> ScoreAnswer:
    prompt = ids_digest(rollout.prompt.token_ids)
    if isinstance(scores, Failure):
        empty = rollout.response_ids[:0]
        return ScoreAnswer(prompt=prompt, token_ids=empty, logprobs=empty.float(), reason=scores.reason)
    return ScoreAnswer(
        prompt=prompt,
        token_ids=scores.token_ids,
        logprobs=scores.logprobs,
        entropy=scores.entropy,
        top_ids=scores.top_ids,
        topk_ids=_first_columns(scores.topk_ids, top_k),
        topk_logprobs=_first_columns(scores.topk_logprobs, top_k),
    )


def _first_columns(columns: Tensor | None, top_k: int) -> Tensor | None:
    """The first `top_k` of [R, K] columns; None for 0."""
    return None if columns is None or not top_k else columns[:, :top_k]


def _generate_answer(rollout: Rollout) -> GenerateAnswer:
    return GenerateAnswer(
        prompt=ids_digest(rollout.prompt.token_ids),
        response_ids=rollout.response_ids,
        logprobs=rollout.logprobs,
        finish_reason=rollout.finish_reason,
    )
