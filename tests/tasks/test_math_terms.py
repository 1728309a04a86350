"""Expressions: what has the same value is equal however it is written; another letter, case, sign or digit is not."""

import re
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from math_verdicts import verdict

EQUAL = [
    # case and subscripts
    (r"\frac{M}{m}", r"\frac{1}{m/M}"),
    ("R^2-r^2", "(R-r)(R+r)"),
    ("x_1+x_{2}", "x_2 + x_1"),
    # names and sums
    ("55", r"S=\sum_{k=1}^{10}k"),
    ("24", r"P=\prod_{i=1}^{4} i"),
    (r"\sum_{k=0}^{3} x^k", "f(x)=1+x+x^2+x^3"),
    (r"\frac{n(n+1)}{2}", r"\sum_{k=1}^{n} k"),
    ("2", r"\sum_{n=0}^\infty \frac{1}{2^n}"),
    (r"\binom{n}{2}", r"\frac{n(n-1)}{2}"),
    ("n!", "n(n-1)!"),
    ("y=2x+1", "f(x)=2x+1"),
    ("x=3", "3=x"),
    # i and e
    (r"re^{i\theta}", r"r(\cos\theta+i\sin\theta)"),
    ("z^2+1", "(z-i)(z+i)"),
    (r"1-\mathrm{e}^{-1}", r"\frac{e-1}{e}"),
    (r"\text{e}^x", "e^x"),
    ("2i", r"\sqrt{-4}"),
    # roots
    (r"-\sqrt[3]{2}", r"\sqrt[3]{-2}"),
    (r"-2\sqrt[3]{3}", r"\sqrt[3]{-24}"),
    (r"\sqrt[5]{-32}", "-2"),
    ("1", r"\sqrt[3]{2+\sqrt{5}}+\sqrt[3]{2-\sqrt{5}}"),
    (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5+2\sqrt{6}}"),
    # equal where the reference has a value
    (r"2\ln x", r"\ln x^2"),
    (r"\sqrt{x}\sqrt{y}", r"\sqrt{xy}"),
    (r"\frac{1}{2}", r"\cos\frac{\pi}{7}-\cos\frac{2\pi}{7}+\cos\frac{3\pi}{7}"),
    (r"\pi", r"\arctan 1+\arctan 2+\arctan 3"),
    (r"\frac{2\pi}{3}", r"\cos^{-1}(-\frac{1}{2})"),
    # without backslashes
    (r"\sin x", "sin(x)"),
    (r"\ln 2", "ln(2)"),
    ("e^{2}", "exp(2)"),
    ("|x|", "abs(x)"),
    (r"\log_{10} 5", "log10(5)"),
    (r"\sqrt[3]{2}", "2^(1/3)"),
    # rounding that is said
    (r"\pi", r"\pi \approx 3.14"),
    (r"\sqrt{3}", r"x=\sqrt{3} \approx 1.732"),
    ("1", r"10 \bmod 3"),
]
DIFFERENT = [
    (r"\frac{M}{m}", "1"),
    ("R^2-r^2", "r^2-R^2"),
    ("a+B", "A+b"),
    (r"\Delta", r"\delta"),
    ("x_1", "x_2"),
    ("a_{12}", "a_{21}"),
    ("1", r"S=\sum_{k=1}^{10}k"),
    (r"S=\sum_{i=1}^{n} a_i", r"S=\sum_{i=1}^{n} b_i"),
    (r"\sum_{n=0}^{\infty} \frac{x^n}{n!}", r"\sum_{n=0}^{\infty} \frac{(-1)^n x^n}{n!}"),
    (r"P = \prod_{k=1}^{n} (1+k)", r"P = \prod_{k=1}^{n} (2+k)"),
    (r"\begin{cases}1 & x=0\\ 2 & x=1\end{cases}", r"\begin{cases}5 & x=0\\ 7 & x=1\end{cases}"),
    ("x=7", "7=y"),
    (r"e^{i\theta}", r"e^{-i\theta}"),
    ("i", "-i"),
    ("x", r"\sqrt{x^2}"),
    (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5+2\sqrt{5}}"),
    ("10^{400}", "10^{400}+1"),
    (r"\sin x", "cos(x)"),
    ("262537412640768744", r"e^{\pi\sqrt{163}}"),
    ("2", r"17 \bmod 6"),
]
UNKNOWN = [
    (r"\ln x^2", r"2\ln x"),
    ("2", r"\log 100"),
    (r"\frac{\pi^2}{6}", r"\sum_{n=1}^{\infty} \frac{1}{n^2}"),
    ("V", r"\text{a sentence about the volume V of it}"),
    (r"\text{The function is increasing because its derivative is positive}", "5"),
]


