"""What the adapters of question answering share: their samples, multiple choice, and the judge.

An adapter holds one `QuestionAnswering` and adds how two open answers compare. `code_gen`, whose rows have tests
instead of answers, uses `TaskCorpus` directly.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol, final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.choices import CHOICES, grade_choice
from uniopd_mm.tasks.grading.values import is_absent
from uniopd_mm.tasks.reading.chats import read_chat
from uniopd_mm.tasks.reading.corpus import TaskCorpus
from uniopd_mm.tasks.reading.questions import FIELDS, read_answer, read_choices_of, read_sample
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import BadSample, Corpus, Outcome, Sample

REFERENCES = "references"  # Sample.metadata[REFERENCES]: the tuple of all right answers, in tasks that allow several


class Judge(Protocol):
    """Gives a second opinion if the rules find no right answer. Never raises."""

    def judge(self, question: str, reference: str, response: str, outcome: Outcome) -> Outcome:
        """The rules' outcome, or a better one."""
        ...


@final
class QuestionAnswering:
    """Samples of questions with their answers, and outcomes of responses to them.

    Args:
        rows: the user's rows. If they have no path, samples come from `synthetic`.
        synthetic: the source of samples if there are no rows.
        instruction: last line of every prompt.
        domain: the name under which samples are routed, balanced and reported.
        judge: asked about open answers that the rules do not find right; None for no judge.
        needs: fields that every row must have, besides `question` and `answer`: "images" or "video".
        read_references: reads all right answers of a row without choices. By default a row has one, its `answer`.
    """

    def __init__(
        self,
        rows: RowSource,
        synthetic: SampleSource | None,
        *,
        instruction: str,
        domain: str,
        judge: Judge | None = None,
        needs: Sequence[str] = (),
        read_references: Callable[[Row], tuple[str, ...]] | None = None,
    ) -> None:
        self._corpus = TaskCorpus(rows, synthetic, self._parse, FIELDS)
        self._instruction = instruction
        self._domain = domain
        self._judge = judge
        self._needs = () if rows.graded_only else needs
        self._read_references = read_references

    def samples(self, split: str) -> Corpus:
        """See `TaskCorpus.samples`."""
        return self._corpus.samples(split)

    def grade(self, sample: Sample, response: str, grade_open: Callable[[str, str | None], Outcome]) -> Outcome:
        """The outcome of a response. If the sample has choices, its final answer must be the right one. Otherwise
        `grade_open(response, reference)` decides; if it does not find the answer right, the judge has the last word.

        Never raises if `grade_open` never does. If the reference cannot be read, the outcome is unknown.
        """
        choices = sample.metadata.get(CHOICES)
        if choices is not None:
            return grade_choice(response, sample.answer, choices)
        outcome = grade_open(response, sample.answer)
        if self._judge is None or outcome.correct or sample.answer is None:
            return outcome
        reference = " / ".join(_references(sample, sample.answer))
        return self._judge.judge(_question(sample), reference, response, outcome)

    def _parse(self, row: Row) -> tuple[Sample, str | None]:
        """Raises BadSample if the row cannot be used."""
        given = replace(row, fields={**row.fields, **(read_chat(row).cells if self._needs else {})})
        for name in self._needs:
            cells = given.need(name)
            if isinstance(cells, list) and all(is_absent(cell) and not isinstance(cell, str) for cell in cells):
                raise BadSample(f"no {row.label(name)}")
        choices = read_choices_of(row)
        metadata: dict[str, Any] = {}
        if choices or self._read_references is None:
            answer = read_answer(row, choices)
        else:
            references = self._read_references(row)
            answer, metadata = references[0], {REFERENCES: references}
        return read_sample(
            row,
            domain=self._domain,
            instruction=self._instruction,
            answer=answer,
            choices=choices,
            metadata=metadata,
        )


def _question(sample: Sample) -> str:
    """The prompt's text; with several turns, each after its role."""
    texts = ["\n".join(part for part in message.content if isinstance(part, str)) for message in sample.messages]
    if len(texts) == 1:
        return texts[0]
    return "\n".join(f"{message.role}: {text}" for message, text in zip(sample.messages, texts, strict=True))


def _references(sample: Sample, answer: str) -> tuple[str, ...]:
    """All right answers, each once. Only a task writes a tuple here: a user's column of this name is a list or text."""
    references = sample.metadata.get(REFERENCES)
    return tuple(dict.fromkeys(references)) if isinstance(references, tuple) else (answer,)
