"""The records of evaluation: what is asked, what came out, and what the paper has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from uniopd_mm.types import Skip


class Status(StrEnum):
    """How the evaluation of a checkpoint on a task ended.

    INCOMPLETE: some questions could not be read and count as not answered right. INAPPLICABLE: the checkpoint cannot
    read the benchmark's media.
    """

    DONE = "done"
    INCOMPLETE = "incomplete"
    INAPPLICABLE = "inapplicable"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """Published figures on the scale of 0 to 100 (arXiv 2605.03677, radar figure), None where there is none."""

    student: float | None = None
    opd: float | None = None
    uni_opd: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteTask:
    """One benchmark of a suite.

    `task` is its name in lmms-eval. `metric` and `scale` say which of an upstream task's metrics counts and what its
    full mark is (1 or 100); tasks of ours have `score` of 100.
    """

    task: str
    title: str
    domain: str
    paper: Paper = field(default_factory=Paper)
    metric: str = "score"
    scale: float = 100.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """How one checkpoint did on one task; values are on the scale of 0 to 100.

    `value` and `standard_error` are None where nothing was measured. `metric` is what the value is ("avg@k",
    "accuracy"), of `num_questions` questions with `num_samples` responses each. `extras` are further metrics by name.
    `unknown` counts responses that could not be judged, `truncated` those cut off at the token limit; `unreadable`
    names questions that could not be asked. `contaminated` counts questions that stand in the checkpoint's training
    rollouts, None where there are none to compare with. `settings` is all that decides the value: sampling, limits,
    engine. `departures` says in words where they are not those of the protocol ("4 of 32 responses"): such a value is
    marked wherever it stands.
    """

    checkpoint: str
    task: str
    title: str
    domain: str
    status: Status
    metric: str
    value: float | None = None
    standard_error: float | None = None
    num_questions: int = 0
    num_samples: int = 1
    extras: Mapping[str, float] = field(default_factory=dict)
    unknown: int = 0
    truncated: int = 0
    response_tokens: int = 0
    unreadable: tuple[Skip, ...] = ()
    contaminated: int | None = None
    seconds: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=dict)
    departures: tuple[str, ...] = ()
    reason: str | None = None
    paper: Paper = field(default_factory=Paper)
