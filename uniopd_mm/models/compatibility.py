"""Would a teacher read what the student wrote as the student means it? Student and teacher compared by what they say of
themselves: all that differs is named, and what would corrupt scores is refused.

Leaves out trying it, which is the self-test's.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from uniopd_mm.config.parts import Reads
from uniopd_mm.models.identity import BANNED_IDS, MEDIA, ROWS, STOP_IDS, VOCABULARY, Identity, kind_of
from uniopd_mm.types import UserError

SHOWN_ALWAYS = (VOCABULARY, STOP_IDS, BANNED_IDS, ROWS, MEDIA, "chat_template")
SAME, UNKNOWN = "the same", "unknown"
LONGEST = 40  # letters of a value in the table; the file has all
OTHER_TOKENS = "choose a teacher with the student's tokenizer, or set its reads=TOKENS or TEXT"
OTHER_MEDIA = "set its reads=TOKENS and media=CAPTION or NOTHING"
OTHER_TENSORS = (
    "it would be given tensors that its weights do not know: choose one of the student's family, or set its "
    "reads=TOKENS, which has media read by the teacher's own processor"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A setting that differs; None for who has no such setting. `refusal` says why scores would be wrong and what to
    do, None where they would not be."""

    name: str
    student: str | None
    teacher: str | None
    refusal: str | None = None


def compare(student: Identity, teacher: Identity, reads: Reads, kinds: Collection[str]) -> list[Difference]:
    """What differs between a student and a teacher that is asked about media of `kinds`, in the order in which they
    tell it. Only a teacher that is given the student's ids and media can be refused."""
    mine, theirs = student.described, teacher.described
    differing = [name for name in {**mine, **theirs} if mine.get(name) != theirs.get(name)]
    return [
        Difference(
            name=name,
            student=mine.get(name),
            teacher=theirs.get(name),
            refusal=_refusal(name, student, teacher, kinds) if reads is Reads.IDS else None,
        )
        for name in differing
    ]


def refuse(
    teacher_name: str, differences: Sequence[Difference], sender: str = "the student", remedy: str | None = None
) -> None:
    """Raises UserError where a difference would corrupt scores; names the first with its values, and the others.
    `sender` is who prepares what the teacher reads; `remedy` stands in the place of the difference's own."""
    wrong = [one for one in differences if one.refusal]
    if not wrong:
        return
    first, others = wrong[0], [one.name for one in wrong[1:]]
    more = f" (and others: {', '.join(others)})" if others else ""
    raise UserError(
        f"teacher={teacher_name}: {first.name} is {first.teacher or 'not there'}, for {sender} {first.student}"
        f"{more}; {remedy or first.refusal}"
    )


def _refusal(name: str, student: Identity, teacher: Identity, kinds: Collection[str]) -> str | None:
    if name == VOCABULARY:
        return None if _knows_all_tokens(student, teacher) else OTHER_TOKENS
    if name == STOP_IDS:
        return "set eos_token_id alike in both generation_config.json, or its reads=TOKENS"
    if name == BANNED_IDS:
        return "choose a teacher with the student's media tokens, or set its reads=TOKENS"
    if name == MEDIA:
        unread = sorted((student.kinds - teacher.kinds).intersection(kinds))
        return f"it is asked about {' and '.join(unread)}; {OTHER_MEDIA}" if unread else None
    # Where its engine makes the tensors, it does so as the teacher's own processor would.
    concerned = name in student.settings.binding and kind_of(name) in teacher.kinds.intersection(kinds)
    return OTHER_TENSORS if concerned and not teacher.preprocesses else None


def _knows_all_tokens(student: Identity, teacher: Identity) -> bool:
    """It may know more. Where tokens were not sent, nobody can tell."""
    if student.tokens is None or teacher.tokens is None:
        return False
    return all(teacher.tokens.get(token) == index for token, index in student.tokens.items())


def rows_of(student: Mapping[str, str], teachers: Mapping[str, Mapping[str, str] | None]) -> list[dict[str, str]]:
    """A table's rows of what all tell: one for each setting that somebody has otherwise, and for the most important
    ones in any case; how many others there are, the same where they are there at all, stands in the last. Who tells
    nothing is None."""
    told = [of for of in teachers.values() if of is not None]
    names = list(dict.fromkeys(name for of in (student, *told) for name in of))
    differing = {name for of in told for name, value in of.items() if student.get(name) != value}
    shown = [name for name in names if name in SHOWN_ALWAYS or name in differing]
    rows = [
        {"": name, "student": _short(student.get(name))}
        | {teacher: _cell(name, student, of) for teacher, of in teachers.items()}
        for name in shown
    ]
    others = {teacher: UNKNOWN if of is None else SAME for teacher, of in teachers.items()}
    return [*rows, {"": f"{len(names) - len(shown)} more", "student": "in teachers.json"} | others]


def _cell(name: str, student: Mapping[str, str], teacher: Mapping[str, str] | None) -> str:
    if teacher is None:
        return UNKNOWN
    return SAME if teacher.get(name) == student.get(name) else _short(teacher.get(name))


def _short(value: str | None) -> str:
    if value is None:
        return "-"
    return value if len(value) <= LONGEST else f"{value[: LONGEST - 1]}…"
