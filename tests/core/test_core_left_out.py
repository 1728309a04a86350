"""What could not be judged or scored is counted by its reason."""

from dataclasses import replace

from core_parts import prompt, rollout, scored, trajectory

from uniopd_mm.progress import Progress
from uniopd_mm.trainer import reasons
from uniopd_mm.types import Failure, Outcome
from uniopd_mm.validation import Validation


def test_unknown_outcomes_and_failed_teachers_are_counted_by_reason() -> None:
    one = rollout(prompt([1]), [2])
    good = trajectory(one, scored(one, [-1.0]))
    late = replace(good, outcome=Outcome(correct=None, reward=0.0, reason="time limit"))
    failed = trajectory(one, Failure(teacher="t", reason="down"), correct=None)
    base = replace(good, base=Failure(teacher="base", reason="NaN log-probs"))
    assert reasons([good, late, late, base]) == {"outcome unknown: time limit": 2, "teacher base: NaN log-probs": 1}
    assert reasons([failed]) == {"outcome unknown: ": 1, "teacher t: down": 1}


def test_counts_add_up_over_steps() -> None:
    nothing = Validation(correct={}, asked={}, unknown=0, skipped=())
    progress = Progress(before=nothing, teacher=None).leaving_out({"a": 1}).leaving_out({"a": 2, "b": 1})
    assert progress.left_out == {"a": 3, "b": 1}
