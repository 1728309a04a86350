"""The parts of a recipe besides its objective."""

from dataclasses import dataclass

from uniopd_mm.distill.choices import CalibrationMethod, Direction, Scope, Statistic


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
