"""What a response's program is, when outputs and values are the expected ones, and what an outcome says."""

import time
from collections.abc import Generator, Iterable
from decimal import Decimal, localcontext
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.grading.code_answers import grade_code, same_output
from uniopd_mm.tasks.grading.code_blocks import extract_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode, read_problem
from uniopd_mm.tasks.grading.code_values import decode, encode, same_value
from uniopd_mm.tasks.sandbox.limits import Limits, Run, SandboxFault
from uniopd_mm.tasks.sandbox.local import LocalSandbox


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ("```python\nx = 1\n```", "x = 1"),
        ("First\n```python\nx = 1\n```\nthen\n```python\nx = 2\n```\ndone", "x = 2"),
        ("```python\nx = 1\n```\nIt prints\n```\n1\n```", "x = 1"),
        ("```\nx = 1\n```", "x = 1"),
        ("```py\nx = 1\n```\n```cpp\nint x;\n```", "x = 1"),
        ("```Python3\r\nx = 1\r\n```", "x = 1"),
        ("```python\nx = 1", "x = 1"),
        ("```python title=x\nx = 1\n```", "x = 1"),
        ("```pytest\nx = 1\n```\n```python\nx = 2\n```\n```text\n3\n```", "x = 2"),
        ("~~~python\nx = 1\n~~~", "x = 1"),
        ("````python\nx = '''\n```\n'''\n````", "x = '''\n```\n'''"),
        ("  ```python\n  x = 1\n  ```", "x = 1"),
        ("<think>```python\nx = 1\n```</think>\n```python\nx = 2\n```", "x = 2"),
        ("<think>```python\nx = 1\n```</think>\nI do not know.", None),
        ("<think>```python\nx = 1\n```", None),
        ("```python\nx = 1\n```\nHuman: and this?\n```python\nx = 2\n```", "x = 1"),
        (
            '```python\ndef f():\n    """Use:\n\n    ```\n    f()\n    ```\n    """\n    return 1\n```',
            'def f():\n    """Use:\n\n    ```\n    f()\n    ```\n    """\n    return 1',
        ),
        ("```\nprint(input())\n```\nExample:\n```\n3\n```\ngives\n```\n3 5\n```", "print(input())"),
        ("```python\nx = 1\n```\nso\n```python\n>>> x\n1\n```", "x = 1"),
        ("```python\nx = 1\n```\nwith\n```python\n[1, 2]\n```", "x = 1"),
        ("```python\nx = 1\n```\nor\n```python\nx = (\n```", "x = ("),
        ("```output\n3\n```", "3"),
        ("x = 1", None),
        ("", None),
        ("```python\n```", None),
        ("use `x = 1` or ```y```", None),
    ],
)
def test_the_program_of_a_response(response: str, code: str | None) -> None:
    found = extract_code(response)
    assert (found.strip() if found is not None else None) == code


USED = "```python\nprint(add(1, 2))\n```"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (f"```python\ndef add(a, b): return a + b\n```\nUse it:\n{USED}", "def add(a, b): return a + b"),
        (
            f"```python\nclass Solution:\n    def add(self): pass\n```\n{USED}",
            "class Solution:\n    def add(self): pass",
        ),
        (f"```python\ndef add(a): pass\n```\n```python\ndef add(b): pass\n```\n{USED}", "def add(b): pass"),
        (f"```python\ndef add_all(a): pass\n```\n{USED}", "print(add(1, 2))"),
        (f"```python\nadd = lambda a, b: a + b\n```\n{USED}", "add = lambda a, b: a + b"),
        (f"```python\nadd: object = lambda a, b: a + b\n```\n{USED}", "add: object = lambda a, b: a + b"),
        ("1. So:\n   ```python\n   def add(a):\n       return a\n   ```", "def add(a):\n    return a"),
    ],
)
def test_the_program_is_the_block_that_defines_the_function(response: str, code: str) -> None:
    found = extract_code(response, "add")
    assert found is not None and found.strip() == code


