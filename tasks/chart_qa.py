r"""Questions about charts, from a user's rows or from a synthetic source.

    {"question": "How much was sold in 2019?", "images": ["bars.png"], "answer": "41.5"}

`question`, `images` and `answer` are needed; `questions` says what else a row may have. A number may be off by as much
as is usual for charts, see `chart_answers`.
"""

from typing import final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.chart_answers import grade_relaxed
from uniopd_mm.tasks.grading.choices import CHOICES, grade_choice
from uniopd_mm.tasks.reading.corpus import TaskCorpus
from uniopd_mm.tasks.reading.questions import FIELDS, Judge, judged, read_answer, read_choices_of, read_sample
from uniopd_mm.tasks.reading.rows import Row
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Corpus, Outcome, Sample


@final
class ChartTask:
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
        instruction: str = "Answer in \\boxed{}.",
        domain: str = "chart",
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
        """Judge a response by its final answer. Never raises: an unreadable reference is an unknown outcome."""
        choices = sample.metadata.get(CHOICES)
        if choices is not None:
            return grade_choice(response, sample.answer, choices)
        return judged(self._judge, sample, response, grade_relaxed(response, sample.answer))

    def _parse(self, row: Row) -> tuple[Sample, str | None]:
        """Raises BadSample where the row cannot be used."""
        row.need("images")
        choices = read_choices_of(row)
        return read_sample(
            row,
            domain=self.domain,
            instruction=self._instruction,
            answer=read_answer(row, choices),
            choices=choices,
        )
