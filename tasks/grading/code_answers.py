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

The process that runs the program never contains expected values, and what it reports is read in another process of
the sandbox, with the program's limits: colliding hashes or a million lists do not hold up this one. Only outputs of
`stdin` are compared here, in time linear in their length.

CPU time decides, and so does time asleep. All inputs of a response together have TOTAL_SECONDS of CPU time, and twice
that for computing and sleeping; what exceeds them is wrong. Wall time alone decides nothing, because a program may have
waited for a processor: what does not end in PATIENCE times its time is unknown. The wait for a free core of this
machine does not count. Calls share one process, and its limits bound them.
"""

import json
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from uniopd_mm.tasks.grading import code_driver, code_values
from uniopd_mm.tasks.grading.answers import right, unknown, wrong
from uniopd_mm.tasks.grading.code_blocks import extract_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.grading.code_values import close_to, encode
from uniopd_mm.tasks.grading.remembered import Remembered
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.tasks.sandbox.limits import PATIENCE, Limits, Run, Sandbox, SandboxFault, Status
from uniopd_mm.types import Outcome

TOTAL_SECONDS = 60.0
_MAX_SHARES = 5  # calls of one program share a process; together they have the time of this many inputs at most
_CALLS_OUTPUT_BYTES = 16 << 20
_REPORT_CHARACTERS = 10_000


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
    began = cpu_seconds = asleep = wall_seconds = 0.0

    def inputs() -> Iterator[str]:
        nonlocal began
        for given, _ in tests:
            began = time.monotonic()  # a sandbox asks for an input when it can run the program
            yield given

    with closing(sandbox.runs(source, inputs(), limits)) as runs:
        for number, (run, (_, expected)) in enumerate(zip(runs, tests, strict=True), start=1):
            if run.status is not Status.OK:
                return _failed(_place(number, len(tests)), run)
            if not same_output(run.stdout, expected):
                return wrong(f"{_place(number, len(tests))}: wrong output {quote(run.stdout)}")
            cpu_seconds, asleep = cpu_seconds + run.seconds, asleep + run.asleep
            wall_seconds += time.monotonic() - began
            if number < len(tests) and (cpu_seconds > total_seconds or cpu_seconds + asleep > 2 * total_seconds):
                return wrong(f"time limit over all tests, after {number} of {len(tests)}")
            if number < len(tests) and wall_seconds > PATIENCE * total_seconds:
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
    return close_to(float(word), float(wanted))


def _grade_calls(source: str, problem: CodeProblem, sandbox: Sandbox, limits: Limits) -> Outcome:
    num_tests = len(problem.tests)
    calls = [encode(arguments) for arguments, _ in problem.tests]
    expected = {"mode": "compare", "expected": [value for _, value in problem.tests], "wrapped": problem.wrapped}
    run, verdict = _driven(_call(source, problem, calls, go_on=False), expected, sandbox, _shared(limits, len(calls)))
    if verdict.status in (Status.TIME, Status.MEMORY):
        return wrong("its values take too long to compare, or too much memory")
    found = _reports(verdict)
    if verdict.status is not Status.OK or not found:
        raise SandboxFault(f"the values could not be compared: {_failure(verdict)}")
    if "wrong" in found[0]:
        place, shown = _place(found[0]["wrong"] + 1, num_tests), quote(found[0]["shown"])
        odd = found[0]["kind"] == "odd"
        return wrong(f"{place}: returned a {shown}, which is no plain data" if odd else f"{place}: wrong value {shown}")
    count = found[0]["count"]
    if run.status is not Status.OK:
        return _failed(_place(min(count + 1, num_tests), num_tests), run)
    if count != num_tests:
        return wrong(f"ended with {count} of {num_tests} values")
    return right(f"all {num_tests} tests")


def _grade_asserts(source: str, problem: CodeProblem, sandbox: Sandbox, limits: Limits) -> Outcome:
    calls = json.loads(_CALLS.get(problem, lambda: _collected(problem, sandbox)))
    run = _drive(json.dumps(_call(source, problem, calls, go_on=True)), sandbox, _shared(limits, len(calls)))
    if run.status is not Status.OK:
        return _failed(_place(min(run.stdout.count("\n") + 1, len(calls)), len(calls)), run)
    request = json.dumps(_test_request("replay", problem) | {"calls": calls})
    verdict = _drive(f"{request}\n{run.stdout}", sandbox, Limits())
    found = _reports(verdict)
    if found and found[0]["count"] != len(calls):
        return wrong(f"ended with {found[0]['count']} of {len(calls)} values")
    if verdict.status is Status.OK and found and "passed" in found[-1]:
        return right(f"all tests ({len(calls)} calls)")
    if verdict.exit_code == code_driver.UNFORESEEN:
        raise _Untestable("the calls they make depend on the answers")
    if not found and verdict.status in (Status.TIME, Status.MEMORY):
        return wrong("its values take too long to read, or too much memory")
    if verdict.status is Status.OK:
        return wrong("tests: they ended early")
    if verdict.status in (Status.ERROR, Status.MEMORY):  # also a MemoryError that the program raised, or spelled
        raised = found[0]["raised"] if found else None
        return wrong(f"tests: {_failure(verdict)}{f' after {raised}' if raised else ''}")
    raise SandboxFault(f"the tests took too much: {_failure(verdict)}")


_CALLS: Remembered[CodeProblem, str] = Remembered(256)


def _collected(problem: CodeProblem, sandbox: Sandbox) -> str:
    """The calls that test code makes, as JSON. They do not depend on the program."""
    run = _drive(json.dumps(_test_request("collect", problem)), sandbox, Limits())
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


def _call(source: str, problem: CodeProblem, calls: list[Any], *, go_on: bool) -> dict[str, Any]:
    return {"mode": "call", "source": source, "function": problem.function, "calls": calls, "go_on": go_on}


def _shared(limits: Limits, num_calls: int) -> Limits:
    """The limits of a process that makes all calls."""
    shares = max(1, min(num_calls, _MAX_SHARES))
    return replace(limits, cpu_seconds=limits.cpu_seconds * shares, wall_seconds=limits.wall_seconds * shares)


def _driven(call: dict[str, Any], then: dict[str, Any], sandbox: Sandbox, limits: Limits) -> tuple[Run, Run]:
    """The runs of two requests. The second is sent what the first run wrote."""
    done: list[Run] = []

    def inputs() -> Iterator[str]:
        yield json.dumps(call)
        yield f"{json.dumps(then)}\n{done[0].stdout}"

    with closing(sandbox.runs(_driver_source(), inputs(), _roomy(limits))) as runs:
        done.append(next(runs))
        return done[0], next(runs)


def _drive(request: str, sandbox: Sandbox, limits: Limits) -> Run:
    with closing(sandbox.runs(_driver_source(), [request], _roomy(limits))) as runs:
        return next(runs)


def _roomy(limits: Limits) -> Limits:
    return replace(limits, output_bytes=max(limits.output_bytes, _CALLS_OUTPUT_BYTES))


def _reports(run: Run) -> list[dict[str, Any]]:
    """What `compare` or `replay` reported."""
    return [json.loads(line) for line in run.stdout[:_REPORT_CHARACTERS].splitlines()]


@lru_cache(maxsize=1)
def _driver_source() -> str:
    values, driver = (Path(str(part.__file__)).read_text(encoding="utf-8") for part in (code_values, code_driver))
    kept = [line for line in driver.splitlines() if not line.startswith("from uniopd_mm.")]
    return "\n".join([values, *kept])


def _place(number: int, num_tests: int) -> str:
    return f"test {number} of {num_tests}"


def _failed(place: str, run: Run) -> Outcome:
    """The outcome of a run that is not OK."""
    if run.status is Status.STALLED:
        return unknown(f"{place}: did not end in time, but may have waited for a processor")
    return wrong(f"{place}: {_failure(run)}")


_FAILURES = {
    Status.TIME: "time limit",
    Status.SLEPT: "slept beyond the time limit",
    Status.STALLED: "no processor time",
    Status.MEMORY: "memory limit",
    Status.OUTPUT: "output limit",
}


def _failure(run: Run) -> str:
    if run.status in _FAILURES:
        return _FAILURES[run.status]
    if run.exit_code < 0:
        return f"ended by signal {-run.exit_code}"
    last_line = run.stderr.strip().rpartition("\n")[2]
    kind = re.match(r"[A-Za-z_][\w.]*", last_line)
    return f"runtime error: {kind[0]}" if kind else f"exit code {run.exit_code}"
