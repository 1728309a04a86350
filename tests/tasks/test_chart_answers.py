r"""Relaxed accuracy: verdicts set by hand from its rules, and the bound recomputed in exact fractions."""

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.grading.chart_answers import grade_relaxed, read_quantity, relaxed_correct, split_items

# prediction, reference
SAME: list[tuple[str, str]] = [
    # 5 %, the bound included
    ("100", "100"), ("105", "100"), ("95", "100"), ("104.99", "100"), ("1.05", "1"), ("0.95", "1"), ("10.5", "10"),
    ("0.105", "0.1"), ("0.095", "0.1"), ("52.5", "50"), ("2.1", "2"), ("1.05e3", "1000"), (".21", ".2"),
    ("3.15", "3."),
    ("3.99", "3.8"), ("22", "21"), ("20", "21"), ("1e6", "1000000"), ("99", "104"), ("1899", "1808.6"),
    # signs
    ("-105", "-100"), ("-95", "-100"), ("−5", "-5"), ("–5", "-5"), ("+5", "5"), ("- 5", "-5"), ("-$5", "$-5"),
    # zero
    ("0", "0"), ("0.0", "0"), ("-0", "0"), ("0%", "0"), ("0", "0.00"), ("zero", "0"),
    # years
    ("2019", "2019"), ("2019.0", "2019"), ("2,019", "2019"), ("1900", "1900"), ("2100", "2100"), ("2019.", "2019"),
    ("1899", "1890"), ("2101", "2150"), ("2019", "2,020"), ("2019", "2020.0"), ("2019", "$2020"), ("2019", "+2020"),
    ("20.19", "20.2"), ("2019%", "2020%"), ("2019 million", "2020 million"),
    ("190", "199"), ("20190", "20200"),
    # percent
    ("45%", "45"), ("45", "45%"), ("45%", "45%"), ("45 %", "45%"), ("45%", "0.45"), ("0.45", "45%"),
    ("45 percent", "45%"),
    ("45 per cent", "45"), ("46%", "45%"), ("46%", "45"), ("46", "45%"), ("0.46", "45%"), ("45pct", "45%"),
    ("45 percentage points", "45%"), ("0.5%", "0.5%"), ("-45%", "-45"), ("45％", "45%"), ("45\\%", "45%"),
    ("1%", "0.01"),
    ("forty-five percent", "45 percent"), ("45.0%", "45%"),
    # separators
    ("1,234", "1234"), ("1234", "1,234"), ("1,234,567.8", "1234567.8"), ("1 234 567", "1234567"),
    ("1\u202f234", "1234"),
    ("1\u00a0234", "1,234"), ("12,000", "12000"), ("１２", "12"), ("1{,}234", "1234"),
    # currency
    ("$45", "45"), ("45", "$45"), ("$45", "$45"), ("45 dollars", "$45"), ("45 US dollars", "45"), ("USD 45", "$45"),
    ("US$45", "$45"), ("€45", "45 euros"), ("£45", "45 GBP"), ("45€", "€ 45"), ("$1,234.50", "1234.5"), ("$46", "$45"),
    ("₹45", "45 rupees"), ("45 yen", "¥45"), ("-$1.5 million", "-1,500,000"), ("$45.", "45"),
    # scale
    ("12 million", "12000000"), ("12,000,000", "12 million"), ("12M", "12 million"), ("12k", "12000"),
    ("12 K", "12 K"),
    ("1.2B", "1.2 billion"), ("1.2bn", "1,200 million"), ("$12 million", "12000000"), ("12 thousand", "12,000"),
    ("12 million people", "12000000"), ("12 millions", "12 million"), ("1 trillion", "1000 billion"), ("12.5M", "12M"),
    ("$12M", "$12 million"), ("12 mn", "12 million"),
    # units
    ("12 kg", "12 kg"), ("12kg", "12 kg"), ("12 KG", "12 kg"), ("12.5 kg", "12 kg"), ("12 kg", "12"),
    ("12 people", "12"),
    ("12 years", "12 year"), ("12 °C", "12°C"), ("120 km/h", "120 km/h"), ("12 square miles", "12 square miles"),
    ("12 metric tons", "12"), ("about 45", "45"), ("~45", "45"), ("approximately 46", "45"), ("≈ 45", "45"),
    # text
    ("Yes", "yes"), ("YES.", "Yes"), ("the blue line", "Blue line"), ("New York", "new york"), ("U.S.", "US"),
    ("two", "2"), ("2", "two"), ("Twenty-one", "21"), ("½", "0.5"), ("1/2", "0.5"), ("True", "yes"), ("é", "É"),
    ("2019-2020", "2019-2020"), ("May 5", "May 5"), ("20 May", "20 May"), ("1990s", "1990s"), ("21st", "21st"),
    ("Very satisfied", "very satisfied"), ("R&D", "R & D"), ('"Yes"', "Yes"), ("40-50", "40–50"), ("10:30", "10:30"),
    # lists
    ("[1, 2]", "[1, 2]"), ("1, 2", "[1, 2]"), ("[1,2]", "[1, 2]"), ("1 and 2", "[1, 2]"), ("1,2", "1, 2"),
    ("1; 2", "1, 2"),
    ("1\n2", "[1, 2]"), ("105, 190", "[100, 200]"), ("[100,200]", "[100, 200]"), ("red, blue", "Red, Blue"),
    ("['red', 'blue']", "red, blue"), ("red, blue, and green", "[red, blue, green]"), ("red & blue", "red and blue"),
    ("[2019, 2020]", "2019 and 2020"), ("45%, 50%", "[45, 50]"), ("[45]", "45"), ("45", "[45]"),
    ("1,234, 5", "[1234, 5]"),
    ('["red", "blue"]', "['red', 'blue']"), ("New York, NY", "New York, NY"), ("1,234 and 5,678", "1234, 5678"),
    ("Trinidad and Tobago", "trinidad and tobago"),
]  # fmt: skip