@pytest.mark.parametrize("text", ["```" + "a" * 300_000 + "`", "~" * 300_000 + "`", "``` " * 100_000, " " * 300_000])
def test_it_is_found_in_linear_time(text: str) -> None:
    began = time.process_time()
    extract_code(f"{text}\n{text}")
    assert time.process_time() - began < 10  # linear: 0.01 s; quadratic: minutes


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("7\n", "7", True),
        ("7 \n\n\n", "7\n", True),
        ("1  2\t3", "1 2 3", True),
        (" 7", "7", True),
        ("1\n2", "1 2", False),
        ("1 2", "1\n2", False),
        ("\n7", "7", False),
        ("0.3333333", "0.33333333333", True),
        ("0.333", "0.33333333333", False),
        ("1e9", "1000000000.0", True),
        ("1000001", "1000000", False),
        ("10000000001", "10000000000", False),
        ("007", "7", False),
        ("YES", "yes", False),
        ("nan", "nan", True),
        ("inf", "1e999", False),
        ("", "", True),
        ("\n", "", True),
        ("", "0", False),
        ("7 extra", "7", False),
        ("1\r\n2\r\n", "1\n2\n", True),
    ],
)
def test_outputs(output: str, expected: str, same: bool) -> None:
    assert same_output(output, expected) is same


@given(st.text(), st.text())
def test_an_output_is_itself_and_like_no_other_words(one: str, other: str) -> None:
    assert same_output(one, one)
    assert same_output(one + "\n", one)
    if one.split() != other.split() and not any(char.isdigit() for char in one + other):
        assert not same_output(one, other)


@pytest.mark.parametrize(
    ("value", "expected", "same"),
    [
        ((1, (2, 3)), [1, [2, 3]], True),
        ({1: "a"}, {"1": "a"}, True),
        ({"a": 1, "b": 2}, {"a": 1}, False),
        (0.1 + 0.2, 0.3, True),
        (1.0, 1, True),
        (1.1, 1, False),
        (10**400, 1.0, False),
        (float("nan"), float("nan"), True),
        (float("inf"), 1e308, False),
        (True, 1, True),
        (True, True, True),
        ("1", 1, False),
        (None, None, True),
        (None, 0, False),
        (None, [], False),
        ([], None, False),
        ({1, 2}, [1, 2], False),
        ([1, 2], [2, 1], False),
        ("ab", ["a", "b"], False),
        ("", [], False),
        (2, "2", False),
    ],
)
def test_values(value: Any, expected: Any, same: bool) -> None:
    assert same_value(value, expected) is same


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.sets(st.integers())
    ),
    max_leaves=10,
)


@given(PLAIN)
def test_plain_data_travels_unchanged(value: Any) -> None:
    found = decode(encode(value))
    assert found == value
    assert type(found) is type(value)


def test_arrays_travel_as_lists_and_objects_do_not() -> None:
    assert encode(numpy.arange(4).reshape(2, 2)) == [[0, 1], [2, 3]]
    assert encode(numpy.float32(0.5)) == 0.5
    for value in (object(), map(str, []), print, range(3), [lambda: 0]):
        with pytest.raises(TypeError):
            encode(value)


@pytest.fixture(scope="module")
def sandbox() -> LocalSandbox:
    return LocalSandbox()


def fenced(source: str) -> str:
    return f"Here it is.\n```python\n{source}\n```"


ADD = CodeProblem(mode=Mode.CALL, function="add", tests=(([3, 4], 7), ([1, 1], 2), ([0, 0], 0)))
SUM = CodeProblem(mode=Mode.STDIN, tests=(("3 4\n", "7\n"), ("1 1\n", "2\n")))


