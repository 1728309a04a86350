"""Outcomes of responses that were graded again, as tables: how many are right, wrong and unknown, and why; the slowest;
and how they compare with the verdicts that the rows call acceptable."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from uniopd_mm.runtime.reasons import counted
from uniopd_mm.tracking.tables import table_of

LETTERS = {True: "T", False: "F", None: "N"}
NAMES = {"T": "right", "F": "wrong", "N": "unknown"}
NUM_REASONS = 8
NUM_SLOWEST = 5
NUM_NAMED = 20
CLOSE = 1e-3  # difference of rewards that are the same


@dataclass(frozen=True, kw_only=True, slots=True)
class Graded:
    """The outcome of one response. `expected` has the letters of acceptable verdicts, "T=0.5" a reward, "" neither."""

    id: str
    domain: str
    expected: str
    correct: bool | None
    reward: float
    reason: str
    answer: str | None
    seconds: float

    @property
    def letter(self) -> str:
        return LETTERS[self.correct]

    @property
    def acceptable(self) -> bool:
        letters, _, reward = self.expected.partition("=")
        return self.letter in letters and (not reward or abs(self.reward - float(reward)) < CLOSE)

    @property
    def record(self) -> dict[str, Any]:
        """What the output file has of it."""
        names = ("id", "correct", "reward", "reason", "answer", "seconds")
        return {name: getattr(self, name) for name in names} | ({"expected": self.expected} if self.expected else {})


def tables(graded: Sequence[Graded]) -> list[Table]:
    """Verdicts, reasons of unknown ones, the slowest, and the confusion table if rows have acceptable verdicts."""
    found = [_verdicts(graded), _unknown(graded), _slowest(graded)]
    if any(outcome.expected for outcome in graded):
        found += [_confusion(graded), _share(graded), _false_positives(graded)]
    return [table for table in found if table.row_count]


def _verdicts(graded: Sequence[Graded]) -> Table:
    rows = []
    for domain in dict.fromkeys(outcome.domain for outcome in graded):
        own = [outcome for outcome in graded if outcome.domain == domain]
        counts = Counter(outcome.letter for outcome in own)
        shares = {NAMES[letter]: f"{counts[letter]} ({counts[letter] / len(own):.1%})" for letter in NAMES}
        reward = sum(outcome.reward for outcome in own) / len(own)
        rows.append({"domain": domain, "responses": str(len(own)), **shares, "mean reward": f"{reward:.3f}"})
    return table_of("Verdicts", rows, left=("domain",))


def _unknown(graded: Sequence[Graded]) -> Table:
    reasons = counted(outcome.reason for outcome in graded if outcome.correct is None)
    most = sorted(reasons.values(), key=lambda pair: -pair[0])[:NUM_REASONS]
    rows = [{"responses": str(number), "the first reason of its kind": first} for number, first in most]
    return table_of("Why outcomes are unknown", rows, left=("the first reason of its kind",))


def _slowest(graded: Sequence[Graded]) -> Table:
    slowest = sorted(graded, key=lambda outcome: -outcome.seconds)[:NUM_SLOWEST]
    rows = [{"id": outcome.id, "seconds": f"{outcome.seconds:.3f}"} for outcome in slowest]
    return table_of("The slowest", rows, left=("id",))


def _confusion(graded: Sequence[Graded]) -> Table:
    counts = Counter((outcome.expected, outcome.letter) for outcome in graded if outcome.expected)
    rows = [
        {"acceptable": expected, **{NAMES[letter]: str(counts[expected, letter]) for letter in NAMES}}
        for expected in sorted({expected for expected, _ in counts})
    ]
    return table_of("Acceptable verdicts and those given", rows, left=("acceptable",))


def _share(graded: Sequence[Graded]) -> Table:
    rows = []
    for domain in [*dict.fromkeys(outcome.domain for outcome in graded), "all"]:
        own = [outcome for outcome in graded if outcome.expected and domain in (outcome.domain, "all")]
        good = sum(outcome.acceptable for outcome in own)
        false = sum(_is_false_positive(outcome) for outcome in own)
        if own:
            share = f"{good} of {len(own)} ({good / len(own):.1%})"
            rows.append({"domain": domain, "acceptable": share, "false positives": str(false)})
    return table_of("Agreement", rows, left=("domain",))


def _false_positives(graded: Sequence[Graded]) -> Table:
    named = [outcome for outcome in graded if outcome.expected and not outcome.acceptable]
    named = sorted(named, key=lambda outcome: not _is_false_positive(outcome))[:NUM_NAMED]
    rows = [
        {
            "id": outcome.id,
            "given": "FALSE POSITIVE" if _is_false_positive(outcome) else NAMES[outcome.letter],
            "acceptable": outcome.expected,
            "reason": outcome.reason,
        }
        for outcome in named
    ]
    return table_of("Not acceptable, false positives first", rows, left=("id", "given", "acceptable", "reason"))


def _is_false_positive(outcome: Graded) -> bool:
    return outcome.correct is True and "T" not in outcome.expected
