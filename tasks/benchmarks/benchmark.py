"""What every benchmark has: a question, a prompt, media, and scores for responses.

A YAML of lmms-eval names functions in modules. So each benchmark's module makes one `Benchmark` and gives names to its
methods:

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

from uniopd_mm.tasks.grading.spoken import spoken
from uniopd_mm.tasks.sandbox.cores import cores_of_this_rank
from uniopd_mm.types import Outcome

Row = Mapping[str, Any]


def no_media(row: Row) -> Sequence[Mapping[str, Any]]:
    """For benchmarks without media."""
    return ()


def no_group(row: Row) -> str:
    """For benchmarks whose questions all have the same weight."""
    return ""


def as_it_is(row: Row) -> Row:
    """For benchmarks whose rows need no preparation before grading."""
    return row


def image(source: Any) -> dict[str, Any]:
    """A part of a message. `source` is a PIL image, encoded bytes or an absolute path."""
    return {"type": "image", "url": source}


def video(path: str) -> dict[str, Any]:
    """A part of a message: the absolute path of a video."""
    return {"type": "video", "url": path}


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Benchmark:
    """The functions of one benchmark.

    Args:
        question: the question without instructions. It is compared with the prompts that a model was trained on.
        prompt: the whole text that the model gets.
        grade: judges one response. Never raises; called from several threads.
        media: the parts of the message before the text, in order.
        group: the group of a question, for metrics over groups of questions or over variants of a question.
        answer: the final answer of a response in a normal form, for majority votes; None for no votes.
        unpacked: prepares a row for `grade`, once for all responses to it. Never raises.
    """

    question: Callable[[Row], str]
    prompt: Callable[[Row], str]
    grade: Callable[[Row, str], Outcome]
    media: Callable[[Row], Sequence[Mapping[str, Any]]] = no_media
    group: Callable[[Row], str] = no_group
    answer: Callable[[str], str | None] | None = None
    unpacked: Callable[[Row], Row] = as_it_is

    def messages(self, row: Row, lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """One user turn: media, then text. `lmms_eval_specific_kwargs` may have options for the decoder of each kind
        of medium ({"video": {"max_frames": 64}}), which are added to its parts."""
        options = lmms_eval_specific_kwargs or {}
        parts = [{**part, **(options.get(part["type"]) or {})} for part in self.media(row)]
        return [{"role": "user", "content": [*parts, {"type": "text", "text": self.prompt(row)}]}]

    def text(self, row: Row, lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> str:
        """The prompt, for YAMLs that set `lmms_eval_specific_kwargs`: lmms-eval then passes them here too."""
        return self.prompt(row)

    def visuals(self, row: Row) -> list[Any]:
        """The media alone, for lmms-eval models that do not take messages."""
        return [part["url"] for part in self.media(row)]

    def process_results(self, row: Row, results: Sequence[Any]) -> dict[str, dict[str, Any]]:
        """The item of this question for each metric that a YAML may list.

        `results` are the question's k responses, or a list that contains their list. An item is
        {"scores": [k rewards in [0, 1]], "correct": [k], "unknown": how many of them could not be judged, "group"}.
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
        """The responses' outcomes. Equal responses are judged once, and different ones in parallel."""
        unpacked, distinct = self.unpacked(row), list(dict.fromkeys(responses))
        if len(distinct) == 1:
            return [self.grade(unpacked, distinct[0])] * len(responses)
        judged = dict(zip(distinct, _pool().map(lambda text: self.grade(unpacked, text), distinct), strict=True))
        return [judged[text] for text in responses]

    def _majority(self, responses: Sequence[str]) -> int:
        """The index of the first response with the most frequent final answer. The earlier answer wins a tie."""
        assert self.answer is not None
        answers = [self.answer(text) for text in responses]
        votes = Counter(answer for answer in answers if answer)
        return answers.index(votes.most_common(1)[0][0]) if votes else 0


def _beyond_thoughts(response: str) -> str:
    """The response, or "" if its thoughts were cut off at the token limit: what they consider is not an answer."""
    return "" if spoken(response) is None else response


def _item(outcomes: Sequence[Outcome], group: str) -> dict[str, Any]:
    return {
        "scores": [outcome.reward for outcome in outcomes],
        "correct": [outcome.correct is True for outcome in outcomes],
        "unknown": sum(outcome.correct is None for outcome in outcomes),
        "group": group,
    }


class _Shared:
    """The threads of this process. A fork does not inherit its parent's threads, and makes its own."""

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
