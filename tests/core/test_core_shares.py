"""Shares of domains: each method and each quota by hand, Hamilton's method against its own definition, and what is
refused."""

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.config.parts import MixtureConfig, Shares
from uniopd_mm.data.shares import domain_weights, quotas
from uniopd_mm.types import UserError

SIZES = {"math": 900, "chart": 100}
WEIGHTS = st.lists(st.integers(1, 1000), min_size=1, max_size=8)


def weights(
    shares: Shares, *history: dict[str, float], teacher: dict[str, float | None] | None = None, **plan: Any
) -> dict[str, float]:
    """Of `SIZES`, normalised."""
    chosen = domain_weights(MixtureConfig(shares=shares, **plan), SIZES, teacher or {}, history)
    return {name: value / sum(chosen.values()) for name, value in chosen.items()}


@pytest.mark.parametrize(
    ("shares", "plan", "math_share"),
    [
        (Shares.PROPORTION, {}, 0.9),
        (Shares.UNIFORM, {}, 0.5),
        (Shares.TEMPERATURE, {"temperature": 2.0}, 0.75),  # 30 to 10
        (Shares.TEMPERATURE, {"temperature": 1.0}, 0.9),
        (Shares.TEMPERATURE, {"temperature": 1e9}, 0.5),
        (Shares.TEMPERATURE, {"temperature": 1e-3}, 1.0),  # 9 to the power 1000 is no float
        (Shares.WEIGHTS, {"weights": {"chart": 3.0, "math": 1.0}}, 0.25),
    ],
)
def test_each_method_by_hand(shares: Shares, plan: dict[str, Any], math_share: float) -> None:
    assert weights(shares, **plan)["math"] == pytest.approx(math_share)


def test_adaptive_weights_are_gaps_by_hand() -> None:
    """math: 0.9 - mean(0.4, 0.6) = 0.4; chart: 0.8 - 0.7 = 0.1."""
    history = [
        {"domain/math/accuracy": 0.0, "domain/chart/accuracy": 0.0},  # too long ago
        {"domain/math/accuracy": 0.4},
        {"domain/math/accuracy": 0.6, "domain/chart/accuracy": 0.7},
    ]
    found = weights(Shares.ADAPTIVE, *history, teacher={"math": 0.9, "chart": 0.8}, recent=2, floor=0.01)
    assert found == pytest.approx({"math": 0.8, "chart": 0.2})


@pytest.mark.parametrize(
    ("teacher", "accuracies", "math_share"),
    [
        ({"math": 0.9, "chart": 0.9}, {"math": 0.1, "chart": 0.5}, 2 / 3),  # gaps 0.8 and 0.4
        ({"math": 0.5, "chart": 0.9}, {"math": 0.8, "chart": 0.5}, 0.2),  # a student ahead has the floor, 0.1
        ({"math": None}, {"math": 0.6, "chart": 0.8}, 2 / 3),  # teachers nobody measured are always right
        ({"math": 0.8, "chart": 0.2}, {}, 0.8),  # a student nobody measured is never right
        ({}, {}, 0.5),
    ],
)
def test_weight_goes_to_the_larger_gap(
    teacher: dict[str, float | None], accuracies: dict[str, float], math_share: float
) -> None:
    step = {f"domain/{name}/accuracy": value for name, value in accuracies.items()}
    assert weights(Shares.ADAPTIVE, step, {}, teacher=teacher, floor=0.1)["math"] == pytest.approx(math_share)


