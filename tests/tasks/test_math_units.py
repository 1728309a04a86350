"""Units, currencies, multipliers and words beside a number: what differs is never right, what says the same is."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from math_verdicts import verdict

from uniopd_mm.tasks.grading.units import convert, read_unit

UNITS = [
    *("mm", "cm", "m", "km", "in", "ft", "mi", "mg", "g", "kg", "Mg", "lb", "s", "ms", "min", "h", "day", "N", "kN"),
    *("J", "kJ", "eV", "W", "kW", "MW", "kWh", "Pa", "kPa", "atm", "V", "mV", "A", "mA", r"\Omega", r"k\Omega", "L"),
    *("mL", "mol", "mol/L", "mmol/L", "Hz", "kHz", "m/s", "km/h", "m/s^2", "kg m/s", "N s", "cm^2", "m^2", "cm^3"),
    *(
        "euros",
        "dollars",
        "pounds",
        "yen",
        "cents",
        "km per hour",
        "square meters",
        "degrees Celsius",
        "acres",
        "bytes",
    ),
]
SAME_UNIT = [
    ("cm", "centimeters"),
    ("cm^2", "sq. cm"),
    ("cm^2", "square centimetres"),
    ("m^3", "cubic meters"),
    ("km/h", "km per hour"),
    ("km/h", "kilometers per hour"),
    ("m/s^2", "m s^{-2}"),
    ("mph", "miles per hour"),
    ("N", "newtons"),
    ("kg m/s", r"kg \cdot m/s"),
    ("lb", "pounds"),
    ("h", "hours"),
    (r"k\Omega", "kiloohms"),
]
NUMBERS = st.integers(2, 999)


def size(unit: str) -> tuple[object, Fraction]:
    read = read_unit(unit)
    assert read is not None, unit
    return read.dimension, convert(Fraction(1), read)


@pytest.mark.parametrize("unit", UNITS)
def test_every_unit_is_itself_and_may_be_left_out(unit: str) -> None:
    written = rf"7\text{{ {unit}}}"
    assert verdict(written, written) is True
    assert verdict("7", written) is True
    assert verdict(written, "7") is True
    assert verdict("8", written) is False


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), NUMBERS)
@settings(deadline=None, max_examples=300)
def test_equal_numbers_of_different_units_are_not_equal(first: str, second: str, number: int) -> None:
    if size(first) != size(second):
        assert verdict(rf"{number}\text{{ {first}}}", rf"{number} \text{{ {second}}}") is not True


@pytest.mark.parametrize(("first", "second"), SAME_UNIT)
def test_a_unit_has_many_spellings(first: str, second: str) -> None:
    assert verdict(rf"5\text{{ {second}}}", rf"5 \text{{ {first}}}") is True
    assert verdict(f"5 {second}", rf"5 \text{{ {first}}}") is True
    assert verdict(rf"5\text{{ {second}}}", rf"6 \text{{ {first}}}") is False


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        (r"5000 \text{ m}", r"5 \text{ km}"),
        (r"60 \text{ minutes}", r"1 \text{ hour}"),
        (r"150 \text{ cents}", r"\$1.50"),
        (r"273.15 \text{ K}", r"0^\circ\text{C}"),
        (r"18 \text{ km/h}", r"5 \text{ m/s}"),
        (r"\frac{1}{2} \text{ m}", r"50 \text{ cm}"),
        (r"180^\circ", r"\pi \text{ radians}"),
        (r"200\sqrt{3} \text{ cm}", r"2\sqrt{3} \text{ m}"),
        (r"74 \text{ inches}", r"6 \text{ feet } 2 \text{ inches}"),
        ("200 minutes", r"3 \text{ hours } 20 \text{ minutes}"),
    ],
)
def test_units_of_one_dimension_are_converted(answer: str, reference: str) -> None:
    assert verdict(answer, reference) is True


@pytest.mark.parametrize("pair", ["€$", "£$", "¥$", "₹€", "£€"])
def test_currencies_differ(pair: str) -> None:
    first, second = (sign.replace("$", r"\$") for sign in pair)
    assert verdict(f"{first}5", f"{second}5") is False
    assert verdict(f"{first}5", f"{first}5.00") is True
    assert verdict("5", f"{first}5") is True


def test_a_unit_that_nobody_knows_decides_nothing() -> None:
    assert verdict(r"5 \text{ zorks}", r"5 \text{ cm}") is None
    assert verdict(r"6 \text{ zorks}", r"5 \text{ cm}") is False
    assert verdict(r"5 \text{ red marbles}", r"5 \text{ marbles}") is True
    assert verdict(r"5 \text{ pupils}", r"5 \text{ students}") is None


MULTIPLIERS = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "dozen": 12, "crore": 10**7}


@given(st.sampled_from(sorted(MULTIPLIERS)), NUMBERS, st.booleans())
@settings(deadline=None, max_examples=100)
def test_multipliers_count(word: str, number: int, in_text: bool) -> None:
    answer = rf"{number} \text{{ {word}}}" if in_text else f"{number} {word}"
    assert verdict(answer, str(number * MULTIPLIERS[word])) is True
    assert verdict(str(number * MULTIPLIERS[word]), answer) is True
    assert verdict(answer, str(number)) is False
    assert verdict(answer, rf"{number * MULTIPLIERS[word]} \text{{ people}}") is True


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("5 plus seven", "12"),
        ("5 minus two", "3"),
        ("5 times 3", "15"),
        ("10 divided by 4", "2.5"),
        ("5 squared", "25"),
        (r"5 \text{ cubed}", "125"),
        (r"5 \text{ factorial}", "120"),
        ("5 percent of 20", "1"),
        (r"5\% \text{ of } 20", "1"),
        ("12 below zero", "-12"),
        ("5 more than x", "x+5"),
        ("5 less than x", "x-5"),
        ("half of 10", "5"),
        ("two thirds", r"\frac{2}{3}"),
        ("twenty-one", "21"),
        ("five million", "5000000"),
    ],
)
def test_phrases_are_computed(answer: str, value: str) -> None:
    assert verdict(answer, value) is True
    assert verdict(answer, value + "9") is False
    if answer[0].isdigit():
        assert verdict(answer, answer.split("\\")[0].split()[0]) is False


OPPOSITES = ["left right", "up down", "BC AD", "BCE CE", "loss gain", "increase decrease", "north south", "more less"]
OPPOSITES += ["higher lower", "before after", "clockwise counterclockwise", "wins losses", "boys girls", "profit loss"]


@given(st.sampled_from(OPPOSITES), NUMBERS, st.sampled_from([r"{} \text{{ {}}}", "{} {}", r"{}\% \text{{ {}}}"]))
@settings(deadline=None, max_examples=100)
def test_opposites_differ(pair: str, number: int, shape: str) -> None:
    first, second = (shape.format(number, word) for word in pair.split())
    assert verdict(first, first) is True
    assert verdict(first, second) is False
    assert verdict(second, first) is False
    assert verdict(shape.format(number + 1, pair.split()[0]), first) is False


@pytest.mark.parametrize(
    "words", ["is wrong, it is 6", "or 6", "to 7", "halves", "th", "pairs", "is extraneous, so none", "not", "tenths"]
)
def test_words_that_may_change_a_number_never_make_it_right(words: str) -> None:
    assert verdict(rf"5 \text{{ {words}}}", "5") is not True
    assert verdict(f"5 {words}", "5") is not True


@pytest.mark.parametrize("letters", ["m v^2", "g", "a t^2", "k x^2", "b h", "m g", "s t", "l w", "x"])
def test_letters_behind_a_fraction_are_no_unit(letters: str) -> None:
    written = rf"\frac{{1}}{{2}} {letters}"
    assert verdict(r"\frac{1}{2}", written) is False
    assert verdict(written, r"\frac{1}{2}") is False
    assert verdict(rf"\frac{{{letters}}}{{2}}", written) is True
    assert verdict(rf"\frac{{1}}{{3}} {letters}", written) is False


@given(st.sampled_from([r"\sqrt{2}", r"\frac{\pi}{4}", "x", r"2\pi", r"\ln 3"]))
@settings(deadline=None, max_examples=20)
def test_a_percent_sign_counts_behind_anything(value: str) -> None:
    assert verdict(rf"{value}\%", value) is not True
    assert verdict(value, rf"{value}\%") is not True
    assert verdict(rf"{value}\%", rf"{value}\%") is True
