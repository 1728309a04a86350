"""Invented rows of the text benchmarks, laid out as the hub has their files; nothing of the benchmarks is in them."""

import base64
import json
import pickle
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, List, Value

INTEGER, TEXT = Value("int64"), Value("string")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fixture:
    """The file of a benchmark with its rows, and final answers or programs to each: right ones and wrong ones."""

    file: str
    features: Features
    rows: Sequence[Mapping[str, Any]]
    right: Sequence[str]
    wrong: Sequence[str]

    def responses(self, *, right: bool) -> list[str]:
        """Texts as a model writes them, one for each row."""
        return [response(answer) for answer in (self.right if right else self.wrong)]


def response(answer: str) -> str:
    if "def " in answer or "\n" in answer or "print(" in answer:
        return f"The program follows.\n```python\n{answer}\n```\nIt passes the tests."
    return f"We compute it step by step. The answer is \\boxed{{{answer}}}."


# problem, answer, the same written otherwise, a wrong one
AIME24 = (
    ("How many integers from 1 to 1000 are multiples of 7 but not of 11?", "130", "130", "142"),
    ("Find the sum of all positive integers $k$ with $k^2 < 50$.", "028", "28", "36"),
    ("Find the remainder when $3^{8}$ is divided by $1000$.", "561", "561.0", "56"),
    ("A box has edges $2$, $5$ and $14$. Find the square of its space diagonal.", "225", r"15^2", "15"),
)
AIME25 = (
    ("Find the number of divisors of $720$.", "30", "30", "28"),
    ("Find $\\lfloor 10\\pi \\rfloor + 40$.", "71", r"71\text{ }", "72"),
    ("Find the sum of the digits of $2^{10}$.", "7", r"\frac{14}{2}", "1024"),
    ("How many diagonals does a convex polygon with $20$ sides have?", "170", "170", "190"),
)
ROOTS = r"\frac{-1+\sqrt{17}}{2}, \frac{-1-\sqrt{17}}{2}"
HMMT_FEB = (
    ("Compute the length of the diagonal of a square of side $4$.", r"4\sqrt{2}", r"\sqrt{32}", r"4\sqrt{3}"),
    ("Find all real $x$ with $x^2+x-4=0$.", ROOTS, r"\frac{-1\pm\sqrt{17}}{2}", r"\frac{-1+\sqrt{17}}{2}"),
    ("Compute $1-\\int_0^1 \\frac{2}{\\pi}\\,dx$.", r"1-\frac{2}{\pi}", r"\frac{\pi-2}{\pi}", r"\frac{\pi+2}{\pi}"),
    ("Compute the product of $96$ and $5!$.", r"2^{5} \cdot 3 \cdot 5!", r"3\cdot 5! \cdot 2^5", r"2^5 \cdot 5!"),
)
HMMT_NOV = (
    ("Compute $\\frac{1}{3}+\\frac{1}{6}$.", r"\frac{1}{2}", "0.5", r"\frac{1}{3}"),
    ("Find all ordered pairs of primes with sum $9$.", "(2,7),(7,2)", r"(7, 2), (2, 7)", "(2,7)"),
    ("Compute the area of an equilateral triangle of side $2$.", r"\sqrt{3}", r"\frac{3}{\sqrt{3}}", r"\sqrt{2}"),
    ("Compute $\\binom{10}{3}$.", "120", r"\binom{10}{7}", "720"),
)

# name, parameters, text, right value, wrong value, arguments of the tests
FUNCTIONS = (
    ("add_all", "xs", "The sum of xs.", "sum(xs)", "0", [[[1, 2]], [[]], [[-3, 3, 9]]]),
    ("shout", "text", "The text in capitals.", "text.upper()", "text", [["ab"], ["C"], [""]]),
    ("half", "x", "Half of x.", "x / 2", "x // 2", [[3], [0.5], [-7]]),
    ("sign", "n", "1, 0 or -1, as n is positive, 0 or negative.", "(n > 0) - (n < 0)", "1", [[5], [0], [-2]]),
)
HELPERS = """import numpy as np


def assertion(out, exp, atol):
    if atol == 0 and isinstance(exp, float):
        atol = 1e-6
    if out != exp and atol != 0:
        assert np.allclose(out, exp, rtol=1e-07, atol=atol)
    else:
        assert out == exp, f"out: {out}, exp: {exp}"


"""
LOOP = "for i, (inp, exp) in enumerate(zip(inputs, results)):"