@pytest.mark.parametrize(
    ("given_weights", "named"),
    [
        ({"math": 1.0}, "the domains are math, chart"),
        ({"math": 1.0, "chart": 1.0, "code": 1.0}, "'code': 1.0"),
        ({}, "the domains are math, chart"),
        ({"math": 1.0, "chart": 0.0}, r"mixture.weights.chart=0.0 must be above 0"),
        ({"math": -1.0, "chart": 1.0}, r"mixture.weights.math=-1.0"),
        ({"math": 1.0, "chart": math.nan}, r"mixture.weights.chart=nan"),
        ({"math": math.inf, "chart": 1.0}, r"mixture.weights.math=inf"),
    ],
)
def test_weights_that_cannot_be_are_refused(given_weights: dict[str, float], named: str) -> None:
    with pytest.raises(UserError, match=named):
        weights(Shares.WEIGHTS, weights=given_weights)


@pytest.mark.parametrize(
    ("chosen", "window", "wanted"),
    [
        ([2, 1], 10, [7, 3]),  # 6.67 and 3.33
        ([1, 1, 1], 10, [4, 3, 3]),  # of equal remainders the first
        ([1], 5, [5]),
        ([0.1, 0.2, 0.7], 10, [1, 2, 7]),
        ([41, 33, 26], 10, [4, 3, 3]),  # 4.1, 3.3, 2.6
        ([1e-9, 1], 4, [1, 3]),
        ([1, 1, 98], 10, [1, 1, 8]),
        ([100, 99, *[0.01] * 20], 30, [5, 5, *[1] * 20]),
        ([15, 3, *[0.01] * 6], 18, [10, 2, *[1] * 6]),  # twelve are shared five to one, as the weights are
        ([0.9, 0.9, 8.2], 3, [1, 1, 1]),
    ],
)
def test_quotas_by_hand(chosen: list[float], window: int, wanted: list[int]) -> None:
    named = {str(place): weight for place, weight in enumerate(chosen)}
    assert quotas(named, window) == {str(place): quota for place, quota in enumerate(wanted)}


@given(WEIGHTS, st.integers(0, 200))
def test_quotas_are_hamiltons(chosen: list[int], extra: int) -> None:
    window = len(chosen) + extra
    found = list(quotas({str(place): float(weight) for place, weight in enumerate(chosen)}, window).values())
    assert sum(found) == window and min(found) >= 1
    exact = [Fraction(weight, sum(chosen)) * window for weight in chosen]
    if min(exact) >= 1:
        assert all(abs(quota - share) < 1 for quota, share in zip(found, exact, strict=True))
        up = [share % 1 for quota, share in zip(found, exact, strict=True) if quota > share]
        down = [share % 1 for quota, share in zip(found, exact, strict=True) if quota <= share and share % 1]
        assert not up or not down or min(up) >= max(down) - 1e-9  # the largest remainders are rounded up
    else:
        assert all(quota == 1 for quota, share in zip(found, exact, strict=True) if share < 1)
        assert all(quota < share + 1 for quota, share in zip(found, exact, strict=True) if share >= 1)
    order = sorted(range(len(chosen)), key=lambda place: chosen[place])
    pairs = [(a, b) for a in order for b in order if chosen[a] < chosen[b]]
    assert all(found[a] <= found[b] for a, b in pairs), "a larger weight never has the smaller quota"


@given(WEIGHTS, st.integers(1, 60), st.sampled_from([1e-6, 0.1, 3.0, 1e6]))
def test_quotas_depend_on_ratios_alone_and_keep_the_order(chosen: list[int], extra: int, scale: float) -> None:
    named = {str(place): 2.0 ** (weight % 12) for place, weight in enumerate(chosen)}
    window = len(chosen) + extra
    found = quotas(named, window)
    assert list(found) == list(named)
    scaled = quotas({name: weight * scale for name, weight in named.items()}, window)
    assert sum(abs(scaled[name] - found[name]) for name in named) <= 2, "of equal remainders, rounding may choose"


@pytest.mark.parametrize("window", [1, 2])
def test_a_window_that_holds_not_one_of_each_is_refused(window: int) -> None:
    with pytest.raises(UserError, match=rf"mixture.window={window} is less than the 3 domains"):
        quotas({"a": 1.0, "b": 1.0, "c": 1.0}, window)
