r"""Grades a response by running its program on the problem's tests. All tests must pass.

The program is the code block that `code_blocks` finds. Without one, the response is wrong.

    stdin    The output is compared with the expected one, without spaces at the ends of lines and empty lines at the
             end. They are the same if they have equally many lines with equally many words, and each pair of words is
             equal, or is two numbers, not both integers, that differ by 1e-6 at most, relatively or absolutely.
    call     The function's value is compared with the expected JSON value. Tuples count as lists and keys as texts.
             Two numbers of which at least one is a float are equal within 1e-6, relatively or absolutely.
    asserts  Test code decides. It runs in another process than the program, on the values that the program's function
             returned for the test code's arguments (see `code_driver`). Plain data and exceptions are passed on;
             functions, iterators, objects of the program's own classes and changes to the arguments are not.

The process that runs the program never contains expected values.

All inputs of a response together have TOTAL_SECONDS of CPU time and twice as much wall time, not counting the wait for
a free core of this machine. A program that exceeds the CPU time is wrong. One that exceeds the wall time is unknown,
because it may have slept or the sandbox may have been busy. Calls share one process, and its limits bound them.
"""

import json
import math
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from uniopd_mm.tasks.grading import code_driver
from uniopd_mm.tasks.grading.answers import right, unknown, wrong
from uniopd_mm.tasks.grading.code_blocks import extract_code
from uniopd_mm.tasks.grading.code_driver import decode
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.grading.remembered import Remembered
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.tasks.sandbox.limits import Limits, Run, Sandbox, SandboxFault, Status
from uniopd_mm.types import Outcome

TOLERANCE = 1e-6
TOTAL_SECONDS = 60.0
_MAX_SHARES = 5  # calls of one program share a process; together they have the time of this many inputs at most
_CALLS_OUTPUT_BYTES = 16 << 20


class _Untestable(Exception):
    """The tests themselves cannot be used, and why."""


def grade_code(
    response: str,
    problem: CodeProblem,
    sandbox: Sandbox,
    *,
    limits: Limits | None = None,
    max_tests: int | None = None,
    total_seconds: float = TOTAL_SECONDS,
) -> Outcome:
    """Right if the response's program passes the first `max_tests` tests (all by default). Unknown if the sandbox fails
    or the tests cannot be used. Never raises, and may be called from several threads."""
    source = extract_code(response, problem.function)
    if source is None:
        return wrong("no code")
    tests = problem.tests[:max_tests]
    try:
        if problem.mode is Mode.STDIN:
            return _grade_stdin(source, tests, sandbox, limits or Limits(), total_seconds)
        if problem.mode is Mode.CALL:
            return _grade_calls(source, replace(problem, tests=tests), sandbox, limits or Limits())
        return _grade_asserts(source, problem, sandbox, limits or Limits())
    except SandboxFault as fault:
        return unknown(f"sandbox: {fault}")
    except _Untestable as problem_error:
        return unknown(f"tests: {problem_error}")
    except Exception as error:  # noqa: BLE001 - what a program reports may hold anything, and a grader never raises
        return unknown(f"could not be graded: {type(error).__name__} {error}")


def _grade_stdin(
    source: str, tests: Sequence[tuple[str, str]], sandbox: Sandbox, limits: Limits, total_seconds: float
) -> Outcome:
    began = cpu_seconds = wall_seconds = 0.0

    def inputs() -> Iterator[str]:
        nonlocal began
        for given, _ in tests:
            began = time.monotonic()  # a sandbox asks for an input when it can run the program
            yield given

    with closing(sandbox.runs(source, inputs(), limits)) as runs:
        for number, (run, (_, expected)) in enumerate(zip(runs, tests, strict=True), start=1):
            if run.status is not Status.OK:
                return wrong(f"{_place(number, len(tests))}: {_failure(run)}")
            if not same_output(run.stdout, expected):
                return wrong(f"{_place(number, len(tests))}: wrong output {quote(run.stdout)}")
            cpu_seconds, wall_seconds = cpu_seconds + run.seconds, wall_seconds + time.monotonic() - began
            if number < len(tests) and cpu_seconds > total_seconds:
                return wrong(f"time limit over all tests, after {number} of {len(tests)}")
            if number < len(tests) and wall_seconds > 2 * total_seconds:
                return unknown(f"no time left for all tests, after {number} of {len(tests)}")
    return right(f"all {len(tests)} tests")


