r"""Questions about charts, from a user's rows or from a synthetic source.

    {"question": "How much was sold in 2019?", "images": ["bars.png"], "answer": "41.5"}

`question`, `images` and `answer` are required; `reading/questions.py` lists the optional fields. A numeric answer may
be off by the tolerance that is usual for charts, see `grading/chart_answers.py`.
"""

from typing import final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.chart_answers import grade_relaxed
from uniopd_mm.tasks.question_answering import Judge, QuestionAnswering
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Corpus, Outcome, Sample


@final
class ChartTask:
    """A Task. `QuestionAnswering` explains the arguments."""

    def __init__(
        self,
        *,
        rows: RowSource,
        synthetic: SampleSource | None = None,
        instruction: str = "Answer in \\boxed{}.",
        domain: str = "chart",
        judge: Judge | None = None,
    ) -> None:
        self.domain = domain
        self._questions = QuestionAnswering(
            rows, synthetic, instruction=instruction, domain=domain, judge=judge, needs=("images",)
        )

    def samples(self, split: str) -> Corpus:
        """See `TaskCorpus.samples`."""
        return self._questions.samples(split)

    def grade(self, sample: Sample, response: str) -> Outcome:
        """See `QuestionAnswering.grade`. Never raises."""
        return self._questions.grade(sample, response, grade_relaxed)
