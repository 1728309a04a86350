"""What every benchmark has: a question, a prompt, media, and scores for the responses to it.

A YAML of lmms-eval names functions of modules, so the module of a benchmark makes one `Benchmark` and gives its methods
names:

    _BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, target=target, media=media)
    messages, visuals, process_results = _BENCHMARK.messages, _BENCHMARK.visuals, _BENCHMARK.process_results
"""

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, final

from uniopd_mm.tasks.sandbox.cores import cores_of_this_rank
from uniopd_mm.types import Outcome

Row = Mapping[str, Any]


def no_media(row: Row) -> Sequence[Mapping[str, Any]]:
    """Of a benchmark of text."""
    return ()


def no_group(row: Row) -> str:
    """Of a benchmark whose questions count alike."""
    return ""


def as_it_is(row: Row) -> Row:
    """Of a benchmark whose rows are graded as they are."""
    return row


def image(source: Any) -> dict[str, Any]:
    """A part of a message; `source` is what the processor reads: a PIL image, encoded bytes or an absolute path."""
    return {"type": "image", "url": source}


def video(path: str) -> dict[str, Any]:
    """A part of a message: the absolute path of a video."""
    return {"type": "video", "url": path}


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """The functions of one benchmark.

    Args:
        question: the question alone, without instructions: what is compared with prompts that a model was trained on.
        prompt: all of the text that the model is given.
        grade: judges one response. Never raises; is called from several threads.
        media: parts of a message that stand before the text, in order.
        group: what a question counts with, where a metric is a mean over groups or over variants of a question.
        answer: the final answer of a response in one way of writing, for majority votes; None for no votes.
        unpacked: what `grade` is given for a row, made once for all responses to it. Never raises.
    """

    question: Callable[[Row], str]
    prompt: Callable[[Row], str]
    grade: Callable[[Row, str], Outcome]
    media: Callable[[Row], Sequence[Mapping[str, Any]]] = no_media
    group: Callable[[Row], str] = no_group
    answer: Callable[[str], str | None] | None = None
    unpacked: Callable[[Row], Row] = as_it_is

    def messages(self, row: Row, lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """One user turn: media, then text. `lmms_eval_specific_kwargs` may hold, by kind of medium, options of its
        decoder ({"video": {"max_frames": 64}}), which go into its part."""
        options = lmms_eval_specific_kwargs or {}
        parts = [{**part, **(options.get(part["type"]) or {})} for part in self.media(row)]
        return [{"role": "user", "content": [*parts, {"type": "text", "text": self.prompt(row)}]}]

    def text(self, row: Row, lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> str:
        """The prompt, for YAMLs that set `lmms_eval_specific_kwargs`, which lmms-eval then gives here too."""
        return self.prompt(row)

    def visuals(self, row: Row) -> list[Any]:
        """The media alone, for models of lmms-eval that take no messages."""
        return [part["url"] for part in self.media(row)]

    def process_results(self, row: Row, results: Sequence[Any]) -> dict[str, dict[str, Any]]:
        """The item of this question for each metric that a YAML may list.

        `results` are the question's k responses, or a list that holds their list. An item is
        {"scores": [k rewards in [0, 1]], "correct": [k], "unknown": how many of them could not be judged, "group"};
        "majority@k" has one score, that of the most frequent final answer.
        """
        given = results[0] if results and isinstance(results[0], list) else results
        responses = [_beyond_thoughts(text or "") for text in given]
        outcomes = self._graded(row, responses)
        item = _item(outcomes, self.group(row))
        items = dict.fromkeys(("score", "score_se", "unknown", "pass@k"), item)
        if self.answer is not None:
            items["majority@k"] = _item([outcomes[self._majority(responses)]], self.group(row))
        return items

    def _graded(self, row: Row, responses: Sequence[str]) -> list[Outcome]:
        """Equal responses are judged once; the others side by side, on all cores."""
        unpacked, distinct = self.unpacked(row), list(dict.fromkeys(responses))
        if len(distinct) == 1:
            return [self.grade(unpacked, distinct[0])] * len(responses)
        judged = dict(zip(distinct, _pool().map(lambda text: self.grade(unpacked, text), distinct), strict=True))
        return [judged[text] for text in responses]

    def _majority(self, responses: Sequence[str]) -> int:
        """The first response with the most frequent final answer, of equally frequent ones with the earliest."""
        assert self.answer is not None
        answers = [self.answer(text) for text in responses]
        votes = Counter(answer for answer in answers if answer)
        return answers.index(votes.most_common(1)[0][0]) if votes else 0


def _beyond_thoughts(response: str) -> str:
    """Without thoughts that have no end: they were cut off at the token limit, and what they weigh is no answer."""
    return "" if response.lstrip().startswith("<think>") and "</think>" not in response else response


def _item(outcomes: Sequence[Outcome], group: str) -> dict[str, Any]:
    return {
        "scores": [outcome.reward for outcome in outcomes],
        "correct": [outcome.correct is True for outcome in outcomes],
        "unknown": sum(outcome.correct is None for outcome in outcomes),
        "group": group,
    }


class _Shared:
    """The threads of this process; a fork has none of its parent's, and makes its own."""

    lock = threading.Lock()
    pool: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    with _Shared.lock:
        if _Shared.pool is None:
            workers = max(2, 2 * cores_of_this_rank())
            _Shared.pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="grade")
        return _Shared.pool


def _forget() -> None:
    _Shared.lock, _Shared.pool = threading.Lock(), None


os.register_at_fork(after_in_child=_forget)
