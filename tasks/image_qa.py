r"""Questions about pictures and documents (VQA), from a user's rows or from a synthetic source.

    {"question": "What is on the table?", "images": ["a.png"], "answer": "a cup"}
    {"question": "Who signed?", "images": ["b.png"], "answer": ["J. Smith", "John Smith"]}

`question`, `images` and `answer` are needed; the answer may be a list of references, or of {"answer": ...} as in VQAv2.
`questions` says what else a row may have.
"""

from collections.abc import Callable, Sequence
from typing import Any, final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.answers import grade_open, wrong
from uniopd_mm.tasks.grading.choices import CHOICES, grade_choice
from uniopd_mm.tasks.grading.document_answers import grade_anls
from uniopd_mm.tasks.grading.values import is_absent
from uniopd_mm.tasks.grading.vqa_answers import grade_vqa
from uniopd_mm.tasks.reading.corpus import TaskCorpus
from uniopd_mm.tasks.reading.questions import (
    FIELDS,
    REFERENCES,
    Judge,
    answer_text,
    judged,
    read_answer,
    read_choices_of,
    read_sample,
)
from uniopd_mm.tasks.reading.rows import Row
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import BadSample, Corpus, Outcome, Sample, UserError


def grade_exact(response: str, references: Sequence[str]) -> Outcome:
    """Right where the final answer is one of the references, as `grade_open` compares them."""
    outcome = wrong("no reference")
    for reference in references:
        outcome = grade_open(response, reference)
        if outcome.correct:
            return outcome
    return outcome


METRICS: dict[str, Callable[[str, Sequence[str]], Outcome]] = {
    "exact": grade_exact,
    "anls": grade_anls,
    "vqa": grade_vqa,
}


@final
class ImageQaTask:
    """A Task.

    Args:
        rows: the user's rows; where they have no path, samples come from `synthetic`.
        synthetic: where samples come from when there are no rows.
        metric: how open answers are compared: "exact"; "anls", for documents; or "vqa", for many people's answers.
        instruction: last line of every prompt.
        domain: the name under which samples are routed, balanced and reported.
        judge: who is asked where the final answer is no reference, None for nobody.
    """

    def __init__(
        self,
        *,
        rows: RowSource,
        synthetic: SampleSource | None = None,
        metric: str = "exact",
        instruction: str = "Answer in \\boxed{}.",
        domain: str = "vqa",
        judge: Judge | None = None,
    ) -> None:
        if metric not in METRICS:
            raise UserError(f"task.metric={metric}: no such metric; choose from {', '.join(METRICS)}")
        self.domain = domain
        self._corpus = TaskCorpus(rows, synthetic, self._parse, FIELDS)
        self._grade = METRICS[metric]
        self._instruction = instruction
        self._judge = judge

    def samples(self, split: str) -> Corpus:
        """See `TaskCorpus.samples`."""
        return self._corpus.samples(split)

    def grade(self, sample: Sample, response: str) -> Outcome:
        """Judge a response by its final answer. Never raises: an unreadable reference is an unknown outcome."""
        choices = sample.metadata.get(CHOICES)
        if choices is not None:
            return grade_choice(response, sample.answer, choices)
        references = sample.metadata.get(REFERENCES) or (sample.answer or "",)
        return judged(self._judge, sample, response, self._grade(response, references))

    def _parse(self, row: Row) -> tuple[Sample, str | None]:
        """Raises BadSample where the row cannot be used."""
        row.need("images")
        choices = read_choices_of(row)
        references = () if choices else read_references(row)
        return read_sample(
            row,
            domain=self.domain,
            instruction=self._instruction,
            answer=read_answer(row, choices) if choices else references[0],
            choices=choices,
            metadata={REFERENCES: references} if references else {},
        )


def read_references(row: Row) -> tuple[str, ...]:
    """All right answers, as often as they are given. Raises BadSample where there is none."""
    answer = row.need("answer")
    given = [_said(one) for one in (answer if isinstance(answer, list) else [answer])]
    references = tuple(answer_text(row, one) for one in given if not is_absent(one))
    if not references:
        raise BadSample(f"no {row.label('answer')}")
    return references


def _said(answer: Any) -> Any:
    """What one of VQAv2's ten people said, who are objects."""
    return answer["answer"] if isinstance(answer, dict) and "answer" in answer else answer
