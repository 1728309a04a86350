"""Scores that nobody measured."""

from collections.abc import Mapping
from typing import Any

from uniopd_mm.evaluation.records import Paper, Score, Status

AIME = Paper(student=23.0, opd=57.9, uni_opd=63.3)


def score(checkpoint: str = "a", task: str = "uniopd_aime24", value: float | None = 50.0, **changes: Any) -> Score:
    """A finished evaluation of 100 questions, with the fields in `changes`."""
    defaults: Mapping[str, Any] = {
        "title": task.removeprefix("uniopd_"),
        "domain": "math",
        "status": Status.DONE,
        "metric": "accuracy",
        "standard_error": 1.0,
        "num_questions": 100,
        "paper": AIME,
    }
    return Score(checkpoint=checkpoint, task=task, value=value, **{**defaults, **changes})


def failed(checkpoint: str, task: str, reason: str | None = "it ran out of memory", **changes: Any) -> Score:
    return score(checkpoint, task, None, status=Status.FAILED, standard_error=None, reason=reason, **changes)
