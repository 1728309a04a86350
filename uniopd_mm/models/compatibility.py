"""Whether a teacher reads the student's responses as the student meant them: a comparison of both models' settings.
All differences are reported; those that would corrupt scores are refused.

Leaves out running the models, which the self-test does.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from uniopd_mm.config.parts import Reads
from uniopd_mm.models.identity import BANNED_IDS, MEDIA, ROWS, STOP_IDS, VOCABULARY, Identity, kind_of
from uniopd_mm.types import UserError

ALWAYS_SHOWN = (VOCABULARY, STOP_IDS, BANNED_IDS, ROWS, MEDIA, "chat_template")
SAME, UNKNOWN = "the same", "unknown"
MAX_LENGTH = 40  # characters of a value in the table; the file has it in full
OTHER_TOKENS = "choose a teacher with the student's tokenizer, or set its reads=TOKENS or TEXT"
OTHER_MEDIA = "set its reads=TOKENS and media=CAPTION or NOTHING"
OTHER_TENSORS = (
    "it would get tensors that its weights were not trained on: choose a teacher of the student's family, or set its "
    "reads=TOKENS, which encodes media with the teacher's own processor"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A setting that differs between student and teacher; None for the one that lacks it. `refusal` says why scores
    would be wrong and what to change; None if they would be right."""

    name: str
    student: str | None
    teacher: str | None
    refusal: str | None = None


def compare(student: Identity, teacher: Identity, reads: Reads, kinds: Collection[str]) -> list[Difference]:
    """The settings that differ, in their order, for a teacher whose samples have media of `kinds`. A difference is only
    refused if the teacher reads the student's ids and media."""
    of_student, of_teacher = student.described, teacher.described
    differing = [name for name in of_student | of_teacher if of_student.get(name) != of_teacher.get(name)]
    return [
        Difference(
            name=name,
            student=of_student.get(name),
            teacher=of_teacher.get(name),
            refusal=_refusal(name, student, teacher, kinds) if reads is Reads.IDS else None,
        )
        for name in differing
    ]


def refuse(
    teacher_name: str, differences: Sequence[Difference], sender: str = "the student", remedy: str | None = None
) -> None:
    """Raises UserError if a difference would corrupt scores. The error has the values of the first such difference and
    the names of the others. `sender` encodes what the teacher reads; `remedy` replaces that of the difference."""
    refused = [difference for difference in differences if difference.refusal]
    if not refused:
        return
    first, others = refused[0], [difference.name for difference in refused[1:]]
    more = f" (also different: {', '.join(others)})" if others else ""
    raise UserError(
        f"teacher={teacher_name}: {first.name} is {first.teacher or 'missing'}, but {first.student} for {sender}"
        f"{more}; {remedy or first.refusal}"
    )


def _refusal(name: str, student: Identity, teacher: Identity, kinds: Collection[str]) -> str | None:
    if name == VOCABULARY:
        return None if _knows_all_tokens(student, teacher) else OTHER_TOKENS
    if name == STOP_IDS:
        return "set the same eos_token_id in both generation_config.json, or set its reads=TOKENS"
    if name == BANNED_IDS:
        return "choose a teacher with the student's media tokens, or set its reads=TOKENS"
    if name == MEDIA:
        unread = sorted((student.kinds - teacher.kinds).intersection(kinds))
        return f"its prompts contain media of kind {' and '.join(unread)}; {OTHER_MEDIA}" if unread else None
    # An engine that preprocesses media does so like the teacher's own processor.
    concerned = name in student.settings.binding and kind_of(name) in teacher.kinds.intersection(kinds)
    return OTHER_TENSORS if concerned and not teacher.preprocesses else None


def _knows_all_tokens(student: Identity, teacher: Identity) -> bool:
    """Whether the teacher has all of the student's tokens; it may have more. False if either vocabulary is unknown."""
    if student.tokens is None or teacher.tokens is None:
        return False
    return all(teacher.tokens.get(token) == index for token, index in student.tokens.items())


def rows_of(student: Mapping[str, str], teachers: Mapping[str, Mapping[str, str] | None]) -> list[dict[str, str]]:
    """The rows of the comparison table, from the settings of the student and of each teacher (None: unknown). There is
    a row for each setting that differs and for each of ALWAYS_SHOWN; the last row counts the other settings."""
    known = [settings for settings in teachers.values() if settings is not None]
    names = list(dict.fromkeys(name for settings in (student, *known) for name in settings))
    differing = {name for settings in known for name, value in settings.items() if student.get(name) != value}
    shown = [name for name in names if name in ALWAYS_SHOWN or name in differing]
    rows = [
        {"": name, "student": _short(student.get(name))}
        | {teacher: _cell(name, student, settings) for teacher, settings in teachers.items()}
        for name in shown
    ]
    others = {teacher: UNKNOWN if settings is None else SAME for teacher, settings in teachers.items()}
    return [*rows, {"": f"{len(names) - len(shown)} more", "student": "in teachers.json"} | others]


def _cell(name: str, student: Mapping[str, str], teacher: Mapping[str, str] | None) -> str:
    if teacher is None:
        return UNKNOWN
    return SAME if teacher.get(name) == student.get(name) else _short(teacher.get(name))


def _short(value: str | None) -> str:
    if value is None:
        return "-"
    return value if len(value) <= MAX_LENGTH else f"{value[: MAX_LENGTH - 1]}…"
