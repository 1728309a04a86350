"""Programs that cheat, attack or outlive: none passes, none survives, nothing of ours changes, and honest ones still
pass afterwards."""

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hostile_attempts import CALLS, FILES, VALUES, attempting

from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.sandbox.limits import Limits
from uniopd_mm.tasks.sandbox.local import Level, LocalSandbox
from uniopd_mm.types import Outcome, UserError

PROGRAMS = {file.stem: file.read_text() for file in sorted((Path(__file__).parent / "hostile").glob("*.py"))}
PROCESS_PROGRAMS = ("fork_bomb", "daemon", "zombies", "exec_other", "kill_all", "endless_loop", "system_calls")
# They end by their CPU time or sleep, which works alike at all levels; benchmarks/hostile.py runs them at each.
SPINNING = ("thread_bomb", "sleeper", "allocate_slowly", "endless_loop", "threads_left", "raise_limits")
PROBLEMS = {
    "stdin": CodeProblem(mode=Mode.STDIN, tests=(("3 4", "7"), ("9000 173", "9173"))),
    "call": CodeProblem(mode=Mode.CALL, tests=(([3, 4], 7), ([9000, 173], 9173)), function="add"),
    "asserts": CodeProblem(
        mode=Mode.ASSERTS,
        function="add",
        test="assert add(3, 4) == 7\nassert all(add(9000, b) == 9000 + b for b in (173, 174))",
    ),
}
HONEST = {
    "stdin": "print(sum(map(int, input().split())))",
    "call": "class Solution:\n    def add(self, a, b):\n        return a + b",
    "asserts": "def add(a, b):\n    return a + b",
}
MAY_START_OTHERS = ("fork", "spawn", "run another")
SECRET = "uniopd-secret-9173"
LIMITS = Limits(cpu_seconds=1, wall_seconds=1.0, memory_bytes=1 << 29)
STRICT = [level for level in Level if level is not Level.WEAK]


def usable(level: Level) -> LocalSandbox:
    sandbox = LocalSandbox(level=level, max_running=4, allow_weak=level is Level.WEAK)
    try:
        assert sandbox.level == level
    except UserError as error:
        pytest.skip(str(error))
    return sandbox


def graded(source: str, mode: str, sandbox: LocalSandbox, limits: Limits = LIMITS) -> Outcome:
    return grade_code(f"```python\n{source}\n```", PROBLEMS[mode], sandbox, limits=limits)


def mode_of(source: str) -> str:
    return source.splitlines()[0].removeprefix("# mode: ")


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with the answers where programs would look for it, and a secret in the environment."""
    monkeypatch.setenv("UNIOPD_SECRET", SECRET)
    with tempfile.NamedTemporaryFile("w", prefix="uniopd-answers-") as file:
        file.write(f"7 9173 {SECRET}")
        file.flush()
        os.chmod(file.name, 0o666)
        yield Path(file.name)


def left_over() -> list[int]:
    """Processes of a sandbox that are children of this process or of nobody."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{name}/cmdline").read_bytes()
            parent = int(Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"sandbox.inside.warden" in command and parent in (1, os.getpid()):
            found.append(int(name))
    return found


def leavings() -> set[str]:
    """What programs that got out would have written, and folders of this process that stayed."""
    folders = ("/", "/tmp", "/var/tmp", "/dev/shm", "/root", "/home", "/etc", "/usr/lib", tempfile.gettempdir())
    names = {f"{folder}/{name}" for folder in folders if os.access(folder, os.R_OK) for name in os.listdir(folder)}
    return {name for name in names if "uniopd-hostile" in name or f"uniopd-sandbox-{os.getpid()}-" in name}


def check_outcomes(sandbox: LocalSandbox, names: list[str], limits: Limits) -> None:
    with ThreadPoolExecutor(4) as pool:
        outcomes = pool.map(lambda name: graded(PROGRAMS[name], mode_of(PROGRAMS[name]), sandbox, limits), names)
        for name, outcome in zip(names, outcomes, strict=True):
            assert outcome.correct is False, (name, outcome)
            assert SECRET not in outcome.reason, (name, outcome)


def check_nothing_left(before: set[str], canary: Path) -> None:
    deadline = time.monotonic() + 60
    while left_over() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left_over() == []
    assert leavings() - before == set()
    assert canary.read_text() == f"7 9173 {SECRET}"
    assert canary.stat().st_mode & 0o777 == 0o666


def test_there_are_more_than_120_of_them() -> None:
    assert len(PROGRAMS) + len(CALLS) + len(FILES) + len(VALUES) >= 120
    assert {mode_of(source) for source in PROGRAMS.values()} == set(PROBLEMS)


@pytest.mark.parametrize("level", STRICT)
def test_none_passes_none_survives_and_honest_ones_still_pass(level: Level, canary: Path) -> None:
    sandbox, before = usable(level), leavings()
    strictest = level == LocalSandbox().level
    check_outcomes(sandbox, [name for name in PROGRAMS if strictest or name not in SPINNING], LIMITS)
    check_nothing_left(before, canary)
    for mode, source in HONEST.items():
        assert graded(source, mode, sandbox, Limits()).correct is True, mode


@pytest.mark.parametrize("level", STRICT)
def test_nor_where_programs_may_start_others(level: Level, canary: Path) -> None:
    """Then it is not the filter of system calls that holds them, but what finds and ends processes."""
    if level is Level.BUBBLEWRAP and os.geteuid() == 0:
        pytest.skip("refused there: see test_sandbox")
    sandbox, before = usable(level), leavings()
    limits = Limits(cpu_seconds=1, wall_seconds=1.0, memory_bytes=1 << 28, processes=16)
    check_outcomes(sandbox, list(PROCESS_PROGRAMS), limits)
    check_nothing_left(before, canary)


@pytest.mark.parametrize("level", Level)
def test_no_attempt_succeeds(level: Level, canary: Path) -> None:
    """Each attempt is the input of one program that runs it: as hostile, and quicker than as a program of its own. At
    the level `weak`, programs can use the files that everybody can."""
    sandbox, before = usable(level), leavings()
    attempts = CALLS if level is Level.WEAK else {**CALLS, **FILES}
    source = "import io, sys\ncode = sys.stdin.read()\nsys.stdin = io.StringIO('3 4')\nexec(code)"
    for processes in (1, 4) if level is Level.RLIMITS else (1,):
        tried = {name: code for name, code in attempts.items() if processes == 1 or name not in MAY_START_OTHERS}
        runs = sandbox.runs(source, map(attempting, tried.values()), replace(LIMITS, processes=processes))
        for name, run in zip(tried, runs, strict=True):
            assert "7" not in run.stdout, (name, run)
    check_nothing_left(before, canary)
