"""What could not be judged or scored is counted by its reason."""

from dataclasses import replace

from core_parts import prompt, rollout, scored, trajectory

from uniopd_mm.run.progress import Progress
from uniopd_mm.run.validation import Validation
from uniopd_mm.runtime.reasons import counted, failure_reasons, merged
from uniopd_mm.types import Failure, Outcome


def test_unknown_outcomes_and_failed_teachers_are_counted_by_reason() -> None:
    one = rollout(prompt([1]), [2])
    good = trajectory(one, scored(one, [-1.0]))
    late = replace(good, outcome=Outcome(correct=None, reward=0.0, reason="time limit"))
    failed = trajectory(one, Failure(teacher="t", reason="down"), correct=None)
    base = replace(good, base=Failure(teacher="base", reason="NaN log-probs"))
    counts = {kind: count for kind, (count, _) in failure_reasons([good, late, late, base]).items()}
    assert counts == {"outcome unknown: time limit": 2, "teacher base: NaN log-probs": 1}
    assert failure_reasons([failed]).keys() == {"outcome unknown: ", "teacher t: down"}


def test_what_differs_in_quotes_and_numbers_is_of_one_kind() -> None:
    texts = ["'a' against \"it's\": time limit of 5 s", "'b\\'c' against 'd': time limit of 2.5 s", "down"]
    assert counted(texts) == {"… against …: time limit of … s": (2, texts[0]), "down": (1, "down")}
    assert merged([counted(texts[:1]), counted(texts[1:])]) == counted(texts)


def test_counts_add_up_over_steps() -> None:
    nothing = Validation(correct={}, asked={}, unknown=0, skipped=())
    progress = Progress(before=nothing, teacher=None).leaving_out({"a": 1}).leaving_out({"a": 2, "b": 1})
    assert progress.left_out == {"a": 3, "b": 1}
