r"""Questions about videos, open or multiple choice, from a user's rows or from a synthetic source.

    {"id": "7", "question": "Which way does it turn?", "choices": ["left", "right"], "answer": "B",
     "video": "clips/7.mp4"}

`question`, `answer` and `video` (a path or a list of paths) are needed; `questions` says what else a row may have.
Videos are not opened here: a missing file is noticed while reading, unreadable contents by the processor.
"""

from typing import final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.answers import grade_open
from uniopd_mm.tasks.grading.choices import CHOICES, grade_choice
from uniopd_mm.tasks.reading.corpus import TaskCorpus
from uniopd_mm.tasks.reading.questions import (
    FIELDS,
    Judge,
    judged,
    read_answer,
    read_choices_of,
    read_question,
    read_sample,
)
from uniopd_mm.tasks.reading.rows import Row
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Corpus, Outcome, Sample


@final
class VideoQaTask:
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
        domain: str = "video_qa",
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
        return judged(self._judge, sample, response, grade_open(response, sample.answer))

    def _parse(self, row: Row) -> tuple[Sample, str | None]:
        """Raises BadSample where the row cannot be used."""
        read_question(row)
        row.need("answer")
        row.need("video")
        choices = read_choices_of(row)
        return read_sample(
            row,
            domain=self.domain,
            instruction=self._instruction,
            answer=read_answer(row, choices),
            choices=choices,
        )
