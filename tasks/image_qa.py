r"""Questions about pictures and documents (VQA), from a user's rows or from a synthetic source.

    {"question": "What is on the table?", "images": ["a.png"], "answer": "a cup"}
    {"question": "Who signed?", "images": ["b.png"], "answer": ["J. Smith", "John Smith"]}

`question`, `images` and `answer` are required. The answer may be a list of references, or of {"answer": ...} as in
VQAv2. `reading/questions.py` lists the optional fields.
"""

from collections.abc import Callable, Sequence
from typing import Any, final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.answers import grade_open, wrong
from uniopd_mm.tasks.grading.document_answers import grade_anls
from uniopd_mm.tasks.grading.values import is_absent
from uniopd_mm.tasks.grading.vqa_answers import grade_vqa
from uniopd_mm.tasks.question_answering import REFERENCES, Judge, QuestionAnswering
from uniopd_mm.tasks.reading.questions import answer_cell, answer_text
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import BadSample, Corpus, Outcome, Sample, UserError


def grade_exact(response: str, references: Sequence[str]) -> Outcome:
    """Right if the final answer is one of the references, as `grade_open` compares them; unknown if it may be one."""
    outcomes = [grade_open(response, reference) for reference in references] or [wrong("no reference")]
    certain = {outcome.correct: outcome for outcome in reversed(outcomes)}
    return certain.get(True) or certain.get(None) or certain[False]


METRICS: dict[str, Callable[[str, Sequence[str]], Outcome]] = {
    "exact": grade_exact,
    "anls": grade_anls,
    "vqa": grade_vqa,
}


@final
class ImageQaTask:
    """A Task.

    Args:
        metric: how open answers are compared: "exact"; "anls", for documents; or "vqa", for answers of several people.

    `QuestionAnswering` explains the other arguments.
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
        self._metric = METRICS[metric]
        self._questions = QuestionAnswering(
            rows,
            synthetic,
            instruction=instruction,
            domain=domain,
            judge=judge,
            needs=("images",),
            read_references=read_references,
        )

    def samples(self, split: str) -> Corpus:
        """See `TaskCorpus.samples`."""
        return self._questions.samples(split)

    def grade(self, sample: Sample, response: str) -> Outcome:
        """See `QuestionAnswering.grade`. Never raises."""
        references = sample.metadata.get(REFERENCES) or (sample.answer or "",)
        return self._questions.grade(sample, response, lambda text, _: self._metric(text, references))


def read_references(row: Row) -> tuple[str, ...]:
    """All right answers, each as often as it is given. Raises BadSample if there is none."""
    answer = answer_cell(row)
    given = [_one_answer(entry) for entry in (answer if isinstance(answer, list) else [answer])]
    references = tuple(answer_text(row, entry) for entry in given if not is_absent(entry))
    if not references:
        raise BadSample(f"no {row.label('answer')}")
    return references


def _one_answer(entry: Any) -> Any:
    """In VQAv2, each of the ten people's answers is an object."""
    return entry["answer"] if isinstance(entry, dict) and "answer" in entry else entry