@pytest.mark.parametrize(("reference", "answer"), EQUAL)
def test_equal_terms(reference: str, answer: str) -> None:
    assert verdict(answer, reference) is True


@pytest.mark.parametrize(("reference", "answer"), DIFFERENT)
def test_different_terms(reference: str, answer: str) -> None:
    assert verdict(answer, reference) is False
    assert verdict(reference, answer) is not True


@pytest.mark.parametrize(("reference", "answer"), UNKNOWN)
def test_terms_of_which_no_one_knows(reference: str, answer: str) -> None:
    assert verdict(answer, reference) is None


LETTERS = st.sampled_from(
    [*"abcmnpxyzMNRVX", r"\alpha ", r"\theta ", r"\Delta ", "x_1 ", "x_2 ", "v_0 ", r"\pi ", "2", "7"]
)
TERMS = st.recursive(
    LETTERS,
    lambda inside: st.one_of(
        st.tuples(inside, inside).map(lambda pair: f"({pair[0]}+{pair[1]})"),
        st.tuples(inside, inside).map(lambda pair: f"({pair[0]}-{pair[1]})"),
        st.tuples(inside, inside).map(lambda pair: f"{pair[0]} \\cdot {pair[1]}"),
        st.tuples(inside, inside).map(lambda pair: rf"\frac{{{pair[0]}}}{{{pair[1]}}}"),
        inside.map(lambda term: rf"\sqrt{{{term}}}"),
        inside.map(lambda term: rf"\sin({term})"),
        inside.map(lambda term: f"({term})^{{2}}"),
    ),
    max_leaves=6,
)


@given(TERMS, st.sampled_from([r"1 \cdot {}", "{}+0", "2({})-({})", r"\frac{{{}}}{{1}}", "-(-({}))", "x = {}"]))
@settings(deadline=None, max_examples=150)
def test_a_term_is_equal_to_itself_in_other_words(term: str, shape: str) -> None:
    assert verdict(shape.format(term, term), term) in (True, None)


@given(TERMS, st.sampled_from(["({})+1", "-({})", "2({})", "({})^3", "({}) M", "({})+q_1", r"\frac{{{}}}{{3}}"]))
@settings(deadline=None, max_examples=200)
def test_a_changed_term_is_never_right(term: str, shape: str) -> None:
    zero = verdict("0", term) is not False
    one = verdict("1", term) is not False or verdict("-1", term) is not False
    assume(not zero and not one)
    assert verdict(shape.format(term), term) is not True


@given(TERMS, st.data())
@settings(deadline=None, max_examples=200)
def test_another_case_is_never_right(term: str, data: st.DataObject) -> None:
    letters = [match.start() for match in re.finditer(r"(?<![a-zA-Z\\])[a-zA-Z](?![a-zA-Z])", term)]
    assume(letters)
    place = data.draw(st.sampled_from(letters))
    changed = term[:place] + term[place].swapcase() + term[place + 1 :]
    assume(verdict(term[:place] + "19" + term[place + 1 :], term) is False)  # the letter counts at this place
    assert verdict(changed, term) is not True


@given(st.integers(2, 60), st.integers(2, 9), st.integers(1, 99))
@settings(deadline=None, max_examples=100)
def test_odd_roots_of_negative_numbers_are_real(inside: int, factor: int, other: int) -> None:
    reference = rf"-{factor}\sqrt[3]{{{inside}}}"
    assert verdict(rf"\sqrt[3]{{-{inside * factor**3}}}", reference) is True
    assert verdict(rf"\sqrt[3]{{{inside * factor**3}}}", reference) is False
    assert verdict(rf"\sqrt[3]{{-{inside * factor**3 + other}}}", reference) is False


@given(st.integers(1, 200), st.integers(1, 200), st.integers(1, 5))
@settings(deadline=None, max_examples=100)
def test_nested_roots_need_no_proof(first: int, second: int, change: int) -> None:
    nested = rf"\sqrt{{{first + second}+2\sqrt{{{first * second}}}}}"
    assert verdict(nested, rf"\sqrt{{{first}}}+\sqrt{{{second}}}") is True
    assert verdict(nested, rf"\sqrt{{{first}}}+\sqrt{{{second + change}}}") is False


@given(st.integers(1, 10**30), st.integers(1, 10**6))
@settings(deadline=None, max_examples=60)
def test_large_numbers_are_exact(number: int, change: int) -> None:
    assert verdict(f"{number} + {change}", str(number + change)) is True
    assert verdict(f"{number} + {change + 1}", str(number + change)) is False
    assert verdict(rf"\frac{{{number}}}{{{change}}}", str(Fraction(number, change))) is True
