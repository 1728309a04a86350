"""An lmms-eval model that generates with any of our engines, including the live student.

Not here: likelihoods and multi-round conversations.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NoReturn

from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms

from uniopd_mm.data.responses import said
from uniopd_mm.evaluation.decoding import Decoding, decoding_of
from uniopd_mm.evaluation.documents import identified
from uniopd_mm.evaluation.messages import sample_of
from uniopd_mm.evaluation.records import ResponseStats
from uniopd_mm.interfaces import Processor, RolloutEngine
from uniopd_mm.tracking.console import warning
from uniopd_mm.types import BadSample, FinishReason, Prompt, Rollout, Skip, UserError

CHUNK_BYTES = 2**30  # of media encoded ahead of the engine


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A document to answer. Its responses fill the entries `first`, `first` + 1, ... of the results."""

    request: Instance
    first: int
    decoding: Decoding


class EngineModel(lmms):
    """A chat model of lmms-eval that generates with an engine.

    Random numbers depend only on `seed`, `policy_step`, the task and document, and the index of the response.

    Args:
        processor: the engine's processor.
        max_prompt_tokens: longer prompts are not answered; None for no limit.
        prompts_per_chunk: number of prompts passed to the engine at a time, while the next ones are read and encoded.
        on_progress: called with the number of questions answered since its last call.
    """

    is_simple = False
    accelerator = None  # lmms-eval would make one, which sets up distributed training

    def __init__(
        self,
        engine: RolloutEngine,
        processor: Processor,
        *,
        seed: int = 0,
        policy_step: int = 0,
        max_prompt_tokens: int | None = None,
        prompts_per_chunk: int = 64,
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__()
        self.engine = engine
        self.processor = processor
        self.seed = seed
        self.policy_step = policy_step
        self.max_prompt_tokens = max_prompt_tokens
        self.prompts_per_chunk = prompts_per_chunk
        self.on_progress = on_progress
        self.stats = ResponseStats()

    def reset(self) -> None:
        """Reset the statistics."""
        self.stats = ResponseStats()

    def clean(self) -> None:
        """Do nothing: lmms-eval's own method would delete the model, which may be in training."""

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """One response per request. The requests of one question are adjacent and are the same object.

        Raises:
            UserError: a task needs something that the engine does not support.
        """
        results: list[GenerationResult] = [GenerationResult(text="", token_counts=TokenCounts())] * len(requests)
        questions = _questions(requests)
        before = len(self.stats.unreadable)
        for decoding in dict.fromkeys(question.decoding for question in questions):
            same_decoding = [question for question in questions if question.decoding == decoding]
            for entries in self._encoded(same_decoding):
                prompts = [entry for _, entry in entries if isinstance(entry, Prompt)]
                encoded = [question for question, entry in entries if isinstance(entry, Prompt)]
                for question, group in zip(encoded, self._generate(prompts, decoding), strict=True):
                    results[question.first : question.first + decoding.num_samples] = self._results(group, decoding)
                self._record_skips([entry for _, entry in entries if isinstance(entry, Skip)])
        if unreadable := self.stats.unreadable[before:]:
            first = f"{unreadable[0].where}: {unreadable[0].reason}"
            warning(f"{len(unreadable)} of {len(questions)} questions cannot be read; the first: {first}")
        return results

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> NoReturn:
        _refuse(requests)

    def loglikelihood(self, requests: Sequence[Instance]) -> NoReturn:
        _refuse(requests)

    def _encoded(self, questions: Sequence[Question]) -> Iterator[list[tuple[Question, Prompt | Skip]]]:
        """The questions in chunks, each read and encoded while the engine generates for the one before."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encode")
        try:
            next_chunk = thread.submit(self._chunk, questions)
            while chunk := next_chunk.result():
                questions = questions[len(chunk) :]
                next_chunk = thread.submit(self._chunk, questions)
                yield chunk
        finally:
            thread.shutdown(wait=False, cancel_futures=True)  # an interrupt does not wait for queued work

    def _chunk(self, questions: Sequence[Question]) -> list[tuple[Question, Prompt | Skip]]:
        """The first questions, as many as fit into one chunk by number and by bytes of media."""
        chunk: list[tuple[Question, Prompt | Skip]] = []
        size = 0
        for question in questions[: self.prompts_per_chunk]:
            chunk.append((question, entry := self._encode(question)))
            size += sum(tensor.nbytes for tensor in entry.media.values()) if isinstance(entry, Prompt) else 0
            if size > CHUNK_BYTES:
                break
        return chunk

    def _encode(self, question: Question) -> Prompt | Skip:
        """The question's prompt, or the reason why it cannot be read."""
        _, messages_of, _, index, task, split = question.request.args
        name = f"{task}/{index}"
        try:
            document = self.task_dict[task][split][index]
            question.request.doc = identified(document)
            messages = messages_of(document)
            prompt = self.processor.encode(sample_of(messages, name, task))
        except BadSample as error:
            return Skip(where=name, reason=str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a task's own code, which may end the program
            return Skip(where=name, reason=f"{type(error).__name__}: {error}")
        if self.max_prompt_tokens is not None and len(prompt.token_ids) > self.max_prompt_tokens:
            reason = f"a prompt of {len(prompt.token_ids)} tokens, where at most {self.max_prompt_tokens} can be read"
            return Skip(where=name, reason=reason)
        return prompt

    def _generate(self, prompts: Sequence[Prompt], decoding: Decoding) -> list[list[Rollout]]:
        if not prompts:
            return []
        num_reported = 0

        def finished(group: Sequence[Rollout]) -> None:
            nonlocal num_reported
            num_reported += 1
            self._report_progress(1)

        sampling = decoding.sampling(self.seed, self.policy_step)
        groups = self.engine.generate(prompts, decoding.num_drawn, sampling, finished)
        self._report_progress(len(prompts) - num_reported)
        return groups

    def _results(self, group: Sequence[Rollout], decoding: Decoding) -> list[GenerationResult]:
        """Convert and count a question's responses."""
        rollouts = list(group) if decoding.temperature else list(group) * decoding.num_samples
        ends = Counter(rollout.finish_reason for rollout in rollouts)
        self.stats = replace(
            self.stats,
            num_responses=self.stats.num_responses + len(rollouts),
            truncated=self.stats.truncated + ends[FinishReason.LENGTH],
            response_tokens=self.stats.response_tokens + sum(len(rollout.response_ids) for rollout in rollouts),
        )
        return [self._result(rollout, decoding) for rollout in rollouts]

    def _result(self, rollout: Rollout, decoding: Decoding) -> GenerationResult:
        counts = TokenCounts(input_tokens=len(rollout.prompt.token_ids), output_tokens=len(rollout.response_ids))
        return GenerationResult(text=decoding.cut(said(self.processor, rollout)), token_counts=counts)

    def _record_skips(self, skips: Sequence[Skip]) -> None:
        self.stats = replace(self.stats, unreadable=(*self.stats.unreadable, *skips))
        self._report_progress(len(skips))

    def _report_progress(self, count: int) -> None:
        if self.on_progress and count:
            self.on_progress(count)


def _questions(requests: Sequence[Instance]) -> list[Question]:
    """lmms-eval repeats a request for several responses: the same object, that many times in a row."""
    questions: list[Question] = []
    first = 0
    for _, clones in groupby(requests, key=id):
        request, count = requests[first], len(list(clones))
        _, _, options, _, task, _ = request.args
        questions.append(Question(request=request, first=first, decoding=decoding_of(task, options, count)))
        first += count
    return questions


def _refuse(requests: Sequence[Instance]) -> NoReturn:
    request = requests[0]
    kind = request.request_type
    raise UserError(f"{request.task_name}: output_type={kind}: these models support only generate_until")