def same_output(output: str, expected: str) -> bool:
    """Whether an output is the expected one, as this file's docstring says.

    >>> same_output("1 2.50 \\n\\n", "1 2.5"), same_output("1\\n2", "1 2"), same_output("3", "3.0000001")
    (True, False, True)
    """
    lines, wanted = _lines(output), _lines(expected)
    return len(lines) == len(wanted) and all(map(_same_line, lines, wanted))


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _same_line(line: str, wanted: str) -> bool:
    if line == wanted:
        return True
    words, others = line.split(), wanted.split()
    return len(words) == len(others) and all(map(_same_word, words, others))


_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")
_WHOLE = re.compile(r"[-+]?[0-9]+")


def _same_word(word: str, wanted: str) -> bool:
    if word == wanted:
        return True
    if not (_NUMBER.fullmatch(word) and _NUMBER.fullmatch(wanted)):
        return False
    if _WHOLE.fullmatch(word) and _WHOLE.fullmatch(wanted):
        return False
    return _close(float(word), float(wanted))


def _close(one: float, other: float) -> bool:
    try:
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    except OverflowError:  # an int that no float can hold
        return False


def _grade_calls(source: str, problem: CodeProblem, sandbox: Sandbox, limits: Limits) -> Outcome:
    num_tests = len(problem.tests)
    calls = [given for given, _ in problem.tests]
    answers, run = _answers(source, problem.function, calls, sandbox, limits, go_on=False)
    for number, (answer, (_, expected)) in enumerate(zip(answers, problem.tests, strict=False), start=1):
        if "odd" in answer:
            return wrong(f"{_place(number, num_tests)}: returned a {quote(answer['odd'])}, which is no plain data")
        value = decode(answer["value"])
        if not _expected_value(value, expected, problem.wrapped):
            return wrong(f"{_place(number, num_tests)}: wrong value {quote(value)}")
    if run.status is not Status.OK:
        return wrong(f"{_place(min(len(answers) + 1, num_tests), num_tests)}: {_failure(run)}")
    if len(answers) != num_tests:
        return wrong(f"ended with {len(answers)} of {num_tests} values")
    return right(f"all {num_tests} tests")


def _expected_value(value: Any, expected: Any, wrapped: bool) -> bool:
    if same_value(value, expected):
        return True
    return wrapped and isinstance(expected, list) and len(expected) == 1 and same_value(value, expected[0])


def same_value(value: Any, expected: Any) -> bool:
    """Whether plain data is the expected JSON value, as this file's docstring says."""
    if isinstance(expected, list | tuple):
        same_length = isinstance(value, list | tuple) and len(value) == len(expected)
        return same_length and all(map(same_value, value, expected))
    if isinstance(expected, dict):
        if not isinstance(value, dict):
            return False
        named, wanted = ({str(key): item for key, item in pairs.items()} for pairs in (value, expected))
        return named.keys() == wanted.keys() and all(same_value(named[key], wanted[key]) for key in wanted)
    if isinstance(expected, float) or isinstance(value, float):
        numbers = isinstance(value, int | float) and isinstance(expected, int | float)
        return numbers and (_close(value, expected) or (value != value and expected != expected))
    return type(value) in (type(expected), bool, int) and value == expected


