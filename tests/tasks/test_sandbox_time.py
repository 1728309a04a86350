"""CPU time and sleep decide about a program; that a machine is slow or busy never makes a right program wrong."""

import os
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import final

import pytest
from throttle import throttled

from uniopd_mm.tasks.benchmarks import programs
from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.sandbox.limits import Limits, Run, Status
from uniopd_mm.tasks.sandbox.local import Level, LocalSandbox
from uniopd_mm.types import UserError

STRICT = [level for level in Level if level is not Level.WEAK]
# 0.1 seconds of CPU time, which are 1 second at a tenth of a core.
BUSY = "import time\nwhile time.process_time() < 0.1: pass\n"
PROBLEMS = {
    "stdin": (CodeProblem(mode=Mode.STDIN, tests=(("3 4", "7"),)), BUSY + "print(sum(map(int, input().split())))"),
    "call": (
        CodeProblem(mode=Mode.CALL, tests=(([3, 4], 7),), function="add"),
        BUSY + "def add(a, b): return a + b",
    ),
    "asserts": (
        CodeProblem(mode=Mode.ASSERTS, function="add", test="assert add(3, 4) == 7"),
        BUSY + "def add(a, b): return a + b",
    ),
}


@pytest.fixture(scope="module", params=STRICT)
def sandbox(request: pytest.FixtureRequest) -> LocalSandbox:
    sandbox = LocalSandbox(level=request.param, packages=())
    try:
        assert sandbox.level == request.param
    except UserError as error:
        pytest.skip(str(error))
    return sandbox


def run(sandbox: LocalSandbox, source: str, limits: Limits) -> Run:
    with closing(sandbox.runs(source, [""], limits)) as runs:
        return next(runs)


def test_right_programs_stay_right_at_a_tenth_of_a_core(sandbox: LocalSandbox) -> None:
    """Each takes about twice `wall_seconds`, which once made it wrong."""
    limits = Limits(cpu_seconds=1, wall_seconds=0.5)
    with throttled(0.1), ThreadPoolExecutor(3) as threads:
        graded = {
            name: threads.submit(grade_code, f"```python\n{source}\n```", problem, sandbox, limits=limits)
            for name, (problem, source) in PROBLEMS.items()
        }
        outcomes = {name: outcome.result() for name, outcome in graded.items()}
    assert [outcome.correct for outcome in outcomes.values()] == [True] * 3, outcomes


def test_a_program_that_gets_no_processor_is_unknown(sandbox: LocalSandbox) -> None:
    source = "import time\nwhile time.process_time() < 0.6: pass"
    with throttled(0.05):
        result = run(sandbox, source, Limits(cpu_seconds=2, wall_seconds=0.15))
    assert (result.status, result.asleep) == (Status.STALLED, 0.0)


@pytest.mark.parametrize(
    "source",
    [
        "import time\nwhile True: time.sleep(0.001)",
        "import os\nos.read(os.pipe()[0], 1)",
        "import threading, time\nfor _ in range(3): threading.Thread(target=time.sleep, args=(60,)).start()",
    ],
)
def test_a_program_that_waits_for_nothing_slept(sandbox: LocalSandbox, source: str) -> None:
    result = run(sandbox, source, Limits(wall_seconds=0.3))
    assert result.status is Status.SLEPT
    assert 0.3 < result.asleep < 3


def test_time_asleep_is_counted_where_it_is_allowed(sandbox: LocalSandbox) -> None:
    result = run(sandbox, "import time\ntime.sleep(1.2)\nprint(7)", Limits())
    assert (result.status, result.stdout) == (Status.OK, "7\n")
    assert 0.4 < result.asleep < 1.5


def test_the_cpu_time_of_all_processes_counts(sandbox: LocalSandbox) -> None:
    """None of them reaches the limit alone."""
    if sandbox.level == "bubblewrap" and os.geteuid() == 0:
        pytest.skip("only one process is allowed there")
    source = (
        "import os, time\nfor _ in range(3): os.fork()\nend = time.process_time() + 0.8\n"
        "while time.process_time() < end: pass\ntime.sleep(60)"
    )
    assert run(sandbox, source, Limits(cpu_seconds=1, processes=16)).status is Status.TIME


@final
class Starved:
    """A sandbox whose programs get no processor."""

    level = "none"

    def runs(self, source: str, inputs: Iterable[str], limits: Limits) -> Generator[Run, None, None]:
        for _ in inputs:
            yield Run(status=Status.STALLED, exit_code=-9, stdout="", stderr="")


ROWS = {
    "humaneval_plus": {
        "prompt": "def add(a, b):\n    pass\n",
        "entry_point": "add",
        "test": "def check(candidate):\n    assert candidate(3, 4) == 7",
    },
    "mbpp_plus": {"prompt": "Add.", "code": "def add(a, b): return a + b", "test": "assert add(3, 4) == 7"},
    "livecodebench": {
        "question_content": "Add.",
        "public_test_cases": '[{"input": "3 4", "output": "7", "testtype": "stdin"}]',
    },
}


@pytest.mark.parametrize("name", ROWS)
def test_benchmarks_take_the_same_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = programs.unpacked(ROWS[name])
    response = f"```python\n{PROBLEMS['stdin' if name == 'livecodebench' else 'call'][1]}\n```"
    assert programs.grade(problem, response).correct is True
    monkeypatch.setattr(programs, "_SANDBOX", Starved())
    outcome = programs.grade(problem, response)
    assert outcome.correct is None
    assert "waited for a processor" in outcome.reason or "processor time" in outcome.reason, outcome
