"""An accuracy as text, with the uncertainty that comes from the number of questions.

Left out: scores with several responses to a question, whose responses are not independent (evaluation/results.py).
"""

from math import isclose, isfinite, sqrt

FEW = 30
"""Below this number of questions, an accuracy is shown as a count: a percentage would look too precise."""


def percent(accuracy: float | None, num_questions: int | None) -> str:
    """The share with one standard error in percentage points; "-" if nothing was measured.

    percent(0.8, 400)  == "80.0 % ± 2.0"    the standard error, sqrt(p (1 - p) / n)
    percent(1.0, 320)  == "100.0 % ± 0.2"   at 0 and 1, where that formula gives 0: `wilson_half_width` at z = 1
    percent(0.75, 4)   == "3 of 4"          fewer than `FEW` questions
    percent(0.8, None) == "80.0 %"
    """
    text = share(accuracy, num_questions)
    if accuracy is None or not num_questions or _small_count(accuracy, num_questions) is not None:
        return text
    error = sqrt(accuracy * (1 - accuracy) / num_questions) or wilson_half_width(accuracy, num_questions)
    return f"{text} ± {_points(error)}"


def share(accuracy: float | None, num_questions: int | None) -> str:
    """`percent` without the standard error: "80.0 %", "3 of 4" or "-"."""
    if accuracy is None:
        return "-"
    count = _small_count(accuracy, num_questions)
    return f"{100 * accuracy:.1f} %" if count is None else f"{count} of {num_questions}"


def wilson_half_width(share: float, num_questions: int, z: float = 1.0) -> float:
    """Half the width of Wilson's score interval for a share p of n questions, which is above 0 even at p = 0 and 1:

    z / (1 + z² / n) * sqrt(p (1 - p) / n + z² / (4 n²))

    Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22. At z = 1 it
    approaches the standard error as n grows; for p = 0 and 1 it is 1 / (2 (n + 1)).
    """
    variance = share * (1 - share) / num_questions + z**2 / (4 * num_questions**2)
    return z / (1 + z**2 / num_questions) * sqrt(variance)


def _small_count(accuracy: float, num_questions: int | None) -> int | None:
    """The number of right answers, if there are fewer than `FEW` questions. None also where it is not a whole number:
    a teacher may have been asked fewer questions than the student."""
    if not num_questions or num_questions >= FEW or not isfinite(accuracy):
        return None
    count = round(accuracy * num_questions)
    return count if isclose(accuracy * num_questions, count, abs_tol=1e-6) else None


def _points(error: float) -> str:
    """In percentage points: one decimal, or one significant digit where that would be 0.0."""
    points = 100 * error
    return f"{points:.1g}" if 0 < points < 0.05 else f"{points:.1f}"
