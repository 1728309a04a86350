"""A teacher that reads samples with a processor of its own: without eyes, of another family, with another tokenizer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import final

from uniopd_mm.config.parts import MediaFor
from uniopd_mm.interfaces import Processor, Teacher
from uniopd_mm.teachers.translation import Translation, Untranslatable, described
from uniopd_mm.types import BadSample, Failure, Prompt, Rollout, Sample, TeacherScores


@final
@dataclass(frozen=True, kw_only=True)
class OwnPrompt:
    """The teacher's own prompts: a sample, with its media as `media` says, as `processor` encodes it."""

    processor: Processor
    media: MediaFor

    def of(self, sample: Sample) -> Prompt:
        """Raises BadSample where the processor cannot read it."""
        return self.processor.encode(described(sample, self.media))


@final
class OwnPromptTeacher:
    """Scores through `teacher` what the student wrote to prompts that the teacher never saw.

    Args:
        teacher: scores its own ids.
        prompts: the teacher's.
        translation: between the student's ids and the teacher's.
    """

    def __init__(self, teacher: Teacher, prompts: OwnPrompt, translation: Translation) -> None:
        self.teacher = teacher
        self.prompts = prompts
        self.translation = translation
        self._reading = Lock()  # a processor is for one thread at a time; the teacher may be for several

    @property
    def name(self) -> str:
        return self.teacher.name

    @property
    def overlaps(self) -> bool:
        return self.teacher.overlaps

    def score(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        """See `Teacher.score`."""
        with self._reading:
            seen = [self._seen(rollout) for rollout in rollouts]
        readable = [own for own in seen if isinstance(own, Rollout)]
        answers = iter(self.teacher.score(readable))
        with self._reading:
            return [
                self._told(rollout, own, next(answers)) if isinstance(own, Rollout) else own
                for rollout, own in zip(rollouts, seen, strict=True)
            ]

    def _seen(self, rollout: Rollout) -> Rollout | Failure:
        """The rollout as the teacher reads it; its log-probs stay those of the student's tokens."""
        try:
            prompt = self.prompts.of(rollout.prompt.sample)
            return replace(rollout, prompt=prompt, response_ids=self.translation.response(rollout))
        except (BadSample, Untranslatable) as error:
            return Failure(teacher=self.name, reason=str(error))

    def _told(self, rollout: Rollout, own: Rollout, answer: TeacherScores | Failure) -> TeacherScores | Failure:
        return answer if isinstance(answer, Failure) else self.translation.scores(rollout, own.response_ids, answer)
