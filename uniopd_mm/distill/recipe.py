"""What a recipe can be made of beside its objective."""

from dataclasses import dataclass

from uniopd_mm.distill.choices import CalibrationMethod, Direction, Scope, Statistic


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibration:
    """Margin calibration, as `configs/recipe/*.yaml` sets it. With `after_balancing` margins are those of the samples
    that balancing keeps; the reference counts all."""

    method: CalibrationMethod = CalibrationMethod.NONE
    scope: Scope = Scope.GROUP
    statistic: Statistic = Statistic.MEAN
    direction: Direction = Direction.BOTH
    delta: float = 0.4
    min_retain_ratio: float = 0.25
    after_balancing: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Balancing:
    """Online balancing to `ratio` correct rollouts for each incorrect one; None leaves the batch as it is."""

    ratio: float | None = None
    scope: Scope = Scope.GROUP
