r"""Mathematical problems, with pictures or without, from a user's rows or from a synthetic source.

    {"question": "What is $3 \\cdot 4$?", "answer": "12"}
    {"question": "<image>\nFind x.", "images": ["a.png"], "choices": ["5", "7"], "answer": "B"}

`question` and `answer` are needed; `questions` says what else a row may have. Whether two results are the same is said
by `math_answers`.
"""

from typing import final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.choices import CHOICES, grade_choice
from uniopd_mm.tasks.grading.math_answers import grade_math
from uniopd_mm.tasks.reading.corpus import TaskCorpus
from uniopd_mm.tasks.reading.questions import FIELDS, Judge, judged, read_answer, read_choices_of, read_sample
from uniopd_mm.tasks.reading.rows import Row
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Corpus, Outcome, Sample

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."


@final
class MathTask:
    """A Task.

    Args:
        rows: the user's rows; where they have no path, samples come from `synthetic`.
        synthetic: where samples come from when there are no rows.
        instruction: last line of every prompt.
        domain: the name under which samples are routed, balanced and reported.
        judge: who is asked where the final answer is not the reference, None for nobody.
    """

    def __init__(
        self,
        *,
        rows: RowSource,
        synthetic: SampleSource | None = None,
        instruction: str = INSTRUCTION,
        domain: str = "math",
        judge: Judge | None = None,
    ) -> None:
        self.domain = domain
        self._corpus = TaskCorpus(rows, synthetic, self._parse, FIELDS)
        self._instruction = instruction
        self._judge = judge

    def samples(self, split: str) -> Corpus:
        """See `TaskCorpus.samples`."""
        return self._corpus.samples(split)

    def grade(self, sample: Sample, response: str) -> Outcome:
        """Judge a response by its final answer. Never raises: what cannot be decided is an unknown outcome."""
        choices = sample.metadata.get(CHOICES)
        if choices is not None:
            return grade_choice(response, sample.answer, choices)
        return judged(self._judge, sample, response, grade_math(response, sample.answer))

    def _parse(self, row: Row) -> tuple[Sample, str | None]:
        """Raises BadSample where the row cannot be used."""
        choices = read_choices_of(row)
        return read_sample(
            row,
            domain=self.domain,
            instruction=self._instruction,
            answer=read_answer(row, choices),
            choices=choices,
        )
