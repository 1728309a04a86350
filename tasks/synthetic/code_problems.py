"""Small Python functions to write from one sentence, with tests that call them, for a machine without a data set.

A problem is a template with names and constants filled in. Its reference program is one expression, and its tests are
the values of that expression for random inputs.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

from uniopd_mm.tasks.synthetic.levels import SHARES, check_shares
from uniopd_mm.tasks.synthetic.text_sets import TextProblem, text_samples
from uniopd_mm.types import Corpus

FUNCTIONS = ("f", "g", "h", "p", "q", "r", "calc", "go", "make", "run", "solve", "work")
NUMBERS = ("x", "y", "n", "m", "i", "j")
LISTS = ("xs", "ys", "nums", "vals", "data", "row")
# The first and second constant of a statement. With 0 or 1, some functions would return their argument.
FIRST, SECOND = range(2, 21), range(2, 10)
NUM_TESTS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """What a function returns, in words and as an expression. {a} and {b} are its arguments, {k} and {c} constants."""

    says: str
    body: str
    takes_list: bool = False


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class SyntheticCodeProblems:
    """The splits pretrain, train and validation, which share no statement, and habits (see `problems`).

    `metadata` has each problem's "level" and "tests": {"fn_name": str, "inputs": a list of arguments for each test,
    "outputs": a value for each test}. Within a split, some statements occur twice: in a thousand, about one in ten.

    Args:
        num_pretrain, num_train, num_validation: samples of each split.
        habit: share of the medium and harder problems in the split habits whose demonstration is a program that
            returns its first argument.
        seed: of all problems.
        levels: shares of the problems that are easy (one operation on numbers), medium (a list, or two operations),
            hard (a list and two constants, or three operations) and impossible (the tests use another constant than
            the statement).
        instruction: last line of every question.
        domain: domain of the samples.
    """

    num_pretrain: int = 8000
    num_train: int = 2000
    num_validation: int = 320
    habit: float = 0.7
    seed: int = 0
    levels: Mapping[str, float] = field(default_factory=lambda: dict(SHARES))
    instruction: str = "Write Python code to solve the problem. Put the final program in one ```python block."
    domain: str = "code"

    def __post_init__(self) -> None:
        check_shares(self.levels)

    def samples(self, split: str) -> Corpus:
        """See `SampleSource.samples`."""
        return text_samples(self, split, name="synthetic code problem", draw=draw_problem)


def draw_problem(rng: random.Random, level: str) -> TextProblem:
    """A template of the level with names and constants filled in, and tests that the reference program passes."""
    templates, name = TEMPLATES[level], rng.choice(FUNCTIONS)
    weights = [4 if "{k}" in template.body else 1 for template in templates]  # a constant makes more problems of one
    (template,) = rng.choices(templates, weights)
    a, b = (rng.choice(LISTS), "") if template.takes_list else rng.sample(NUMBERS, 2)
    arguments = [a, b] if "{b}" in template.body else [a]
    (k, other), c = rng.sample(FIRST, 2), rng.choice(SECOND)
    says = template.says.format(a=a, b=b, k=k, c=c)
    body = template.body.format(a=a, b=b, k=other if level == "impossible" else k, c=c)
    head = f"def {name}({', '.join(arguments)}):\n    return "
    inputs, outputs = _tests(rng, body, arguments, template.takes_list)
    return TextProblem(
        question=f"Write a function {name}({', '.join(arguments)}) that returns {says}.",
        answer=head + body,
        worked=f"```python\n{head}{body}\n```",
        thoughtless=f"```python\n{head}{a}\n```",
        extras={"tests": {"fn_name": name, "inputs": inputs, "outputs": outputs}},
    )


def _tests(
    rng: random.Random, body: str, arguments: Sequence[str], takes_list: bool
) -> tuple[list[list[Any]], list[Any]]:
    """Arguments, and the value of `body` for them. At least one value differs from its first argument."""
    while True:
        inputs = [[_value(rng, takes_list) for _ in arguments] for _ in range(NUM_TESTS)]
        outputs = [eval(body, dict(zip(arguments, values, strict=True))) for values in inputs]
        if any(values[0] != output for values, output in zip(inputs, outputs, strict=True)):
            return inputs, outputs


def _value(rng: random.Random, is_list: bool) -> int | list[int]:
    """An argument: a number, or a list of four to seven."""
    return [rng.randint(-9, 30) for _ in range(rng.randint(4, 7))] if is_list else rng.randint(-9, 30)


EASY = (
    Template(says="{a} plus {k}", body="{a} + {k}"),
    Template(says="{a} minus {k}", body="{a} - {k}"),
    Template(says="{a} times {k}", body="{a} * {k}"),
    Template(says="the larger of {a} and {k}", body="max({a}, {k})"),
    Template(says="the smaller of {a} and {k}", body="min({a}, {k})"),
    Template(says="the larger of {a} and {b}", body="max({a}, {b})"),
    Template(says="the smaller of {a} and {b}", body="min({a}, {b})"),
)
MEDIUM = (
    Template(says="{a} times {k} plus {c}", body="{a} * {k} + {c}"),
    Template(says="{a} times {b} plus {k}", body="{a} * {b} + {k}"),
    Template(says="{a} in reverse", body="{a}[::-1]", takes_list=True),
    Template(says="the sum of {a} plus {k}", body="sum({a}) + {k}", takes_list=True),
    Template(says="how many of {a} are even", body="sum(v % 2 == 0 for v in {a})", takes_list=True),
    Template(says="how many of {a} are above {k}", body="sum(v > {k} for v in {a})", takes_list=True),
    Template(says="those of {a} above {k}", body="[v for v in {a} if v > {k}]", takes_list=True),
    Template(says="each of {a} plus {k}", body="[v + {k} for v in {a}]", takes_list=True),
)
HARD = (
    Template(says="the larger of {a} and {b} minus {k}", body="max({a}, {b}) - {k}"),
    Template(says="the distance of {a} and {b} times {k}", body="abs({a} - {b}) * {k}"),
    Template(says="each of {a} times {k} plus {c}", body="[v * {k} + {c} for v in {a}]", takes_list=True),
    Template(says="those of {a} above {k} times {c}", body="[v * {c} for v in {a} if v > {k}]", takes_list=True),
    Template(says="the largest of {a} times {k} plus {c}", body="max({a}) * {k} + {c}", takes_list=True),
)
TEMPLATES: Mapping[str, tuple[Template, ...]] = {"easy": EASY, "medium": MEDIUM, "hard": HARD, "impossible": EASY[:3]}
