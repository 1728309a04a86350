"""Checks of every teacher before the first step, and how many prompts each one teaches.

A teacher answers one of its prompts greedily, and then scores its answer in the same way as the student's responses.
Every token must get the log-prob that it had in generation, and must get it twice; so must an improbable token, drawn
at temperature 1. This finds weights that were damaged while loading, and a teacher that generates and scores with
different prompts, before they reach the loss. Greedy decoding reports log-probs at temperature 1, so they are compared
there; at another temperature of the recipe the teacher must return other scores.

Before this self-test, the teacher's settings are compared with the student's (compatibility.py). After it, a teacher
that reads the student's ids scores answers of the student (probe.py).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import log

from torch import Tensor

from uniopd_mm.config.parts import MediaFor, Reads
from uniopd_mm.models.compatibility import Difference, compare, refuse
from uniopd_mm.models.identity import identity_of
from uniopd_mm.teachers.probe import MAX_SAMPLES, MIN_DIFFERENCE, REMEDY, Probe, StudentModel, media_kinds, probes
from uniopd_mm.teachers.roster import ONE_TEACHER, Roster, RosterEntry
from uniopd_mm.tracking.console import warning
from uniopd_mm.types import BadSample, Failure, Prompt, Rollout, Sample, TeacherScores, UserError

SAME_PROCESSOR = "set its path to the checkpoint that its servers run: its prompts are encoded here"
TOLERANCE = {"float32": 0.1, "bfloat16": 0.5}  # nats; generation excludes banned ids and uses a key-value cache
NEARLY_SURE = -1e-3  # nats; a log-prob above it is about the same at any temperature
NUM_DRAWN = 4  # answers among whose tokens the least likely is compared
IMPROBABLE_SHARE = 0.1  # of its log-prob, by which it may differ; rounding grows with it
UNIFORM = 0.999  # of log(vocabulary size); a trained model is far surer of its likeliest token


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfTest:
    """A teacher's answer to one of its prompts, the mean log-prob of its tokens, and the mean absolute difference
    between their log-probs in generation and in scoring [nats per token]."""

    sample_id: str
    answer: str
    logprob: float
    difference: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """The prompts of one teacher and the results of its checks.

    `prompts` counts them by domain and weight. `self_test` is None if it has no prompt, `settings` if its engine cannot
    report them. `differences` are its settings that differ from the student's. `probes` are its scores of the student's
    answers, if it reads the student's ids.
    """

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
    """One entry per teacher, compared with the student and tested. Warns of teachers without a sample, and of rules
    that match no sample.

    Raises:
        UserError: a sample has no teacher, or several if the recipe compares distributions; a teacher would misread the
            student, or fails its test.
    """
    prompts: dict[str, Counter[str]] = {name: Counter() for name in roster.entries}
    by_teacher: dict[str, list[Sample]] = {name: [] for name in roster.entries}
    for sample in samples:
        weights = roster.routes.weights(sample)
        if len(weights) > 1 and roster.options.distributions:
            raise UserError(f"{sample.source}: {' and '.join(weights)} teach it, and {ONE_TEACHER}")
        for name, weight in weights.items():
            prompts[name][sample.domain] += weight  # type: ignore[assignment]
            by_teacher[name].append(sample)
    _warn_of_unused(roster, samples, by_teacher)
    differences = {name: _differences(entry, by_teacher[name], student) for name, entry in roster.entries.items()}
    temperature = roster.options.temperature
    return [
        Assignment(
            teacher=name,
            path=str(entry.plan.path or "made here"),
            reads=entry.plan.reads.value,
            media=entry.plan.media.value,
            prompts=dict(prompts[name]),
            self_test=self_test(entry, by_teacher[name], student, temperature) if by_teacher[name] else None,
            settings=entry.model.identity.described if entry.model.identity else None,
            differences=differences[name],
            probes=probes(entry, by_teacher[name], student, temperature) if entry.plan.reads is Reads.IDS else (),
        )
        for name, entry in roster.entries.items()
    ]


def _differences(entry: RosterEntry, samples: Sequence[Sample], student: StudentModel) -> tuple[Difference, ...]:
    """Raises UserError if the teacher would misread these samples."""
    name, reads, teacher = entry.plan.name, entry.plan.reads, entry.model.identity
    if teacher is None:
        return ()
    differences = compare(student.identity, teacher, reads, media_kinds(samples))
    refuse(name, differences)
    if entry.prompts:  # encoded by a processor in this process, while a server may run the model
        kinds = media_kinds(samples) if entry.plan.media is MediaFor.AS_IS else ()
        local = identity_of(entry.model.processor, teacher.vocab_size)
        refuse(name, compare(local, teacher, Reads.IDS, kinds), "its processor here", SAME_PROCESSOR)
    if reads is Reads.IDS and teacher.vocab_size < student.identity.vocab_size:
        warning(
            f"teacher={name} has {teacher.vocab_size} ids, the student {student.identity.vocab_size}: responses with "
            "any of the others are not scored"
        )
    return tuple(differences)


def _warn_of_unused(roster: Roster, samples: Sequence[Sample], by_teacher: Mapping[str, Sequence[Sample]]) -> None:
    for name in roster.entries:
        if not by_teacher[name]:
            warning(f"teacher={name} teaches no train prompt; see routing.* and the rows' domains")
    for index, rule in enumerate(roster.routes.rules):
        if not any(rule.matches(sample) for sample in samples):
            warning(f"routing.rules[{index}]: no train prompt has {dict(rule.where)}")


def self_test(
    entry: RosterEntry, samples: Sequence[Sample], student: StudentModel, temperature: float = 1.0
) -> SelfTest | None:
    """Test the teacher on the first sample that it and the student can read. None if the student can read none, which
    the prompt stream reports.

    Raises:
        UserError: the teacher can read none, its generation and scoring disagree, or it ignores the `temperature`.
    """
    prompt = _first_readable(entry, samples[:MAX_SAMPLES], student)
    if prompt is None:
        return None
    (rollout,) = entry.model.engine.generate([prompt], 1, student.greedy)[0]
    first, second = entry.model.scorer.score([rollout, rollout])
    for scores in (first, second):
        if isinstance(scores, Failure):
            raise UserError(f"teacher={entry.plan.name}: cannot score its own answer: {scores.reason}")
    assert isinstance(first, TeacherScores) and isinstance(second, TeacherScores)
    difference = (first.logprobs - rollout.logprobs).abs().mean().item()
    text = entry.model.processor.decode(rollout.response_ids)
    _check(entry, first, second, difference, text)
    _check_temperature(entry, rollout, first.logprobs, temperature)
    _check_improbable(entry, prompt, student)
    return SelfTest(
        sample_id=prompt.sample.sample_id, answer=text, logprob=first.logprobs.mean().item(), difference=difference
    )


def _check(entry: RosterEntry, first: TeacherScores, second: TeacherScores, difference: float, text: str) -> None:
    name, limit = entry.plan.name, TOLERANCE[entry.plan.dtype]
    if not difference <= limit:  # also if it is NaN
        raise UserError(
            f"teacher={name}: log-probs of its greedy answer {text!r} differ by {difference:.3g} nats between "
            f"generation and scoring; {REMEDY}"
        )
    if not (first.logprobs - second.logprobs).abs().mean().item() <= limit:
        raise UserError(f"teacher={name}: scores the same answer differently within one batch; {REMEDY}")
    if -first.logprobs.mean().item() > UNIFORM * log(entry.model.vocab_size):  # although greedy tokens are likeliest
        raise UserError(f"teacher={name}: finds every token equally likely, like a model without weights; {REMEDY}")


def _check_temperature(entry: RosterEntry, rollout: Rollout, plain: Tensor, temperature: float) -> None:
    """Raises UserError if scores at `temperature` are the same as `plain` f32[R], those at temperature 1."""
    if temperature == 1:
        return
    where = f"teacher={entry.plan.name}: at temperature {temperature:g}"
    remedy = "set recipe.teacher_temperature=1 to compare it at temperature 1 knowingly"
    (scores,) = entry.model.scorer.score([rollout], temperature)
    if isinstance(scores, Failure):
        raise UserError(f"{where} it cannot score its own answer: {scores.reason}; {remedy}")
    same = (scores.logprobs - plain).abs().max().item() < MIN_DIFFERENCE
    if same and plain.min().item() < NEARLY_SURE:
        raise UserError(f"{where} its scores are those at temperature 1; {remedy}")


def _check_improbable(entry: RosterEntry, prompt: Prompt, student: StudentModel) -> None:
    """Compare the least likely token of some drawn answers. Greedy ones are near probability 1, where a wrong factor on
    all logits does not show.

    Raises:
        UserError: it has another log-prob in scoring than in generation.
    """
    sampling = replace(student.greedy, temperature=1.0)
    rollouts = [one for one in entry.model.engine.generate([prompt], NUM_DRAWN, sampling)[0] if len(one.response_ids)]
    pairs = [
        pair
        for rollout, scores in zip(rollouts, entry.model.scorer.score(rollouts), strict=True)
        if isinstance(scores, TeacherScores)
        for pair in zip(rollout.logprobs.tolist(), scores.logprobs.tolist(), strict=True)
    ]
    generated, scored = min(pairs, default=(0.0, 0.0))
    limit = max(TOLERANCE[entry.plan.dtype], -IMPROBABLE_SHARE * generated)
    if not abs(scored - generated) <= limit:  # also if it is NaN
        raise UserError(
            f"teacher={entry.plan.name}: an improbable token of its answers has log-prob {generated:.3g} in generation "
            f"and {scored:.3g} in scoring; {REMEDY}"
        )


def _first_readable(entry: RosterEntry, samples: Sequence[Sample], student: StudentModel) -> Prompt | None:
    """The teacher's prompt of the first sample that it and the student can read; None if the student reads none."""
    reason = ""
    for sample in samples:
        with suppress(BadSample):
            prompt = student.encode(sample)
            if entry.prompts is None:
                return prompt
            try:
                return entry.prompts.encode(sample)
            except BadSample as error:
                reason = f"{sample.source}: {error}"
    if not reason:
        return None
    raise UserError(
        f"teacher={entry.plan.name}: none of the first {len(samples)} samples can be read (last error: {reason}); set "
        "media=CAPTION or media=NOTHING for a text-only teacher"
    )
