r"""Mathematical problems, with or without pictures, from a user's rows or from a synthetic source.

    {"question": "What is $3 \\cdot 4$?", "answer": "12"}
    {"question": "<image>\nFind x.", "images": ["a.png"], "choices": ["5", "7"], "answer": "B"}

`question` and `answer` are required; `reading/questions.py` lists the optional fields. `grading/math_answers.py`
decides whether two results are the same.
"""

from typing import final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.math_answers import grade_math
from uniopd_mm.tasks.question_answering import Judge, QuestionAnswering
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Corpus, Outcome, Sample

INSTRUCTION = "Please reason step by step, and put your final answer within \\boxed{}."


@final
class MathTask:
    """A Task. `QuestionAnswering` explains the arguments."""

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
        self._questions = QuestionAnswering(rows, synthetic, instruction=instruction, domain=domain, judge=judge)

    def samples(self, split: str) -> Corpus:
        """See `TaskCorpus.samples`."""
        return self._questions.samples(split)

    def grade(self, sample: Sample, response: str) -> Outcome:
        """See `QuestionAnswering.grade`. Never raises."""
        return self._questions.grade(sample, response, grade_math)