def _grade_asserts(source: str, problem: CodeProblem, sandbox: Sandbox, limits: Limits) -> Outcome:
    calls = json.loads(_CALLS.get(problem, lambda: _collected(problem, sandbox)))
    answers, run = _answers(source, problem.function, calls, sandbox, limits, go_on=True)
    if run.status is not Status.OK:
        return wrong(f"{_place(min(len(answers) + 1, len(calls)), len(calls))}: {_failure(run)}")
    if len(answers) != len(calls):
        return wrong(f"ended with {len(answers)} of {len(calls)} values")
    verdict = _drive(_test_request("replay", problem) | {"calls": calls, "answers": answers}, sandbox, Limits())
    if verdict.status is Status.OK and "passed" in verdict.stdout:
        return right(f"all tests ({len(calls)} calls)")
    if verdict.exit_code == code_driver.UNFORESEEN:
        raise _Untestable("the calls they make depend on the answers")
    if verdict.status is Status.OK:
        return wrong("tests: they ended early")
    if verdict.status in (Status.ERROR, Status.MEMORY):  # also a MemoryError that the program raised, or spelled
        raised = next((answer["raised"] for answer in answers if "raised" in answer), None)
        return wrong(f"tests: {_failure(verdict)}{f' after {raised}' if raised else ''}")
    raise SandboxFault(f"the tests took too much: {_failure(verdict)}")


_CALLS: Remembered[CodeProblem, str] = Remembered(256)


def _collected(problem: CodeProblem, sandbox: Sandbox) -> str:
    """The calls that test code makes, as JSON. They do not depend on the program."""
    run = _drive(_test_request("collect", problem), sandbox, Limits())
    if run.exit_code == code_driver.UNFORESEEN:
        raise _Untestable("they use arguments that are no plain data, or arguments by name")
    if run.status is not Status.OK:
        raise _Untestable(f"they cannot be run apart from the program ({_failure(run)})")
    calls = [answer["value"] for answer in map(json.loads, run.stdout.splitlines())]
    if not calls:
        raise _Untestable(f"they never call {problem.function}")
    return json.dumps(calls)


def _test_request(mode: str, problem: CodeProblem) -> dict[str, Any]:
    return {"mode": mode, "test": problem.test, "helpers": problem.helpers, "function": problem.function}


def _answers(
    source: str, function: str, calls: list[Any], sandbox: Sandbox, limits: Limits, *, go_on: bool
) -> tuple[list[dict[str, Any]], Run]:
    """What the program's function returned for each call that it reached, and how the program ended."""
    shares = max(1, min(len(calls), _MAX_SHARES))
    limits = replace(limits, cpu_seconds=limits.cpu_seconds * shares, wall_seconds=limits.wall_seconds * shares)
    encoded = calls if go_on else [code_driver.encode(arguments) for arguments in calls]
    request = {"mode": "call", "source": source, "function": function, "calls": encoded, "go_on": go_on}
    run = _drive(request, sandbox, limits)
    return [answer for line in run.stdout.splitlines() if (answer := _answer(line)) is not None], run


def _answer(line: str) -> dict[str, Any] | None:
    """A line that the driver wrote; None if it was cut off or written by the program."""
    try:
        answer = json.loads(line)
        if isinstance(answer, dict) and len(answer) == 1 and set(answer) <= {"value", "odd", "raised"}:
            decode(answer.get("value"))
            return {name: value if name == "value" else str(value) for name, value in answer.items()}
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def _drive(request: dict[str, Any], sandbox: Sandbox, limits: Limits) -> Run:
    text = json.dumps(request)
    limits = replace(limits, output_bytes=max(limits.output_bytes, _CALLS_OUTPUT_BYTES))
    with closing(sandbox.runs(_driver_source(), [text], limits)) as runs:
        return next(runs)


@lru_cache(maxsize=1)
def _driver_source() -> str:
    return Path(code_driver.__file__).read_text(encoding="utf-8")


def _place(number: int, num_tests: int) -> str:
    return f"test {number} of {num_tests}"


_FAILURES = {Status.TIME: "time limit", Status.MEMORY: "memory limit", Status.OUTPUT: "output limit"}


def _failure(run: Run) -> str:
    if run.status in _FAILURES:
        return _FAILURES[run.status]
    if run.exit_code < 0:
        return f"ended by signal {-run.exit_code}"
    last_line = run.stderr.strip().rpartition("\n")[2]
    kind = re.match(r"[A-Za-z_][\w.]*", last_line)
    return f"runtime error: {kind[0]}" if kind else f"exit code {run.exit_code}"
