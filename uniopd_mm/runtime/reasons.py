"""Why things were left out, counted by kind: reasons that differ in what they quote and in numbers are of one kind."""

import re
from collections.abc import Iterable, Mapping, Sequence

from uniopd_mm.types import Failure, FinishReason, Trajectory

LONGEST = 300  # characters of somebody else's words in a line of ours
Reasons = Mapping[str, tuple[int, str]]  # by kind: how many, and the first one in full

_PARTICULAR = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?""")


def in_short(text: object) -> str:
    """The beginning of what a library or a server says, on one line."""
    return " ".join(str(text).split())[:LONGEST]


def counted(texts: Iterable[str]) -> dict[str, tuple[int, str]]:
    """
    >>> counted(["teacher t: no token for id 7", "teacher t: no token for id 12"])
    {'teacher t: no token for id …': (2, 'teacher t: no token for id 7')}
    """
    counts: dict[str, tuple[int, str]] = {}
    for text in texts:
        kind = _PARTICULAR.sub("…", text)
        count, first = counts.get(kind, (0, text))
        counts[kind] = count + 1, first
    return counts


def merged(parts: Iterable[Reasons]) -> dict[str, tuple[int, str]]:
    """Counts of several parts, in their order."""
    counts: dict[str, tuple[int, str]] = {}
    for part in parts:
        for kind, (number, text) in part.items():
            count, first = counts.get(kind, (0, text))
            counts[kind] = count + number, first
    return counts


def unlearnt(trajectories: Sequence[Trajectory]) -> dict[str, tuple[int, str]]:
    """Why outcomes are unknown, teachers failed, and responses were not written."""
    unknown = [f"outcome unknown: {t.outcome.reason}" for t in trajectories if t.outcome.correct is None]
    answers = [answer for t in trajectories for answer in (t.scores, t.base)]
    failed = [f"teacher {answer.teacher}: {answer.reason}" for answer in answers if isinstance(answer, Failure)]
    aborted = ["no response was written" for t in trajectories if t.rollout.finish_reason is FinishReason.ABORT]
    return counted([*unknown, *failed, *aborted])