def _program(name: str, parameters: str, value: str) -> str:
    return f"def {name}({parameters}):\n    return {value}"


def _tests(name: str, parameters: str, value: str, inputs: Sequence[Any]) -> tuple[str, str]:
    """Lines of test code that hold the inputs and the expected values."""
    namespace: dict[str, Any] = {}
    exec(_program(name, parameters, value), namespace)
    return f"inputs = {inputs!r}", f"results = {[namespace[name](*arguments) for arguments in inputs]!r}"


def _humaneval(number: int, function: tuple[Any, ...]) -> dict[str, Any]:
    name, parameters, text, value, _, calls = function
    inputs, results = _tests(name, parameters, value, calls)
    body = f"    {inputs}\n    {results}\n    {LOOP}\n        assertion(candidate(*inp), exp, 0)\n"
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": f'\n\ndef {name}({parameters}):\n    """{text}"""\n',
        "canonical_solution": f"    return {value}\n",
        "entry_point": name,
        "test": f"{HELPERS}def check(candidate):\n{body}",
    }


def _mbpp(number: int, function: tuple[Any, ...]) -> dict[str, Any]:
    name, parameters, text, value, _, calls = function
    inputs, results = _tests(name, parameters, value, calls)
    shown = ", ".join(map(repr, calls[0]))
    first = json.loads(results.removeprefix("results = ").replace("'", '"'))[0]
    return {
        "task_id": number,
        "code": _program(name, parameters, value),
        "prompt": f"Write a function that returns this: {text}",
        "source_file": "Invented.ipynb",
        "test_imports": ["import math"] if number % 2 else [],
        "test_list": [f"assert {name}({shown}) == {first!r}"],
        "test": f"{HELPERS}{inputs}\n{results}\n{LOOP}\n    assertion({name}(*inp), exp, 0)\n",
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Of LiveCodeBench. `tests` are inputs and outputs, the first of them public; without `starter` they are of a
    program, else of the function that it begins."""

    title: str
    text: str
    starter: str = ""
    right: str
    wrong: str
    tests: Sequence[tuple[str, str]]


LARGE = " ".join(map(str, range(2000)))
PAIRS = "class Solution:\n    def pairs(self, xs: List[int]) -> int:\n        "
JOIN = "class Solution:\n    def join(self, words: List[str], by: str) -> str:\n        "
PROBLEMS = (
    Problem(
        title="Sum",
        text="Read two integers and print their sum.",
        right="a, b = map(int, input().split())\nprint(a + b)",
        wrong="a, b = map(int, input().split())\nprint(a - b)",
        tests=[("1 0\n", "1\n"), ("3 4\n", "7\n"), ("-1 1\n", "0\n")],
    ),
    Problem(
        title="Largest",
        text="Read integers and print the largest.",
        right="print(max(map(int, input().split())))",
        wrong="print(max(input().split()))",
        tests=[("1 2\n", "2\n"), (f"{LARGE}\n", "1999\n"), ("9 10\n", "10")],
    ),
    Problem(
        title="Pairs",
        text="Count the pairs of equal numbers.",
        starter=PAIRS,
        right=f"{PAIRS}return sum(xs[:i].count(x) for i, x in enumerate(xs))",
        wrong=f"{PAIRS}return len(xs) - len(set(xs))",
        tests=[("[1, 1]", "1"), ("[1, 1, 1]", "3"), ("[]", "0")],
    ),
    Problem(
        title="Join",
        text="Join words.",
        starter=JOIN,
        right=f"{JOIN}return by.join(words)",
        wrong=f"{JOIN}return ''.join(words)",
        tests=[('["a"]\n"-"', '"a"'), ('["a", "b"]\n"-"', '"a-b"')],
    ),
)


def packed(cases: Sequence[Mapping[str, str]]) -> str:
    """Private tests as they are published: JSON text, pickled, compressed and written as base64."""
    return base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases), protocol=4))).decode()


def _livecodebench(number: int, problem: Problem) -> dict[str, Any]:
    kind = "functional" if problem.starter else "stdin"
    cases = [{"input": given, "output": expected, "testtype": kind} for given, expected in problem.tests]
    name = problem.starter.partition("def ")[2].partition("(")[0]
    return {
        "question_title": problem.title,
        "question_content": problem.text,
        "platform": "leetcode" if problem.starter else "atcoder",
        "question_id": f"abc{number}",
        "contest_id": f"contest{number}",
        "contest_date": f"2025-03-{number + 1:02}T00:00:00",
        "starter_code": problem.starter,
        "difficulty": ("easy", "medium", "hard")[number % 3],
        "public_test_cases": json.dumps(cases[:1]),
        "private_test_cases": packed(cases[1:]),
        "metadata": json.dumps({"func_name": name} if name else {}),
    }


