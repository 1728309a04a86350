"""A check of a teacher that reads the student's ids, before the first step: it scores two answers of the student, one
to a prompt with media and one to a prompt without.

The right scores are unknown. The check is that the scores are of these tokens and depend on what the teacher reads.
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

MAX_ANSWER_TOKENS = 64  # a longer answer takes time and shows nothing more
MAX_SAMPLES = 20  # tried, to find one that can be read
MIN_DIFFERENCE = 1e-6  # nats
REMEDY = "check that the checkpoint is complete and that its processor belongs to it"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class StudentModel:
    """The student, for comparison with its teachers, and the length limits of the run."""

    processor: Processor
    engine: RolloutEngine
    identity: Identity
    max_prompt_tokens: int
    max_new_tokens: int

    @property
    def greedy(self) -> Sampling:
        """Greedy decoding of short answers."""
        max_new_tokens = min(self.max_new_tokens, MAX_ANSWER_TOKENS)
        return Sampling(temperature=0, max_new_tokens=max_new_tokens, seed=0, policy_step=0)

    def encode(self, sample: Sample) -> Prompt:
        """Raises BadSample if the sample cannot be read, or is longer than the run allows."""
        prompt = self.processor.encode(sample)
        if len(prompt.token_ids) > self.max_prompt_tokens:
            raise BadSample(f"{len(prompt.token_ids)} tokens")
        return prompt


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """An answer of the student, and the mean log-prob that the teacher gives its tokens [nats per token]."""

    sample_id: str
    answer: str
    logprob: float


def probes(
    entry: RosterEntry, samples: Sequence[Sample], student: StudentModel, temperature: float = 1.0
) -> tuple[Probe, ...]:
    """Have the teacher score the student's greedy answers to two of its samples, at the recipe's `temperature`: the
    first readable one with media, and the first without.

    Raises:
        UserError: the teacher does not score an answer, or scores something else.
    """
    with_media = [sample for sample in samples if media_kinds([sample])]
    text_only = [sample for sample in samples if not media_kinds([sample])]
    found = (_first_readable(part[:MAX_SAMPLES], student) for part in (with_media, text_only))
    prompts = [prompt for prompt in found if prompt]
    groups = student.engine.generate(prompts, 1, student.greedy) if prompts else []
    return tuple(_probe(entry, rollout, student, temperature) for (rollout,) in groups if len(rollout.response_ids))


def media_kinds(samples: Sequence[Sample]) -> frozenset[str]:
    """The kinds of media in the samples."""
    contents = (part for sample in samples for message in sample.messages for part in message.content)
    return frozenset(part.kind for part in contents if isinstance(part, Media))


def _first_readable(samples: Sequence[Sample], student: StudentModel) -> Prompt | None:
    for sample in samples:
        with suppress(BadSample):
            return student.encode(sample)
    return None


def _probe(entry: RosterEntry, rollout: Rollout, student: StudentModel, temperature: float) -> Probe:
    """Score the answer and a permutation of its tokens. Only a teacher that ignores its input finds both, token by
    token, equally likely."""
    permuted = replace(rollout, response_ids=rollout.response_ids.roll(1))
    results = entry.scorer.score([rollout, permuted], temperature)
    scores, others = (_checked(entry, *pair) for pair in zip((rollout, permuted), results, strict=True))
    logprobs = torch.cat([scores.logprobs, others.logprobs])
    differ = not torch.equal(permuted.response_ids, rollout.response_ids)
    if differ and logprobs.max() - logprobs.min() < MIN_DIFFERENCE:
        raise UserError(
            f"{_answer_of(entry, rollout)} has log-prob {logprobs[0]:.3f} at every token, in any order; {REMEDY}"
        )
    return Probe(
        sample_id=rollout.prompt.sample.sample_id,
        answer=student.processor.decode(rollout.response_ids),
        logprob=scores.logprobs.mean().item(),
    )


def _checked(entry: RosterEntry, rollout: Rollout, scores: TeacherScores | Failure) -> TeacherScores:
    answer = _answer_of(entry, rollout)
    if isinstance(scores, Failure):
        raise UserError(f"{answer} cannot be scored: {scores.reason}")
    if not torch.equal(scores.token_ids, rollout.response_ids):
        raise UserError(f"{answer} is scored as other tokens; {REMEDY}")
    if not (finite := scores.logprobs.isfinite()).all():
        raise UserError(f"{answer} has log-probs that are not finite, at {int((~finite).sum())} tokens; {REMEDY}")
    return scores


def _answer_of(entry: RosterEntry, rollout: Rollout) -> str:
    """How errors name the answer."""
    return f"teacher={entry.plan.name}: the student's answer to {rollout.prompt.sample.source}"
