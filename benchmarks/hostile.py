"""Grades every hostile program of the tests at every level that this machine has: none may pass, none may survive.

    python benchmarks/hostile.py [LEVEL ...]

The programs are those in `tests/tasks/hostile/` and `tests/tasks/hostile_attempts.py`, each graded as a response of its
own; an attempt that succeeds would solve its problem. At the level `weak`, attempts on files are left out: there,
programs can use every file that all users can. The most that one program had on the disk at a time is measured, too.
"""

import os
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.sandbox.limits import Limits
from uniopd_mm.tasks.sandbox.local import Level, LocalSandbox
from uniopd_mm.types import Outcome, UserError

TESTS = Path(__file__).parents[1] / "tests" / "tasks"
sys.path.insert(0, str(TESTS))
from hostile_attempts import CALLS, FILES, VALUES, answering, attempting  # noqa: E402

LIMITS = Limits(cpu_seconds=1, wall_seconds=1.5, memory_bytes=1 << 29)
PROBLEMS = {
    "stdin": CodeProblem(mode=Mode.STDIN, tests=(("3 4", "7"), ("9000 173", "9173"))),
    "call": CodeProblem(mode=Mode.CALL, tests=(([3, 4], 7), ([9000, 173], 9173)), function="add"),
    "asserts": CodeProblem(
        mode=Mode.ASSERTS, function="add", test="assert add(3, 4) == 7\nassert add(9000, 173) == 9173"
    ),
}


def programs(level: str) -> dict[str, tuple[str, CodeProblem]]:
    """Source and problem by name."""
    found = {}
    for file in sorted((TESTS / "hostile").glob("*.py")):
        source = file.read_text()
        found[file.stem] = (source, PROBLEMS[source.splitlines()[0].removeprefix("# mode: ")])
    attempts = CALLS if level == Level.WEAK else {**CALLS, **FILES}
    found |= {name: (attempting(code), PROBLEMS["stdin"]) for name, code in attempts.items()}
    for mode in ("call", "asserts"):
        found |= {f"{name}, {mode}": (answering(value), PROBLEMS[mode]) for name, value in VALUES.items()}
    return found


class Disk:
    """Watches what programs have on the disk, as far as it has a name."""

    def __init__(self) -> None:
        self.most = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "Disk":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.01):
            self.most = max(self.most, sum(map(_size, Path(tempfile.gettempdir()).glob("uniopd-sandbox-*"))))


def _size(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{parent}/{name}").st_blocks * 512
            except OSError:
                continue
    return total


def left_over() -> int:
    """Wardens and programs that still run."""
    commands = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_bytes())
        except OSError:
            continue
    return sum(b"sandbox.inside.warden" in command for command in commands)


def main() -> None:
    """Print the figures; exit status 1 if a program passed or survived."""
    failed = False
    for level in sys.argv[1:] or list(Level):
        sandbox = LocalSandbox(level=level, allow_weak=True, max_running=2)
        try:
            assert sandbox.level == level
        except UserError as error:
            print(f"{level}: not on this machine ({str(error)[:160]})")
            continue
        named, began = programs(level), time.perf_counter()
        sources, problems = zip(*named.values(), strict=True)
        with Disk() as disk, ThreadPoolExecutor(2) as pool:
            graded = pool.map(partial(_graded, sandbox), sources, problems)
            outcomes = dict(zip(named, graded, strict=True))
        time.sleep(1)
        counts = Counter(str(outcome.correct) for outcome in outcomes.values())
        print(
            f"{level}: {len(named)} hostile programs in {time.perf_counter() - began:.0f} s: {counts['True']} right, "
            f"{counts['False']} wrong, {counts['None']} unknown; {left_over()} survivors; "
            f"at most {disk.most / 2**20:.0f} MiB on the disk"
        )
        for name, outcome in outcomes.items():
            if outcome.correct is not False:
                print(f"    {name}: {outcome}")
        failed = failed or counts["True"] > 0 or left_over() > 0
    sys.exit(failed)


def _graded(sandbox: LocalSandbox, source: str, problem: CodeProblem) -> Outcome:
    return grade_code(f"```python\n{source}\n```", problem, sandbox, limits=LIMITS)


if __name__ == "__main__":
    main()
