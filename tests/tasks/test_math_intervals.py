"""Sets of real numbers: intervals, unions, chains and set-builders that say the same are equal, others never."""

from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from math_verdicts import verdict


@dataclass(frozen=True)
class Range:
    """An interval with ends."""

    low: int
    high: int
    with_low: bool
    with_high: bool

    def interval(self) -> str:
        return f"{'(['[self.with_low]}{self.low}, {self.high}{')]'[self.with_high]}"

    def ways(self) -> list[str]:
        less = {False: "<", True: r" \le "}
        more = {False: ">", True: r" \ge "}
        low, high = less[self.with_low], less[self.with_high]
        chain = f"{self.low}{low}x{high}{self.high}"
        return [
            self.interval(),
            rf"x \in {self.interval()}",
            chain,
            f"{self.high}{more[self.with_high]}x{more[self.with_low]}{self.low}",
            rf"x{more[self.with_low]}{self.low} \text{{ and }} x{high}{self.high}",
            rf"\{{x \mid {chain}\}}",
            rf"\{{x \in \mathbb{{R}} : {chain}\}}",
            chain.replace(r"\le", "≤"),
        ]

    def misses(self) -> list[str]:
        ends = f"{self.low}, {self.high}"
        near = [
            Range(self.low, self.high, not self.with_low, self.with_high).interval(),
            Range(self.low, self.high, self.with_low, not self.with_high).interval(),
            Range(self.low, self.high + 1, self.with_low, self.with_high).interval(),
            Range(-self.high, -self.low, self.with_low, self.with_high).interval() + " ",
            rf"\{{{ends}\}}",
            f"x={self.low} or x={self.high}",
            f"x<{self.low} or x>{self.high}",
        ]
        return near if self.low != -self.high else [miss for miss in near if not miss.endswith(" ")]


def ranges() -> st.SearchStrategy[Range]:
    ends = st.tuples(st.integers(-30, 30), st.integers(1, 30))
    return st.builds(lambda pair, one, two: Range(pair[0], sum(pair), one, two), ends, st.booleans(), st.booleans())


@given(ranges(), st.data())
@settings(deadline=None, max_examples=150)
def test_an_interval_in_any_way(interval: Range, data: st.DataObject) -> None:
    answer, reference = (data.draw(st.sampled_from(interval.ways())) for _ in range(2))
    assert verdict(answer, reference) is True, (answer, reference)


@given(ranges(), st.data())
@settings(deadline=None, max_examples=150)
def test_another_set_is_never_right(interval: Range, data: st.DataObject) -> None:
    answer = data.draw(st.sampled_from(interval.misses())).strip()
    reference = data.draw(st.sampled_from(interval.ways()))
    assert verdict(answer, reference) is not True, (answer, reference)
    assert verdict(reference, answer) is not True, (reference, answer)


@given(st.integers(-20, 20), st.integers(1, 20), st.data())
@settings(deadline=None, max_examples=80)
def test_what_lies_outside(low: int, width: int, data: st.DataObject) -> None:
    high = low + width
    ways = [
        rf"(-\infty,{low})\cup({high},\infty)",
        rf"({high}, +\infty) \cup (-\infty, {low})",
        rf"x<{low} \text{{ or }} x>{high}",
        f"x > {high} or x < {low}",
        rf"\mathbb{{R}} \setminus [{low}, {high}]",
    ]
    answer, reference = (data.draw(st.sampled_from(ways)) for _ in range(2))
    assert verdict(answer, reference) is True, (answer, reference)
    for miss in (f"x<{low} and x>{high}", rf"(-\infty,{low}]\cup({high},\infty)", f"{low}<x<{high}"):
        assert verdict(miss, reference) is not True, (miss, reference)


@pytest.mark.parametrize(
    "ways",
    [
        [r"\mathbb{R}", r"(-\infty,\infty)", "all real numbers", "all reals", "ℝ", r"x \in \mathbb{R}"],
        [r"x \ne 2", r"(-\infty,2)\cup(2,\infty)", r"\mathbb{R}\setminus\{2\}", "all real numbers except 2", "x ≠ 2"],
        [r"x \ge 2", r"[2,\infty)", "2 ≤ x", r"\{x : x \geq 2\}", "x>=2"],
        ["x < 1", "-x > -1", r"(-\infty, 1)", "1 > x", "2x < 2"],
        [r"[1,3]", r"[1,2]\cup[2,3]", r"1 \le x \le 3"],
        [r"(-2,2)", "|x|<2", "-2<x<2"],
        [r"x \le -1, x \ge 3", r"(-\infty,-1]\cup[3,\infty)"],
        [r"[\sqrt{2}, \infty)", r"x \ge \sqrt{2}", r"x \ge \frac{2}{\sqrt{2}}"],
        ["(a, b)", "a < x < b", "b > x > a"],
    ],
)
def test_sets_that_are_equal(ways: list[str]) -> None:
    for reference in ways:
        for answer in ways:
            assert verdict(answer, reference) is True, (answer, reference)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3, unique=True), st.data())
@settings(deadline=None, max_examples=60)
def test_plus_and_minus_in_sets(values: list[int], data: st.DataObject) -> None:
    signed = data.draw(st.permutations([value for size in values for value in (size, -size)]))
    reference = r"\{" + ", ".join(rf"\pm {value}" for value in values) + r"\}"
    assert verdict(r"\{" + ", ".join(map(str, signed)) + r"\}", reference) is True
    assert verdict(", ".join(map(str, signed)), reference) is True
    assert verdict(", ".join(map(str, signed[1:])), reference) is False
    assert verdict(", ".join(map(str, [signed[0] + 41, *signed[1:]])), reference) is False


@given(st.permutations("abcd"), st.permutations("abcd"))
@settings(deadline=None, max_examples=40)
def test_chains_of_letters(first: list[str], second: list[str]) -> None:
    assert verdict(">".join(reversed(first[:3])), "<".join(first[:3])) is True
    assume(first[:3] != second[:3])
    assert verdict("<".join(second[:3]), "<".join(first[:3])) is not True
