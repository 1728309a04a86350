r"""Questions about videos, open or multiple choice, from a user's rows or from a synthetic source.

    {"id": "7", "question": "Which way does it turn?", "choices": ["left", "right"], "answer": "B",
     "video": "clips/7.mp4"}

`question`, `answer` and `video` (a path or a list of paths) are required; `reading/questions.py` lists the optional
fields. Reading the rows notices a missing video file. Only the processor opens it, and notices unreadable contents.
"""

from typing import final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.answers import grade_open
from uniopd_mm.tasks.question_answering import Judge, QuestionAnswering
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Corpus, Outcome, Sample


@final
class VideoQaTask:
    """A Task. `QuestionAnswering` explains the arguments."""

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
        self._questions = QuestionAnswering(
            rows, synthetic, instruction=instruction, domain=domain, judge=judge, needs=("video",)
        )

    def samples(self, split: str) -> Corpus:
        """See `TaskCorpus.samples`."""
        return self._questions.samples(split)

    def grade(self, sample: Sample, response: str) -> Outcome:
        """See `QuestionAnswering.grade`. Never raises."""
        return self._questions.grade(sample, response, grade_open)