DIFFERENT: list[tuple[str, str]] = [
    # 5.1 %
    ("105.1", "100"), ("94.9", "100"), ("1.051", "1"), ("0.949", "1"), ("10.51", "10"), ("105.0000001", "100"),
    ("0.1051", "0.1"), ("2", "1"), ("3", "4"), ("19", "20.1"), ("100", "95"), ("1e7", "1000000"), ("200", "100"),
    # signs and zero
    ("5", "-5"), ("-5", "5"), ("−5", "5"), ("100", "-100"), ("0.001", "0"), ("-0.001", "0"), ("1", "0"), ("0", "1"),
    ("0", "0.001"), ("+-5", "5"), ("1%", "0"), ("none", "0"),
    # years
    ("2020", "2019"), ("2018", "2019"), ("2019.5", "2019"), ("1901", "1900"), ("2099", "2100"), ("1,900", "2000"),
    ("2019%", "2019"), ("20.19", "2019"), ("19", "2019"), ("2020 AD", "2019"), ("2100", "2000"), ("1950", "1949"),
    ("2020 million", "2019"), ("'19", "2019"), ("1999", "2000"), ("2021 kg", "2020 kg"),
    # percent
    ("45", "0.45"), ("0.45", "45"), ("45%", "4500"), ("4500", "45%"), ("4.5%", "45%"), ("0.45%", "45%"),
    ("50%", "45%"),
    ("45%", "45 kg"), ("45 kg", "45%"), ("$45", "45%"), ("45%", "$45"), ("48%", "45"), ("0.48", "45%"),
    ("-45%", "45%"),
    ("45%%", "45%"), ("45% of people", "45%"), ("0.0045", "45%"),
    # separators
    ("1,23", "123"), ("1,2345", "12345"), ("1.234", "1234"), ("1 23", "123"), ("1,,234", "1234"),
    ("5 dozen", "5"), ("5 hundred", "5"), ("1.2 crore", "1.2"), ("3 quarters", "3"), ("12 below zero", "12"),
    ("12 squared", "12"), ("12 third", "12"), ("1,2,34,567", "1234567"),
    ("1.2.3", "1.2"), ("1234", "1.234"),
    # currency, scale, unit
    ("€45", "$45"), ("45 euros", "45 dollars"), ("£45", "€45"), ("48 dollars", "$45"), ("12", "12 million"),
    ("12 million", "12"), ("12 billion", "12 million"), ("12m", "12 million"), ("12k", "12"), ("12000", "12 million"),
    ("12", "12 kg"), ("12 lb", "12 kg"), ("12 kg", "12 g"), ("12 kg", "13 kg"), ("12 months", "12 years"),
    ("12 or more", "12"), ("12 or 13", "12"), ("12 not", "12"), ("at least 12", "12"), ("12+", "12"), ("<12", "12"),
    ("12 at most", "12"), ("10 am", "10 pm"), ("12 people in all", "12"), ("12 (or 13)", "12"), ("12?13", "12"),
    # what only looks like a number
    ("21 May", "20 May"), ("May 21", "May 20"), ("21st", "20th"), ("21st", "21"), ("1980s", "1990s"),
    ("1990", "1990s"),
    ("40-50", "45"), ("45", "40-50"), ("39-50", "40-50"), ("10:31", "10:30"), ("1/2", "0.51"), ("Q1", "1"),
    ("12/13", "12"),
    ("45 ± 3", "45"), ("nan", "nan 1"), ("inf", "100"), ("1e999", "100"), ("x", "1"), ("2019-2020", "2019"),
    # text
    ("Yes", "No"), ("blue", "blue line"), ("blue line", "blue"), ("red or blue", "red"), ("red/blue", "red"),
    ("not red", "red"), ("It is red", "red"), ("redd", "red"), ("", "red"), ("red", "r"), ("Yes or no", "yes"),
    ("twenty", "21"), ("rеd", "red"), ("red\u200b", "red"), ("\x00", "red"), ("\ud800", "red"),
    ("either 45 or 60", "45"),
    ("45 or 60", "45"), ("45 60", "45"), ("45, 60", "45"), ("45 and 60", "45"), ("45/60", "45"),
    # lists
    ("[1, 3]", "[1, 2]"), ("[2, 1]", "[1, 2]"), ("[1]", "[1, 2]"), ("[1, 2, 3]", "[1, 2]"), ("1 or 2", "[1, 2]"),
    ("12", "[1, 2]"), ("1 2", "[1, 2]"), ("blue, red", "red, blue"), ("red", "red, blue"),
    ("red, blue, blue", "red, blue"),
    ("[2019, 2021]", "[2019, 2020]"), ("105.1, 200", "[100, 200]"), ("", "[1, 2]"), ("[]", "[1, 2]"), ("[1, 2]", "1"),
    ("red or blue", "red, blue"), ("New York", "New York, NY"), ("1,000", "[1, 0]"),
]  # fmt: skip


