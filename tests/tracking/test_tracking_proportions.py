"""Accuracies as text, and Wilson's interval against the equation that defines it."""

import math

import numpy as np
import pytest

from uniopd_mm.tracking.proportions import percent, share, wilson_half_width


@pytest.mark.parametrize(
    ("accuracy", "num_questions", "expected"),
    [
        (0.5, 400, "50.0 % ± 2.5"),  # sqrt(0.5 * 0.5 / 400) = 0.025
        (0.8, 400, "80.0 % ± 2.0"),
        (1.0, 320, "100.0 % ± 0.2"),  # 1 / (2 * 321) = 0.00156
        (0.0, 320, "0.0 % ± 0.2"),
        (319 / 320, 320, "99.7 % ± 0.3"),
        (1.0, 30, "100.0 % ± 1.6"),  # 1 / (2 * 31) = 0.0161
        (1.0, 5000, "100.0 % ± 0.01"),  # 1 / (2 * 5001) = 0.0001
        (1.0, 1000, "100.0 % ± 0.05"),
        (0.0, 4, "0 of 4"),
        (3 / 7, 7, "3 of 7"),
        (1.0, 29, "29 of 29"),
        (0.4, 4, "40.0 % ± 24.5"),  # no count of 4; sqrt(0.4 * 0.6 / 4) = 0.245
        (0.125, None, "12.5 %"),
        (0.125, 0, "12.5 %"),
        (None, 10, "-"),
        (math.nan, 10, "nan % ± nan"),
    ],
)
def test_an_accuracy_as_text(accuracy: float | None, num_questions: int | None, expected: str) -> None:
    assert percent(accuracy, num_questions) == expected
    assert share(accuracy, num_questions) == expected.split(" ±")[0]


def test_every_count_of_few_questions_is_recognised() -> None:
    for total in range(1, 30):
        assert [percent(count / total, total) for count in range(total + 1)] == [
            f"{count} of {total}" for count in range(total + 1)
        ]


@pytest.mark.parametrize("z", [1.0, 1.96])
@pytest.mark.parametrize(("count", "total"), [(0, 4), (4, 4), (1, 10), (81, 263), (320, 320)])
def test_wilsons_interval_ends_where_the_score_test_turns(count: int, total: int, z: float) -> None:
    """The ends solve (p - count/total)² = z² p (1 - p) / total, a quadratic equation in p."""
    observed = count / total
    ends = np.roots([1 + z**2 / total, -2 * observed - z**2 / total, observed**2])
    assert wilson_half_width(observed, total, z) == pytest.approx((ends.max() - ends.min()) / 2, rel=1e-6)


def test_wilsons_interval_of_a_published_example() -> None:
    """Newcombe (1998), Statistics in Medicine 17, table I: 81 of 263 has the 95 % score interval 0.2553 to 0.3662, and
    0 of 20 has 0 to 0.1611."""
    assert wilson_half_width(81 / 263, 263, 1.959964) == pytest.approx((0.3662 - 0.2553) / 2, abs=1e-4)
    assert wilson_half_width(0.0, 20, 1.959964) == pytest.approx(0.1611 / 2, abs=1e-4)
