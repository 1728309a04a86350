"""The records of evaluation: tasks, scores, and the paper's figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from uniopd_mm.types import Skip


class Status(StrEnum):
    """How the evaluation of a checkpoint on a task ended.

    INCOMPLETE: some questions could not be read and count as incorrect. INAPPLICABLE: the checkpoint cannot read the
    benchmark's media.
    """

    DONE = "done"
    INCOMPLETE = "incomplete"
    INAPPLICABLE = "inapplicable"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """Published figures on a scale of 0 to 100 (arXiv 2605.03677, radar figure), None where the paper has none."""

    student: float | None = None
    opd: float | None = None
    uni_opd: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SuiteTask:
    """One benchmark of a suite.

    `task` is its name in lmms-eval. `metric` and `scale` choose which of an upstream task's metrics counts, and give
    its full mark (1 or 100). Our own tasks have `score` with full mark 100.
    """

    task: str
    title: str
    domain: str
    paper: Paper = field(default_factory=Paper)
    metric: str = "score"
    scale: float = 100.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ResponseStats:
    """Counts over the responses to a task's questions: responses, those truncated at the token limit, and their tokens.

    Questions in `unreadable` have empty responses, which are not counted.
    """

    num_responses: int = 0
    truncated: int = 0
    response_tokens: int = 0
    unreadable: tuple[Skip, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """The result of one checkpoint on one task; values are on a scale of 0 to 100.

    `value` and `standard_error` are None if nothing was measured. `metric` names the value ("avg@k", "accuracy"), over
    `num_questions` questions with `num_samples` responses each. `extras` are further metrics by name. `unknown` counts
    responses that could not be graded, `truncated` those cut off at the token limit. `unreadable` lists the questions
    that could not be read. `contaminated` counts questions that appear in the checkpoint's training prompts; None if
    there is nothing to compare with. `settings` is everything that determines the value: sampling, limits, engine.
    `departures` lists differences from the protocol in words ("4 of 32 responses"); such a value is marked wherever it
    is shown.
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
