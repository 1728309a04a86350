"""A few answers of the student as it is before the first step, scored by a teacher that reads its ids: one to a prompt
with media, one to a prompt without.

Nothing is known of what the scores should be; only that they are of these tokens, and depend on what is read.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import final

import torch

from uniopd_mm.interfaces import Processor, RolloutEngine
from uniopd_mm.models.identity import Identity
from uniopd_mm.teachers.roster import RosterEntry
from uniopd_mm.types import BadSample, Failure, Media, Prompt, Rollout, Sample, Sampling, TeacherScores, UserError

LONGEST = 64  # tokens of an answer; a long one says no more, and takes its time
TRIES = 20  # samples that are looked through for one that can be read
NO_DIFFERENCE = 1e-6  # nats
REMEDY = "check that the checkpoint is whole and the processor is its own"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class StudentModel:
    """Who is taught: how it reads and writes, what it says of itself, and the longest prompts and responses of the
    run."""

    processor: Processor
    engine: RolloutEngine
    identity: Identity
    max_prompt_tokens: int
    max_new_tokens: int

    @property
    def greedy(self) -> Sampling:
        """How answers are drawn before the first step."""
        return Sampling(temperature=0, max_new_tokens=min(self.max_new_tokens, LONGEST), seed=0, policy_step=0)

    def prompt(self, sample: Sample) -> Prompt:
        """Raises BadSample where it cannot be read, or is longer than the run's may be."""
        prompt = self.processor.encode(sample)
        if len(prompt.token_ids) > self.max_prompt_tokens:
            raise BadSample(f"{len(prompt.token_ids)} tokens")
        return prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """An answer of the student's, and the mean log-prob that the teacher gives its tokens [nats per token]."""

    sample_id: str
    answer: str
    logprob: float


def probes(entry: RosterEntry, samples: Sequence[Sample], student: StudentModel) -> tuple[Probe, ...]:
    """Have the teacher score the student's greedy answers to samples that it teaches: the first that can be read of
    those with media, and of those without.

    Raises:
        UserError: the teacher does not score an answer, or scores what it was not given.
    """
    prompts = [prompt for own in _by_media(samples) if (prompt := _readable(own[:TRIES], student))]
    groups = student.engine.generate(prompts, 1, student.greedy) if prompts else []
    return tuple(_probe(entry, rollout, student) for (rollout,) in groups if len(rollout.response_ids))


def has_media(sample: Sample) -> bool:
    """Whether there is anything beside texts."""
    return bool(media_kinds([sample]))


def media_kinds(samples: Sequence[Sample]) -> frozenset[str]:
    """The kinds of all their media."""
    contents = (part for sample in samples for message in sample.messages for part in message.content)
    return frozenset(part.kind for part in contents if isinstance(part, Media))


def _by_media(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample]]:
    return [one for one in samples if has_media(one)], [one for one in samples if not has_media(one)]


def _readable(samples: Sequence[Sample], student: StudentModel) -> Prompt | None:
    for sample in samples:
        with suppress(BadSample):
            return student.prompt(sample)
    return None


def _probe(entry: RosterEntry, rollout: Rollout, student: StudentModel) -> Probe:
    """The answer, and its tokens in another order, which only a teacher that does not read finds equally likely."""
    stirred = replace(rollout, response_ids=rollout.response_ids.roll(1))
    scored = entry.scorer.score([rollout, stirred])
    scores, others = (_checked(entry, *pair) for pair in zip((rollout, stirred), scored, strict=True))
    both = torch.cat([scores.logprobs, others.logprobs])
    if not torch.equal(stirred.response_ids, rollout.response_ids) and both.max() - both.min() < NO_DIFFERENCE:
        raise UserError(f"{_place(entry, rollout)} has log-prob {both[0]:.3f} at every token, in any order; {REMEDY}")
    return Probe(
        sample_id=rollout.prompt.sample.sample_id,
        answer=student.processor.decode(rollout.response_ids),
        logprob=scores.logprobs.mean().item(),
    )


def _checked(entry: RosterEntry, rollout: Rollout, scores: TeacherScores | Failure) -> TeacherScores:
    place = _place(entry, rollout)
    if isinstance(scores, Failure):
        raise UserError(f"{place} cannot be scored: {scores.reason}")
    if not torch.equal(scores.token_ids, rollout.response_ids):
        raise UserError(f"{place} comes back as other tokens; {REMEDY}")
    if not (finite := scores.logprobs.isfinite()).all():
        raise UserError(f"{place} has log-probs that are no numbers, at {int((~finite).sum())} tokens; {REMEDY}")
    return scores


def _place(entry: RosterEntry, rollout: Rollout) -> str:
    return f"teacher={entry.plan.name}: the student's answer to {rollout.prompt.sample.source}"
