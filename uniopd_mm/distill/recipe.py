"""The parts of a recipe besides its objective."""

from dataclasses import dataclass
from enum import StrEnum

from uniopd_mm.distill.calibration import Direction, Scope, Statistic


class CalibrationMethod(StrEnum):
    """What is done where a margin is missed (arXiv 2605.03677, section 4)."""

    NONE = "none"
    SHIFT = "shift"
    MASK = "mask"
    GROUP_MASK = "group_mask"


class Gradient(StrEnum):
    """How a loss reaches the student: as the detached advantage of its sampled tokens, or back-propagated through the
    distributions that it compares."""

    ADVANTAGE = "advantage"
    BACKPROP = "backprop"


class Responses(StrEnum):
    """Who writes what the student learns from: itself (on-policy), its teacher, or the rows of the data."""

    STUDENT = "student"
    TEACHER = "teacher"
    GOLD = "gold"


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Margin calibration, as set in `configs/recipe/*.yaml`. With `after_balancing`, margins use only the samples that
    balancing keeps; the reference uses all."""

    method: CalibrationMethod = CalibrationMethod.NONE
    scope: Scope = Scope.GROUP
    statistic: Statistic = Statistic.MEAN
    direction: Direction = Direction.BOTH
    delta: float = 0.4
    min_retain_ratio: float = 0.25
    after_balancing: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Balancing:
    """Online balancing to `ratio` correct rollouts per incorrect one; None turns it off."""

    ratio: float | None = None
    scope: Scope = Scope.GROUP