@pytest.mark.parametrize(("prediction", "reference"), SAME)
def test_correct(prediction: str, reference: str) -> None:
    assert relaxed_correct(prediction, reference) is True


@pytest.mark.parametrize(("prediction", "reference"), DIFFERENT)
def test_incorrect(prediction: str, reference: str) -> None:
    assert relaxed_correct(prediction, reference) is False


@pytest.mark.parametrize("seed", range(120))
def test_numbers_are_compared_in_exact_fractions(seed: int) -> None:
    draw = random.Random(seed)
    reference = draw.choice([-1, 1]) * draw.randrange(1, 10 ** draw.randrange(1, 9)) / draw.choice([1, 10, 1000])
    if float(reference).is_integer() and 1900 <= reference <= 2100:
        reference += 0.5
    for factor in ("0.9", "0.949", "0.95", "0.951", "1", "1.049", "1.05", "1.051", "1.1", "-1"):
        wanted = Fraction(str(reference))
        predicted = wanted * Fraction(factor)
        correct = abs(predicted - wanted) * 100 <= 5 * abs(wanted)
        digits = f"{predicted.numerator * (10**7 // predicted.denominator):d}"  # the denominators divide 10^7
        sign, digits = ("-", digits[1:].zfill(8)) if digits.startswith("-") else ("", digits.zfill(8))
        text = f"{sign}{digits[:-7]}.{digits[-7:]}"
        assert relaxed_correct(text, f"{reference:.3f}") is correct, (text, reference)
        grouped = f"{int(digits[:-7]):,}.{digits[-7:]}"
        assert relaxed_correct(f"{sign}${grouped} million", f"{reference:.3f} million") is correct


@given(st.integers(1900, 2100), st.integers(1900, 2100))
def test_years_are_exact(one: int, two: int) -> None:
    assert relaxed_correct(str(one), str(two)) is (one == two)
    assert relaxed_correct(f"{one}%", f"{two}%") is (abs(one - two) * 20 <= two)


@pytest.mark.parametrize(
    ("tolerance", "correct"), [(0.0, False), (0.009, False), (0.01, True), (0.05, True), (0.5, True)]
)
def test_the_tolerance_is_the_callers(tolerance: float, correct: bool) -> None:
    assert relaxed_correct("101", "100", tolerance) is correct
    assert relaxed_correct("100", "100", tolerance) is True
    assert grade_relaxed(r"\boxed{101}", "100", tolerance).correct is correct


def test_what_is_read() -> None:
    quantity = read_quantity("-$1.5 million")
    assert quantity is not None
    assert (quantity.value, quantity.currency, quantity.unit, quantity.year) == (-1_500_000, "$", "", False)
    assert split_items("[1,234, 5]") == ["1,234", "5"]
    assert split_items("1,234") == ["1,234"]