@pytest.mark.parametrize(
    ("source", "problem", "correct", "reason"),
    [
        ("print(sum(map(int, input().split())))", SUM, True, "all 2 tests"),
        ("print(7)", SUM, False, "test 2 of 2: wrong output '7\\n'"),
        ("print(1 // 0)", SUM, False, "test 1 of 2: runtime error: ZeroDivisionError"),
        ("class Odd(Exception): pass\nraise Odd", SUM, False, "test 1 of 2: runtime error: Odd"),
        ("def add(a, b): return a + b", ADD, True, "all 3 tests"),
        (
            "class Solution:\n def add(self, a: int, b: int) -> Optional[int]: return gcd(a + b, 0)",
            ADD,
            True,
            "all 3 tests",
        ),
        ("def add(a, b): print(a); return a + b\nif __name__ == '__main__': print('x')", ADD, True, "all 3 tests"),
        (
            "def add(a, b): return a + b\nif __name__ == '__main__': print(add(int(input()), 1))",
            ADD,
            True,
            "all 3 tests",
        ),
        ("def add(a, b): return a + b\nif __name__ == '__main__': raise SystemExit", ADD, True, "all 3 tests"),
        ("def add(a, b): return 7", ADD, False, "test 2 of 3: wrong value '7'"),
        ("def add(a, b): return 7 // b", ADD, False, "test 1 of 3: wrong value '1'"),
        ("def add(a, b): return (a + b) * a // a", ADD, False, "test 3 of 3: runtime error: ZeroDivisionError"),
        ("def plus(a, b): return a + b", ADD, False, "test 1 of 3: runtime error: NameError"),
        ("class Solution: pass", ADD, False, "test 1 of 3: runtime error: AttributeError"),
        ("def add(a): return a", ADD, False, "test 1 of 3: runtime error: TypeError"),
        ("def add(a, b): yield a + b", ADD, False, "test 1 of 3: returned a 'generator', which is no plain data"),
        ("def add(a, b)", ADD, False, "test 1 of 3: runtime error: SyntaxError"),
    ],
)
def test_outcomes(sandbox: LocalSandbox, source: str, problem: CodeProblem, correct: bool, reason: str) -> None:
    outcome = grade_code(fenced(source), problem, sandbox)
    assert (outcome.correct, outcome.reason) == (correct, reason)


def test_limits_are_named(sandbox: LocalSandbox) -> None:
    limits = Limits(cpu_seconds=1, wall_seconds=1.0)
    assert grade_code(fenced("while True: pass"), SUM, sandbox, limits=limits).reason == "test 1 of 2: time limit"
    assert grade_code(fenced("x = [0] * 10**12"), SUM, sandbox).reason == "test 1 of 2: memory limit"
    assert grade_code(fenced("while True: print(7)"), SUM, sandbox).reason == "test 1 of 2: output limit"


def test_no_more_tests_than_wanted_are_run(sandbox: LocalSandbox) -> None:
    assert grade_code(fenced("print(7)"), SUM, sandbox, max_tests=1).reason == "all 1 tests"
    assert grade_code(fenced("def add(a, b): return 7"), ADD, sandbox, max_tests=1).correct is True


def test_numbers_of_many_digits_are_printed_and_returned(sandbox: LocalSandbox) -> None:
    with localcontext(prec=7000):
        digits = format(Decimal(2) ** 20_000, "f")
    printed = CodeProblem(mode=Mode.STDIN, tests=(("", digits),))
    assert grade_code(fenced("print(2**20000)"), printed, sandbox).correct is True
    assert grade_code(fenced("print(2**20000 + 1)"), printed, sandbox).correct is False
    measured = CodeProblem(mode=Mode.CALL, function="f", tests=(([20_000], len(digits)),))
    assert grade_code(fenced("def f(n): return len(str(2**n))"), measured, sandbox).correct is True


def test_an_expected_value_may_be_wrapped_only_where_the_problem_says_so(sandbox: LocalSandbox) -> None:
    for wrapped in (True, False):
        problem = CodeProblem(mode=Mode.CALL, function="add", tests=(([3, 4], [7]),), wrapped=wrapped)
        assert grade_code(fenced("def add(a, b): return a + b"), problem, sandbox).correct is wrapped
        assert grade_code(fenced("def add(a, b): return [a + b]"), problem, sandbox).correct is True