def _competition(file: str, problems: Sequence[tuple[str, str, str, str]], columns: Mapping[str, Any]) -> Fixture:
    """`columns` has the types of all columns; those beside problem and answer are filled with what they may hold."""
    fillers = {"solution": r"It is \boxed{?}.", "url": "https://example.org/problem", "year": "2024"}
    rows = []
    for number, (problem, answer, _, _) in enumerate(problems, start=1):
        row = {"id": number, "problem_idx": number, "problem": problem, "answer": answer, **fillers}
        row["problem_type"] = ["Algebra", "Geometry"][: 1 + number % 2]
        rows.append({name: row[name] for name in columns})
    right, wrong = [problem[2] for problem in problems], [problem[3] for problem in problems]
    return Fixture(file=file, features=Features(columns), rows=rows, right=right, wrong=wrong)


AIME24_COLUMNS = dict.fromkeys(("problem", "solution", "answer", "url", "year"), TEXT)
HMMT_COLUMNS = {"problem_idx": INTEGER, "problem": TEXT, "answer": TEXT, "problem_type": List(TEXT)}
LIVECODEBENCH_COLUMNS = ("question_title", "question_content", "platform", "question_id", "contest_id", "contest_date")
LIVECODEBENCH_COLUMNS += ("starter_code", "difficulty", "public_test_cases", "private_test_cases", "metadata")
HUMANEVAL_COLUMNS = ("task_id", "prompt", "canonical_solution", "entry_point", "test")
MBPP_COLUMNS = {"task_id": INTEGER, "code": TEXT, "prompt": TEXT, "source_file": TEXT}
MBPP_COLUMNS |= {"test_imports": List(TEXT), "test_list": List(TEXT), "test": TEXT}
PROGRAMS = {
    "right": [_program(name, parameters, value) for name, parameters, _, value, _, _ in FUNCTIONS],
    "wrong": [_program(name, parameters, value) for name, parameters, _, _, value, _ in FUNCTIONS],
}
TRAIN, TEST = "data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"

FIXTURES = {
    "aime24": _competition(f"simplescaling/aime24_nofigures/{TRAIN}", AIME24, {"id": INTEGER} | AIME24_COLUMNS),
    "aime25": _competition(f"simplescaling/aime25_nofigures/{TRAIN}", AIME25, {"problem": TEXT, "answer": TEXT}),
    "hmmt25_feb": _competition(f"MathArena/hmmt_feb_2025/{TRAIN}", HMMT_FEB, HMMT_COLUMNS),
    "hmmt25_nov": _competition(f"MathArena/hmmt_nov_2025/{TRAIN}", HMMT_NOV, HMMT_COLUMNS),
    "humaneval_plus": Fixture(
        file=f"evalplus/humanevalplus/{TEST}",
        features=Features(dict.fromkeys(HUMANEVAL_COLUMNS, TEXT)),
        rows=[_humaneval(number, function) for number, function in enumerate(FUNCTIONS)],
        **PROGRAMS,
    ),
    "mbpp_plus": Fixture(
        file=f"evalplus/mbppplus/{TEST}",
        features=Features(MBPP_COLUMNS),
        rows=[_mbpp(number, function) for number, function in enumerate(FUNCTIONS, start=2)],
        **PROGRAMS,
    ),
    "livecodebench_v6": Fixture(
        file="livecodebench/code_generation_lite/test6.jsonl",
        features=Features(dict.fromkeys(LIVECODEBENCH_COLUMNS, TEXT)),
        rows=[_livecodebench(number, problem) for number, problem in enumerate(PROBLEMS)],
        right=[problem.right for problem in PROBLEMS],
        wrong=[problem.wrong for problem in PROBLEMS],
    ),
}


def write(root: Path) -> None:
    """The files of all fixtures, as ROOT/OWNER/NAME/..."""
    for fixture in FIXTURES.values():
        path = root / fixture.file
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".parquet":
            Dataset.from_list(list(fixture.rows), features=fixture.features).to_parquet(path)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in fixture.rows), encoding="utf-8")
