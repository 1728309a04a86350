"""A model of lmms-eval over any engine of ours, the live student's included.

Leaves out likelihoods and conversations of several rounds.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NoReturn

from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
from lmms_eval.api.model import lmms

from uniopd_mm.evaluation.decoding import Decoding, decoding_of
from uniopd_mm.evaluation.messages import sample_of
from uniopd_mm.interfaces import Processor, RolloutEngine
from uniopd_mm.tracking.console import warning
from uniopd_mm.types import BadSample, FinishReason, Prompt, Rollout, Skip, UserError

CHUNK_BYTES = 2**30  # of media, encoded ahead of the engine
THINK = "<think>"
PROMPT_END = 8  # tokens, in which a chat template would have begun a response's thoughts


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """What came of the questions so far: responses, those cut off at the token limit, tokens of them all, and the
    questions that could not be asked, whose responses are empty and not counted."""

    num_responses: int = 0
    truncated: int = 0
    response_tokens: int = 0
    unreadable: tuple[Skip, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """A document that is to be answered; its responses go into places `first`, `first` + 1, ... of the requests."""

    request: Instance
    first: int
    decoding: Decoding


class EngineModel(lmms):
    """A chat model of lmms-eval that writes with an engine.

    Random numbers depend on (`seed`, `policy_step`, task and document, index of the response) alone.

    Args:
        processor: the engine's.
        max_prompt_tokens: longer prompts are not asked; None for no bound.
        prompts_per_chunk: handed to the engine at a time, while the next ones are read and encoded.
        advanced: called with the number of questions answered since it was called last.
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
        advanced: Callable[[int], None] | None = None,
    ) -> None:
        super().__init__()
        self.engine = engine
        self.processor = processor
        self.seed = seed
        self.policy_step = policy_step
        self.max_prompt_tokens = max_prompt_tokens
        self.prompts_per_chunk = prompts_per_chunk
        self.advanced = advanced
        self.answered = Answered()

    def reset(self) -> None:
        """Begin to count anew."""
        self.answered = Answered()

    def clean(self) -> None:
        """Does nothing: lmms-eval's own would delete the model, which may be in training."""

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """One response for each request; a question's requests stand together, as the same object.

        Raises:
            UserError: a task asks for what the engine cannot do.
        """
        results: list[GenerationResult] = [GenerationResult(text="", token_counts=TokenCounts())] * len(requests)
        questions = _questions(requests)
        before = len(self.answered.unreadable)
        for decoding in dict.fromkeys(question.decoding for question in questions):
            alike = [question for question in questions if question.decoding == decoding]
            for entries in self._encoded(alike):
                asked = [(question, entry) for question, entry in entries if isinstance(entry, Prompt)]
                for (question, _), group in zip(asked, self._written(asked, decoding), strict=True):
                    results[question.first : question.first + decoding.num_samples] = self._results(group, decoding)
                self._note([entry for _, entry in entries if isinstance(entry, Skip)])
        if unreadable := self.answered.unreadable[before:]:
            first = f"{unreadable[0].where}: {unreadable[0].reason}"
            warning(f"{len(unreadable)} of {len(questions)} questions cannot be asked and count as empty; {first}")
        return results

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> NoReturn:
        _refuse(requests)

    def loglikelihood(self, requests: Sequence[Instance]) -> NoReturn:
        _refuse(requests)

    def _encoded(self, questions: Sequence[Question]) -> Iterator[list[tuple[Question, Prompt | Skip]]]:
        """The questions in chunks, each read and encoded while the engine is busy with the one before."""
        thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encode")
        try:
            coming = thread.submit(self._chunk, questions)
            while chunk := coming.result():
                questions = questions[len(chunk) :]
                coming = thread.submit(self._chunk, questions)
                yield chunk
        finally:
            thread.shutdown(wait=False, cancel_futures=True)  # who interrupts does not wait for what has not begun

    def _chunk(self, questions: Sequence[Question]) -> list[tuple[Question, Prompt | Skip]]:
        """As many of the first questions as a chunk may have, by number and by bytes of media."""
        chunk: list[tuple[Question, Prompt | Skip]] = []
        size = 0
        for question in questions[: self.prompts_per_chunk]:
            chunk.append((question, entry := self._encode(question)))
            size += sum(tensor.nbytes for tensor in entry.media.values()) if isinstance(entry, Prompt) else 0
            if size > CHUNK_BYTES:
                break
        return chunk

    def _encode(self, question: Question) -> Prompt | Skip:
        """The question's prompt, or why it cannot be asked."""
        _, messages_of, _, index, task, split = question.request.args
        name = f"{task}/{index}"
        try:
            messages = messages_of(self.task_dict[task][split][index])
            prompt = self.processor.encode(sample_of(messages, name, task))
        except BadSample as error:
            return Skip(where=name, reason=str(error))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a task's own code, which may end the program
            return Skip(where=name, reason=f"{type(error).__name__}: {error}")
        if self.max_prompt_tokens is not None and len(prompt.token_ids) > self.max_prompt_tokens:
            reason = f"a prompt of {len(prompt.token_ids)} tokens, and at most {self.max_prompt_tokens} can be read"
            return Skip(where=name, reason=reason)
        return prompt

    def _written(self, asked: Sequence[tuple[Question, Prompt]], decoding: Decoding) -> list[list[Rollout]]:
        if not asked:
            return []
        told = 0

        def finished(group: Sequence[Rollout]) -> None:
            nonlocal told
            told += 1
            self._advance(1)

        prompts = [prompt for _, prompt in asked]
        sampling = decoding.sampling(self.seed, self.policy_step)
        groups = self.engine.generate(prompts, decoding.num_drawn, sampling, finished)
        self._advance(len(prompts) - told)
        return groups

    def _results(self, group: Sequence[Rollout], decoding: Decoding) -> list[GenerationResult]:
        """A question's responses, counted."""
        rollouts = list(group) if decoding.temperature else list(group) * decoding.num_samples
        ends = Counter(rollout.finish_reason for rollout in rollouts)
        self.answered = replace(
            self.answered,
            num_responses=self.answered.num_responses + len(rollouts),
            truncated=self.answered.truncated + ends[FinishReason.LENGTH],
            response_tokens=self.answered.response_tokens + sum(len(rollout.response_ids) for rollout in rollouts),
        )
        return [self._result(rollout, decoding) for rollout in rollouts]

    def _result(self, rollout: Rollout, decoding: Decoding) -> GenerationResult:
        counts = TokenCounts(input_tokens=len(rollout.prompt.token_ids), output_tokens=len(rollout.response_ids))
        text = decoding.cut(self.processor.decode(rollout.response_ids))
        # Where a chat template has begun the thoughts, only so can thoughts without an end be told from an answer.
        begun = self.processor.decode(rollout.prompt.token_ids[-PROMPT_END:]).rstrip().endswith(THINK)
        return GenerationResult(text=THINK + text if begun else text, token_counts=counts)

    def _note(self, skips: Sequence[Skip]) -> None:
        self.answered = replace(self.answered, unreadable=(*self.answered.unreadable, *skips))
        self._advance(len(skips))

    def _advance(self, count: int) -> None:
        if self.advanced and count:
            self.advanced(count)


def _questions(requests: Sequence[Instance]) -> list[Question]:
    """lmms-eval repeats a request that is to have several responses: the same object, so many times in a row."""
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
    raise UserError(f"{request.task_name}: output_type={request.request_type}: these models answer generate_until only")