HUMANEVAL = read_problem(
    {
        "prompt": "from typing import List\n\ndef poly(xs: List[float], x: float) -> float:\n"
        "    return sum(c * x ** i for i, c in enumerate(xs))\n\ndef root(xs: List[float]) -> float:\n"
        '    """A zero of the line with these two coefficients."""\n',
        "entry_point": "root",
        "test": "import copy, math, random\nimport numpy as np\n\ndef check(candidate):\n    for _ in range(20):\n"
        "        xs = [random.random(), 1 + random.random()]\n"
        "        assert math.fabs(poly(xs, candidate(copy.deepcopy(xs)))) < 1e-4\n"
        "    assert np.allclose(candidate([1.0, 2.0]), -0.5)\n"
        "    try:\n        candidate([1.0, 0.0])\n        assert False\n    except ZeroDivisionError:\n        pass\n",
    }
)


def test_test_code_decides(sandbox: LocalSandbox) -> None:
    assert (
        grade_code(fenced("def root(xs): return -xs[0] / xs[1]"), HUMANEVAL, sandbox).reason == "all tests (22 calls)"
    )
    wrong = grade_code(fenced("def root(xs): return -xs[0] / (xs[1] + 1e-9)"), HUMANEVAL, sandbox)
    assert (wrong.correct, wrong.reason) == (False, "tests: runtime error: AssertionError")
    assert grade_code(fenced("def root(xs): return 0.0"), HUMANEVAL, sandbox).correct is False


def test_code_keeps_tuples_and_sets_apart(sandbox: LocalSandbox) -> None:
    problem = CodeProblem(mode=Mode.ASSERTS, function="f", test="assert f({1, 2}, (3,)) == ({1, 2, 3}, {4: b'5'}, 1j)")
    assert grade_code(fenced("def f(a, b): return a | set(b), {4: b'5'}, 1j"), problem, sandbox).correct is True
    assert grade_code(fenced("def f(a, b): return [a | set(b), {4: b'5'}, 1j]"), problem, sandbox).correct is False


@pytest.mark.parametrize(
    ("test", "reason"),
    [
        ("assert True", "tests: they never call f"),
        (
            "assert f(1) == 1 and f(print) == 1",
            "tests: they use arguments that are no plain data, or arguments by name",
        ),
        ("assert f(1) == 1 and f(x=1) == 1", "tests: they use arguments that are no plain data, or arguments by name"),
        ("assert f(f(1) + 1) == 2", "tests: they use arguments that are no plain data, or arguments by name"),
        ("assert f(len(str(f(1)))) == 1", "tests: the calls they make depend on the answers"),
        ("raise ValueError", "tests: they cannot be run apart from the program (runtime error: ValueError)"),
    ],
)
def test_tests_that_cannot_be_used_are_unknown(sandbox: LocalSandbox, test: str, reason: str) -> None:
    outcome = grade_code(fenced("def f(x): return x"), CodeProblem(mode=Mode.ASSERTS, function="f", test=test), sandbox)
    assert (outcome.correct, outcome.reason) == (None, reason)


class Broken:
    """A sandbox that never works."""

    level = "none"

    def runs(self, source: str, inputs: Iterable[str], limits: Limits) -> Generator[Run, None, None]:
        raise SandboxFault("out of order")
        yield


def test_a_fault_of_ours_is_unknown() -> None:
    for problem in (SUM, ADD, CodeProblem(mode=Mode.ASSERTS, function="f", test="assert f(9) == 9")):
        outcome = grade_code(fenced("x = 1"), problem, Broken())
        assert (outcome.correct, outcome.reason) == (None, "sandbox: out of order")
    assert grade_code("no program", SUM, Broken()).reason == "no code"
