"""Rows with the columns and types of published sets (their contents are invented) become problems, or say why not."""

import base64
import json
import os
import pickle
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode, read_problem, read_tests, unpacked
from uniopd_mm.types import BadSample

STDIN = {"inputs": ["3 4\n", "1 1\n"], "outputs": ["7\n", "2\n"]}
CALLED = {"fn_name": "add", "inputs": [[3, 4], [1, 1]], "outputs": [[7], [2]]}


def packed(value: Any) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


def eurus(tests: Any) -> dict[str, Any]:
    return {"ability": "code", "reward_model": {"ground_truth": json.dumps(tests), "style": "rule"}}


def livecodebench(public: list[dict[str, str]], private: list[dict[str, str]], function: str | None) -> dict[str, Any]:
    return {
        "question_content": "Add.",
        "starter_code": "",
        "public_test_cases": json.dumps(public),
        "private_test_cases": packed(json.dumps(private)),
        "metadata": json.dumps({"func_name": function} if function else {}),
    }


def case(given: str, expected: str, kind: str) -> dict[str, str]:
    return {"input": given, "output": expected, "testtype": kind}


@pytest.mark.parametrize("row", [eurus(STDIN), {"input_output": json.dumps(STDIN)}, {"tests": STDIN}])
def test_programs_that_read_and_print(row: dict[str, Any]) -> None:
    assert read_problem(row) == CodeProblem(mode=Mode.STDIN, tests=(("3 4\n", "7\n"), ("1 1\n", "2\n")))


@pytest.mark.parametrize("row", [eurus(CALLED), {"input_output": json.dumps(CALLED)}, {"tests": json.dumps(CALLED)}])
def test_functions_whose_values_may_be_wrapped(row: dict[str, Any]) -> None:
    assert read_problem(row) == CodeProblem(
        mode=Mode.CALL, function="add", tests=(([3, 4], [7]), ([1, 1], [2])), wrapped=True
    )


def test_an_object_of_our_own_is_taken_literally() -> None:
    assert read_problem({"tests": CALLED}).wrapped is False


def test_lines_in_lists_are_joined() -> None:
    assert read_tests({"inputs": [["1", "2"]], "outputs": [["3"]]}, "tests").tests == (("1\n2", "3"),)


def test_livecodebench_with_standard_input() -> None:
    row = livecodebench([case("3 4\n", "7\n", "stdin")], [case("1 1\n", "2\n", "stdin")], None)
    assert read_problem(row) == read_problem({"tests": STDIN})


def test_livecodebench_with_a_function() -> None:
    public = [case('[1, 2]\n"a"', '{"a": [1, 2]}', "functional")]
    problem = read_problem(livecodebench(public, [case("[]\nnull", "[]", "functional")], "solve"))
    assert problem == CodeProblem(
        mode=Mode.CALL, function="solve", tests=(([[1, 2], "a"], {"a": [1, 2]}), ([[], None], []))
    )


def test_livecodebench_private_cases_may_be_plain_json() -> None:
    row = livecodebench([case("1", "1", "stdin")], [], None) | {
        "private_test_cases": json.dumps([case("2", "2", "stdin")])
    }
    assert read_problem(row).tests == (("1", "1"), ("2", "2"))


class Attack:
    """What a pickle can do when it is loaded."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/uniopd-hostile-pickle",)


@pytest.mark.parametrize("value", [Attack(), ["a"], {"a": 1}, print, 7, os.path])
def test_nothing_but_a_text_is_unpickled(value: Any) -> None:
    try:
        text = packed(value)
    except (TypeError, pickle.PicklingError):
        text = base64.b64encode(zlib.compress(b"cos\nsystem\n(S'true'\ntR.")).decode()
    with pytest.raises(BadSample, match="private_test_cases"):
        unpacked(text)
    assert not os.path.exists("/tmp/uniopd-hostile-pickle")


@given(st.binary(max_size=200))
def test_whatever_is_packed_is_text_or_refused(content: bytes) -> None:
    for text in (content.decode("latin-1"), base64.b64encode(content).decode(), packed_raw(content)):
        try:
            value = unpacked(text)
        except BadSample:
            continue
        assert isinstance(value, str)


def packed_raw(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def test_humaneval_plus() -> None:
    row = {
        "task_id": "HumanEval/900",
        "prompt": 'def twice(x: int) -> int:\n    """Twice x."""\n',
        "canonical_solution": "    return 2 * x\n",
        "entry_point": "twice",
        "test": "def check(candidate):\n    assert candidate(2) == 4\n",
    }
    problem = read_problem(row)
    assert (problem.mode, problem.function, problem.helpers) == (Mode.ASSERTS, "twice", row["prompt"])
    assert problem.test.endswith("check(twice)\n")


def test_mbpp_plus() -> None:
    row = {
        "task_id": 900,
        "prompt": "Write a function to double a number.",
        "code": "def helper(x):\n    return x\ndef twice(x):\n    return 2 * helper(x)",
        "test_imports": ["import math"],
        "test_list": ["assert twice(2) == 4", "assert math.isclose(twice(0.5), 1)"],
        "test": "assert twice(3) == 6",
    }
    problem = read_problem(row)
    assert (problem.mode, problem.function, problem.test) == (
        Mode.ASSERTS,
        "twice",
        "import math\nassert twice(3) == 6",
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "no tests: none of the columns"),
        ({"tests": "{"}, "tests is no JSON"),
        ({"tests": [1]}, "tests must be an object, got list"),
        ({"tests": {"inputs": [], "outputs": []}}, "no list of inputs"),
        ({"tests": {"inputs": ["1"], "outputs": []}}, "1 inputs and 0 outputs"),
        ({"tests": {"inputs": [{}], "outputs": ["1"]}}, "must be text, got dict"),
        ({"tests": {"fn_name": "f", "inputs": ["1"], "outputs": [1]}}, "arguments must be a list, got str"),
        ({"tests": {"fn_name": "a b", "inputs": [[1]], "outputs": [1]}}, "must name a function, got 'a b'"),
        ({"tests": {"test": "assert (", "entry_point": "f"}}, "the tests are no Python"),
        ({"tests": {"test": "assert f()"}}, "entry_point must name a function"),
        ({"test": "assert f(1)", "code": "x = 1"}, "call no function that code defines"),
        (livecodebench([], [], None), "no test cases"),
        (livecodebench([case("1", "1", "functional")], [], None), "metadata.func_name must name a function"),
        (
            livecodebench([case("1", "1", "stdin"), case("1", "1", "functional")], [], "f"),
            "all stdin or all functional",
        ),
        (livecodebench([{"input": "1"}], [], "f"), "needs input and output"),
        ({"public_test_cases": "[]", "private_test_cases": "not base64!"}, "cannot be unpacked"),
    ],
)
def test_unusable_rows_say_why(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadSample, match=reason):
        read_problem(row)


@pytest.mark.parametrize("tests", [STDIN, CALLED, {"test": "assert f(1) == 1", "entry_point": "f", "helpers": "x = 1"}])
def test_a_problem_survives_json(tests: dict[str, Any]) -> None:
    for value in (tests, json.dumps(tests)):
        problem = read_tests(value, "tests")
        assert read_tests(json.loads(json.dumps(problem.plain())), "tests") == problem
