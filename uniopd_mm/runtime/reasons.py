"""Counts why things were left out, by kind. Reasons that differ only in quoted text and numbers are of one kind."""

import re
from collections.abc import Iterable, Mapping, Sequence

from uniopd_mm.types import Failure, FinishReason, Trajectory

MAX_LENGTH = 300  # characters quoted from a library or a server
Reasons = Mapping[str, tuple[int, str]]  # by kind: the count, and the full text of the first one

_PARTICULAR = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+(?:\.\d+)?""")


def in_short(text: object) -> str:
    """The beginning of a message from a library or a server, on one line."""
    return " ".join(str(text).split())[:MAX_LENGTH]


def counted(texts: Iterable[str]) -> dict[str, tuple[int, str]]:
    """The count and the first text of each kind.

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
    """Add up the counts of several parts, in their order."""
    counts: dict[str, tuple[int, str]] = {}
    for part in parts:
        for kind, (number, text) in part.items():
            count, first = counts.get(kind, (0, text))
            counts[kind] = count + number, first
    return counts


def failure_reasons(trajectories: Sequence[Trajectory]) -> dict[str, tuple[int, str]]:
    """Why outcomes are unknown, teachers failed, and responses are missing."""
    unknown = [f"outcome unknown: {t.outcome.reason}" for t in trajectories if t.outcome.correct is None]
    scores = [entry for t in trajectories for entry in (t.scores, t.base)]
    failed = [f"teacher {entry.teacher}: {entry.reason}" for entry in scores if isinstance(entry, Failure)]
    aborted = ["no response was written" for t in trajectories if t.rollout.finish_reason is FinishReason.ABORT]
    return counted([*unknown, *failed, *aborted])
