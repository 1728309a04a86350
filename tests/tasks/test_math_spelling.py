"""Ways of writing: Unicode, separators of thousands, LaTeX decoration. They change an answer's looks, not its value."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from math_verdicts import verdict

from uniopd_mm.tasks.grading.math_answers import same_answer

RAISED = str.maketrans("0123456789-+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
WIDE = {code - 0xFEE0: code for code in range(0xFF01, 0xFF5F)}
DIGIT_SETS = [chr(code) for code in (0x0660, 0x06F0, 0x0966, 0x09E6, 0xFF10)]  # zeros of other scripts


@given(st.integers(2, 20), st.integers(-40, 40))
@settings(deadline=None, max_examples=100)
def test_raised_digits(base: int, power: int) -> None:
    raised = f"{base}{str(power).translate(RAISED)}"
    assert verdict(raised, f"{base}^{{{power}}}") is True
    assert verdict(f"{base}^{{{power}}}", raised) is True
    assert verdict(f"{base}{str(power + 1).translate(RAISED)}", f"{base}^{{{power}}}") is False
    assert verdict(f"3.02×10{str(power).translate(RAISED)}", rf"3.02 \times 10^{{{power}}}") is True


@given(st.integers(2, 30), st.integers(2, 99))
@settings(deadline=None, max_examples=50)
def test_lowered_digits(base: int, value: int) -> None:
    assert verdict(f"log{str(base).translate(LOWERED)} {value}", rf"\log_{{{base}}} {value}") is True
    assert verdict(f"log{str(base + 1).translate(LOWERED)} {value}", rf"\log_{{{base}}} {value}") is not True
    assert verdict(f"x{str(base).translate(LOWERED)}", f"x_{{{base}}}") is True


@pytest.mark.parametrize("sign", "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞")
def test_fractions_of_one_sign(sign: str) -> None:
    fraction = unicodedata.normalize("NFKC", sign).replace("\u2044", "/")
    assert verdict(sign, fraction) is True
    assert verdict(f"2{sign}", f"2 + {fraction}") is True
    assert verdict(sign, "3/7") is False


@given(st.integers(0, 10**9), st.sampled_from(DIGIT_SETS))
@settings(deadline=None, max_examples=50)
def test_digits_of_any_script(number: int, zero: str) -> None:
    written = "".join(chr(ord(zero) + int(digit)) for digit in str(number))
    assert verdict(written, str(number)) is True
    assert verdict(written, str(number + 1)) is False


@pytest.mark.parametrize("text", ["(1,2)", "x=3", "[0,1)", "3:4", "12%", "x>2", "2*3+1", "1,2,3"])
def test_full_width_forms(text: str) -> None:
    assert verdict(text.translate(WIDE), text) is True


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("1、2、3", "1, 2, 3"),
        ("√3", r"\sqrt{3}"),
        ("√(x+1)", r"\sqrt{x+1}"),
        ("∛2", r"\sqrt[3]{2}"),
        ("2π", r"2\pi"),
        ("α+β", r"\alpha+\beta"),
        (r"\color{red}{42}", "42"),
        (r"\textcolor{blue}{42}", "42"),
        (r"\color{red} 42", "42"),
        (r"\large 42", "42"),
        (r"{\Large\textbf{42}}", "42"),
        (r"\underline{42}", "42"),
        (r"\boldsymbol{42}", "42"),
        (r"\begin{aligned} x &= 2 \\ y &= 3 \end{aligned}", "(2,3)"),
        (r"\begin{aligned} x &= 2+3 \\ &= 5 \end{aligned}", "5"),
        (r"\begin{align*} x &= 5 \end{align*}", "5"),
        (r"\frac{\mathrm{d}y}{\mathrm{d}x} = 2x", "2x"),
    ],
)
def test_decoration(answer: str, reference: str) -> None:
    if r"\frac{\mathrm{d}" not in answer:
        assert verdict(answer, reference) is True
    assert verdict(answer, reference + "+1") is not True


def grouped(number: int, groups: str, sign: str) -> str:
    """A number with its digits grouped in threes, or as in India."""
    text, size = str(number), 3
    parts: list[str] = []
    while text:
        parts.insert(0, text[-size:])
        text, size = text[:-size], 2 if groups == "indian" else 3
    return sign.join(parts)


@given(st.integers(10**6, 10**12), st.sampled_from([",", " ", "'", r"\,", "{,}", "\u202f", "."]))
@settings(deadline=None, max_examples=150)
def test_separators_of_thousands(number: int, sign: str) -> None:
    written = grouped(number, "western", sign)
    assert verdict(written, str(number)) is True, written
    assert verdict(written, str(number + 1)) is False, written
    assert verdict(written, str(number * 10)) is False, written


@given(st.integers(10**5, 10**12))
@settings(deadline=None, max_examples=80)
def test_indian_separators(number: int) -> None:
    written = grouped(number, "indian", ",")
    assert verdict(written, str(number)) is True, written
    assert verdict(written, str(number + 10)) is False, written


@given(st.integers(1000, 10**9), st.integers(1, 99))
@settings(deadline=None, max_examples=80)
def test_european_numbers(whole: int, cents: int) -> None:
    written = f"{grouped(whole, 'western', '.')},{cents:02d}"
    assert verdict(written, f"{whole}.{cents:02d}") is True, written
    assert verdict(written, f"{whole + 1}.{cents:02d}") is False, written


def test_separators_that_may_be_decimal_marks() -> None:
    assert verdict("3,14", "3.14") is None
    assert verdict("3,15", "3.14") is False
    assert verdict("1.000", "1000") is False
    assert verdict("32, 349", "32349") is not True


def test_a_prose_reference_gives_its_answer_or_nothing() -> None:
    assert verdict("70000", "He made 200,000-130,000=$<<200000-130000=70000>>70,000\n#### 70000") is True
    assert verdict("180", "At this speed it takes 185 / (37/36) = 180 days. Therefore, the answer is: 180.") is True
    assert verdict("7", "Seven, because the sum of the others is larger than that") is None


def test_two_answers_by_value() -> None:
    assert same_answer(r"\frac{1}{2}", "0.5") is True
    assert same_answer("$1/2$", r"\frac{1}{3}") is False
    assert same_answer(r"12\pi \text{ cm}^2", r"12\pi") is True
    assert same_answer("", "5") is None
    assert same_answer(r"\ln x^2", r"2\ln x") is None
