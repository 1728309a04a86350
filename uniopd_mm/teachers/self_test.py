"""Before the first step: can each teacher be believed? And who teaches what, in numbers.

A teacher answers one of its prompts greedily, and then scores that answer as it will score the student's: every token
must have the log-prob it had when it was written, and twice the same. A checkpoint whose weights were lost on the way
to the device, or which scores a prompt otherwise than it reads it, fails here and not in the loss.

Before that, what it says of itself is compared with the student (compatibility.py); after it, a teacher that reads the
student's ids scores answers of the student's (probe.py).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from math import log

from uniopd_mm.config.parts import MediaFor, Reads
from uniopd_mm.models.compatibility import Difference, compare, refuse
from uniopd_mm.models.identity import identity_of
from uniopd_mm.teachers.probe import REMEDY, TRIES, Probe, StudentModel, media_kinds, probes
from uniopd_mm.teachers.roster import ONE_DISTRIBUTION, Roster, RosterEntry
from uniopd_mm.tracking.console import warning
from uniopd_mm.types import BadSample, Failure, Prompt, Rollout, Sample, TeacherScores, UserError

SAME_PROCESSOR = "give it the checkpoint that its servers run, of which its prompts are made here"
TOLERANCE = {"float32": 0.1, "bfloat16": 0.5}  # nats; it is written without banned ids, and with a cache of keys
UNIFORM = 0.999  # of the logarithm of the vocabulary; a trained model is far surer of its likeliest token


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfTest:
    """A teacher's answer to one of its prompts, the mean log-prob of its tokens, and the mean difference between
    writing and scoring them [nats per token]."""

    sample_id: str
    answer: str
    logprob: float
    difference: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """What one teacher teaches: prompts by domain, counted by their weights, and its self-test (None where it has no
    prompt). `settings` is what it says of itself (None where it says nothing), `differences` what of it is otherwise
    than the student's, `probes` how it scores the student where it reads the student's ids."""

    teacher: str
    path: str
    reads: str
    media: str
    prompts: Mapping[str, float]
    self_test: SelfTest | None
    settings: Mapping[str, str] | None = None
    differences: tuple[Difference, ...] = ()
    probes: tuple[Probe, ...] = ()


def assignments(roster: Roster, samples: Sequence[Sample], student: StudentModel) -> list[Assignment]:
    """One entry for each teacher, compared with the student and tested. A teacher that teaches nothing, and a rule that
    says nothing of any sample, are named on the console.

    Raises:
        UserError: a sample that nobody teaches, or that several do where one's distribution is asked for; a teacher
            that would misread the student, or that fails its test.
    """
    prompts: dict[str, Counter[str]] = {name: Counter() for name in roster.entries}
    own: dict[str, list[Sample]] = {name: [] for name in roster.entries}
    for sample in samples:
        weights = roster.routes.of(sample)
        if len(weights) > 1 and roster.options.distributions:
            raise UserError(f"{sample.source}: {' and '.join(weights)} teach it, and {ONE_DISTRIBUTION}")
        for name, weight in weights.items():
            prompts[name][sample.domain] += weight  # type: ignore[assignment]
            own[name].append(sample)
    _name_idle(roster, samples, own)
    differences = {name: _differences(entry, own[name], student) for name, entry in roster.entries.items()}
    return [
        Assignment(
            teacher=name,
            path=str(entry.plan.path or "made here"),
            reads=entry.plan.reads.value,
            media=entry.plan.media.value,
            prompts=dict(prompts[name]),
            self_test=self_test(entry, own[name], student) if own[name] else None,
            settings=entry.model.identity.described if entry.model.identity else None,
            differences=differences[name],
            probes=probes(entry, own[name], student) if entry.plan.reads is Reads.IDS else (),
        )
        for name, entry in roster.entries.items()
    ]


def _differences(entry: RosterEntry, samples: Sequence[Sample], student: StudentModel) -> tuple[Difference, ...]:
    """Raises UserError where the teacher would misread what it is given of these samples."""
    name, reads, teacher = entry.plan.name, entry.plan.reads, entry.model.identity
    if teacher is None:
        return ()
    differences = compare(student.identity, teacher, reads, media_kinds(samples))
    refuse(name, differences)
    if entry.prompts:  # which a processor here prepares, perhaps for servers
        seen = media_kinds(samples) if entry.plan.media is MediaFor.AS_IS else ()
        here = identity_of(entry.model.processor, teacher.vocab_size)
        refuse(name, compare(here, teacher, Reads.IDS, seen), "its processor here", SAME_PROCESSOR)
    if reads is Reads.IDS and teacher.vocab_size < student.identity.vocab_size:
        warning(
            f"teacher={name} knows {teacher.vocab_size} ids, the student {student.identity.vocab_size}: responses with "
            "one of the others are left unscored"
        )
    return tuple(differences)


def _name_idle(roster: Roster, samples: Sequence[Sample], own: Mapping[str, Sequence[Sample]]) -> None:
    for name in roster.entries:
        if not own[name]:
            warning(f"teacher={name} teaches no train prompt; see routing.* and the rows' domains")
    for index, rule in enumerate(roster.routes.rules):
        if not any(rule.holds(sample) for sample in samples):
            warning(f"routing.rules[{index}]: no train prompt has {dict(rule.where)}")


def self_test(entry: RosterEntry, samples: Sequence[Sample], student: StudentModel) -> SelfTest | None:
    """Test the teacher on the first of its samples that can be read; None where the student can read none either,
    which is for the prompts' own check to say.

    Raises:
        UserError: the teacher can read none, or writing and scoring disagree.
    """
    name, prompt = entry.plan.name, _readable(entry, samples[:TRIES], student)
    if prompt is None:
        return None
    (rollout,) = entry.model.writer.generate([prompt], 1, student.greedy)[0]
    first, second = entry.model.scorer.score([rollout, rollout])
    if isinstance(first, Failure) or isinstance(second, Failure):
        raise UserError(f"teacher={name}: cannot score its own answer: {_reason(first) or _reason(second)}")
    difference = (first.logprobs - rollout.logprobs).abs().mean().item()
    text = entry.model.processor.decode(rollout.response_ids)
    _check(entry, rollout, first, second, difference, text)
    return SelfTest(
        sample_id=prompt.sample.sample_id, answer=text, logprob=first.logprobs.mean().item(), difference=difference
    )


def _check(
    entry: RosterEntry, rollout: Rollout, first: TeacherScores, second: TeacherScores, difference: float, text: str
) -> None:
    name, limit = entry.plan.name, TOLERANCE[entry.plan.dtype]
    if not difference <= limit:  # NaN is not
        raise UserError(
            f"teacher={name}: its greedy answer {text!r} is scored {difference:.3g} nats otherwise; {REMEDY}"
        )
    if not (first.logprobs - second.logprobs).abs().mean().item() <= limit:
        raise UserError(f"teacher={name}: scores one answer in two ways in one batch; {REMEDY}")
    if -first.logprobs.mean().item() > UNIFORM * log(entry.model.vocab_size):  # of the likeliest tokens there are
        raise UserError(f"teacher={name}: finds every token equally likely, as a model without weights does; {REMEDY}")


def _readable(entry: RosterEntry, samples: Sequence[Sample], student: StudentModel) -> Prompt | None:
    """The teacher's prompt of the first sample that it and the student can read; None where the student reads none."""
    reason = ""
    for sample in samples:
        with suppress(BadSample):
            prompt = student.prompt(sample)
            if entry.prompts is None:
                return prompt
            try:
                return entry.prompts.of(sample)
            except BadSample as error:
                reason = f"{sample.source}: {error}"
    if not reason:
        return None
    raise UserError(
        f"teacher={entry.plan.name}: none of the first {len(samples)} samples can be read, the last: {reason}; a "
        "teacher without eyes takes media=CAPTION or media=NOTHING"
    )


def _reason(scores: TeacherScores | Failure) -> str:
    return scores.reason if isinstance(scores, Failure) else ""
