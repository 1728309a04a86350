"""Grading one answer never holds up the other threads of the trainer's process for long, whatever the answer is.

A thread that only ticks measures it, in the CPU time of this process: other processes on the machine do not count. A
grader that computes for long in Python code lets the ticks through; a single long call into C does not.
"""

import threading
import time
from collections.abc import Callable
from functools import partial

import pytest
from hostile_attempts import VALUES, answering

from uniopd_mm.tasks.grading.answers import grade_open, wrong
from uniopd_mm.tasks.grading.chart_answers import grade_relaxed
from uniopd_mm.tasks.grading.choices import grade_choice
from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_blocks import extract_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.grading.document_answers import grade_anls
from uniopd_mm.tasks.grading.math_answers import grade_math
from uniopd_mm.tasks.grading.vqa_answers import grade_vqa
from uniopd_mm.tasks.sandbox.limits import Limits
from uniopd_mm.tasks.sandbox.local import LocalSandbox
from uniopd_mm.types import Outcome

LONGEST = 0.2  # seconds


def held(grade: Callable[[], Outcome]) -> tuple[Outcome, float]:
    """The outcome, and the most CPU seconds of this process between two ticks."""
    longest, last, done = 0.0, time.process_time(), threading.Event()

    def tick() -> None:
        nonlocal longest, last
        while not done.wait(0.002):
            now = time.process_time()
            longest, last = max(longest, now - last), now

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        outcome = grade()
    finally:
        done.set()
        ticker.join()
    return outcome, max(longest, time.process_time() - last)


GRADERS: dict[str, Callable[[str], Outcome]] = {
    "open": lambda text: grade_open(text, "red"),
    "choice": lambda text: grade_choice(text, "C", ["red", "blue", "green"]),
    "math": lambda text: grade_math(text, r"2\sqrt{2}"),
    "chart": lambda text: grade_relaxed(text, "[1.5, 2.5]"),
    "document": lambda text: grade_anls(text, ["Hello World", "x" * 2000]),
    "vqa": lambda text: grade_vqa(text, ["two", "2", "two"]),
    "code": lambda text: wrong(f"{len(extract_code('  ```python' + text, 'add') or '')}"),
}
MEGABYTE = 1 << 20
UNITS = (" ", "!", "\ufdfa", "{", "answer is ", "1, ", "B. ", "\t\n")
TEXTS = {repr(unit): (unit * (MEGABYTE // len(unit)))[:MEGABYTE] for unit in UNITS}


@pytest.mark.parametrize("name", GRADERS)
def test_a_megabyte_of_anything_is_graded_without_holding_up_others(name: str) -> None:
    for shown, text in TEXTS.items():
        for response in (text, rf"\boxed{{{text}}}"):
            outcome, seconds = held(partial(GRADERS[name], response))
            assert outcome.correct is not True, (shown, outcome)
            assert seconds < LONGEST, (shown, response[:20], seconds)


CALL = CodeProblem(mode=Mode.CALL, tests=(([3, 4], 7), ([9000, 173], 9173)), function="add")
ASSERTS = CodeProblem(mode=Mode.ASSERTS, function="add", test="assert add(3, 4) == 7\nassert add(9000, 173) == 9173")
STDIN = CodeProblem(mode=Mode.STDIN, tests=(("3 4", "1.0 " * 200_000),))


@pytest.fixture(scope="module")
def sandbox() -> LocalSandbox:
    return LocalSandbox(packages=())


@pytest.mark.parametrize("problem", [CALL, ASSERTS], ids=["call", "asserts"])
def test_hostile_values_are_read_in_the_sandbox(problem: CodeProblem, sandbox: LocalSandbox) -> None:
    for name in ("many tuples", "a long text") if problem is CALL else ("a long text",):
        source = f"```python\n{answering(VALUES[name])}\n```"
        outcome, seconds = held(
            lambda source=source: grade_code(source, problem, sandbox, limits=Limits(cpu_seconds=1))
        )
        assert outcome.correct is False, (name, outcome)
        assert seconds < LONGEST, name


# Quick to write, and slow or impossible to read.
RAW = {
    "nests": "b'[' * (15 << 20)",
    "no text": "b'\\xff' * (15 << 20)",
    "a nested answer": 'b\'{"value": \' + b"[" * (7 << 20) + b"]" * (7 << 20) + b"}\\n"',
    "many lines": "b'{}\\n' * (4 << 20)",
    "colliding set": """('{"value": {"t": "set", "v": %s}}\\n' % [n * (2**61 - 1) for n in range(200000)]).encode()""",
}


@pytest.mark.parametrize("raw", RAW)
def test_so_is_what_a_program_writes_past_the_driver(raw: str, sandbox: LocalSandbox) -> None:
    source = (
        "```python\nimport os, stat\n"
        "answers = next(fd for fd in range(3, 64) if stat.S_ISFIFO(os.fstat(fd).st_mode))\n"
        f"def add(a, b):\n    content = memoryview({RAW[raw]})\n    while content:\n"
        "        content = content[os.write(answers, content):]\n    os._exit(0)\n```"
    )
    outcome, seconds = held(lambda: grade_code(source, CALL, sandbox, limits=Limits(cpu_seconds=1)))
    assert outcome.correct is False, outcome
    assert seconds < LONGEST
    if raw == "colliding set":
        assert outcome.reason == "its values take too long to compare, or too much memory"


def test_outputs_of_a_megabyte_are_compared_without_holding_up_others(sandbox: LocalSandbox) -> None:
    source = "```python\nprint('1 ' * 200_000)\n```"
    outcome, seconds = held(lambda: grade_code(source, STDIN, sandbox))
    assert outcome.correct is True
    assert seconds < LONGEST
    _, seconds = held(lambda: grade_code("```python\nprint('9' * 1_000_000)\n```", STDIN, sandbox))
    assert seconds < LONGEST
