"""Teachers that encode samples with their own processor: text-only models, other families, other tokenizers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import final

from uniopd_mm.config.parts import MediaFor
from uniopd_mm.interfaces import Processor, Teacher
from uniopd_mm.teachers.router import verified_tokens
from uniopd_mm.teachers.translation import Translation, Untranslatable, replace_media
from uniopd_mm.types import BadSample, Failure, Prompt, Rollout, Sample, TeacherScores


@final
@dataclass(frozen=True, kw_only=True)
class OwnPrompts:
    """Encodes samples for a teacher with its own `processor`; `media` says what becomes of a sample's media."""

    processor: Processor
    media: MediaFor

    def encode(self, sample: Sample) -> Prompt:
        """Raises BadSample if the processor cannot read the sample."""
        return self.processor.encode(replace_media(sample, self.media))


@final
class OwnPromptTeacher:
    """Scores the student's responses after the teacher's own prompts, and returns scores of the student's tokens.

    Args:
        teacher: scores its own ids.
        prompts: encodes samples for the teacher.
        translation: between the student's ids and the teacher's.
    """

    def __init__(self, teacher: Teacher, prompts: OwnPrompts, translation: Translation) -> None:
        self.teacher = teacher
        self.prompts = prompts
        self.translation = translation
        self._processor_lock = Lock()  # several threads may share the teacher, but not a processor

    @property
    def name(self) -> str:
        return self.teacher.name

    @property
    def overlaps(self) -> bool:
        return self.teacher.overlaps

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        """See `Teacher.score`."""
        with self._processor_lock:
            translated = [self._to_teacher(rollout) for rollout in rollouts]
        scores = iter(self.teacher.score([one for one in translated if isinstance(one, Rollout)], temperature))
        with self._processor_lock:
            return [
                self._to_student(rollout, one, next(scores)) if isinstance(one, Rollout) else one
                for rollout, one in zip(rollouts, translated, strict=True)
            ]

    def _to_teacher(self, rollout: Rollout) -> Rollout | Failure:
        """The rollout in the teacher's prompt and ids; its log-probs remain those of the student's tokens."""
        try:
            prompt = self.prompts.encode(rollout.prompt.sample)
            return replace(rollout, prompt=prompt, response_ids=self.translation.teacher_ids(rollout))
        except (BadSample, Untranslatable) as error:
            return Failure(teacher=self.name, reason=str(error))

    def _to_student(
        self, rollout: Rollout, translated: Rollout, scores: TeacherScores | Failure
    ) -> TeacherScores | Failure:
        checked = verified_tokens(translated, scores)
        if isinstance(checked, Failure):
            return checked
        return self.translation.student_scores(rollout, translated.response_ids, checked)
