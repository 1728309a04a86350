"""The verdicts that tests of mathematical answers ask for."""

from uniopd_mm.tasks.grading.math_answers import grade_math


def verdict(answer: str, reference: str) -> bool | None:
    """The verdict on an answer in a box."""
    outcome = grade_math(rf"So it is \boxed{{{answer}}}.", reference)
    assert outcome.reason
    assert outcome.answer is not None
    return outcome.correct
