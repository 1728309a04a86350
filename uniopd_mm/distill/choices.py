"""The named choices of a recipe. This module imports no torch, so that a command line is checked at once."""

from enum import StrEnum
from typing import Never


class Choice(StrEnum):
    """An option with named choices. A plain string is accepted; an unknown one is refused with the list of choices."""

    @classmethod
    def _missing_(cls, value: object) -> Never:
        raise ValueError(f"{cls.__name__.lower()}={value!r} must be one of {', '.join(cls)}")


class Scope(Choice):
    """The unit of a statistic: the rollouts of one prompt, or the whole batch."""

    GROUP = "group"
    BATCH = "batch"


class Statistic(Choice):
    """How the returns of a class become one number: their mean, or the least representative one."""

    MEAN = "mean"
    MINMAX = "minmax"


class Direction(Choice):
    """Which class a margin shift moves."""

    CORRECT_UP = "correct_up"
    INCORRECT_DOWN = "incorrect_down"
    BOTH = "both"


class Correction(Choice):
    """What corrects for a rollout engine whose probabilities differ from the trainer's: nothing, importance weights cut
    at a cap (truncated importance sampling), or leaving out the tokens beyond the cap (as IcePop does)."""

    NONE = "none"
    TRUNCATE = "truncate"
    MASK = "mask"


class Reduction(Choice):
    """How token losses become one number: the mean over samples of each sample's token mean (the reference), or
    the mean over all tokens."""

    SAMPLE_MEAN = "sample_mean"
    TOKEN_MEAN = "token_mean"


class CalibrationMethod(StrEnum):
    """What happens where a margin is missed (arXiv 2605.03677, section 4)."""

    NONE = "none"
    SHIFT = "shift"
    MASK = "mask"
    GROUP_MASK = "group_mask"


class Gradient(StrEnum):
    """How a loss reaches the student: as the detached advantage of its sampled tokens, or back-propagated through the
    compared distributions."""

    ADVANTAGE = "advantage"
    BACKPROP = "backprop"


class Responses(StrEnum):
    """Who writes the responses that the student learns from: the student (on-policy), its teacher, or the data set."""

    STUDENT = "student"
    TEACHER = "teacher"
    GOLD = "gold"
