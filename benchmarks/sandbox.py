"""Seconds to judge 1,000 short programs.

    python benchmarks/sandbox.py [LEVEL]

All programs differ. Each is judged on three tests, alternately by its output and by what its function returns; one in
ten is wrong. All cores of this machine are used, as by a trainer's pool of threads. The median time of one further run
of a program is the cost of each additional test. Not measured: programs that compute for long, which take their own
time.
"""

import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.sandbox.limits import Limits
from uniopd_mm.tasks.sandbox.local import LocalSandbox

NUM_PROGRAMS = 1000
NUM_RUNS = 50
LIMIT = 60.0  # seconds


def judged(number: int, sandbox: LocalSandbox) -> bool:
    """Judge one program. Returns whether the verdict is correct."""
    correct = number % 10 != 0
    summed = f"{number} + {'x' if correct else 1}"
    if number % 2:
        source = f"x = int(input())\nprint({summed})"
        tests = tuple((str(x), str(number + x)) for x in (2, 3, 4))
        problem = CodeProblem(mode=Mode.STDIN, tests=tests)
    else:
        source = f"class Solution:\n    def f(self, x: int) -> List[int]:\n        return [{summed}]"
        problem = CodeProblem(mode=Mode.CALL, tests=tuple(([x], [number + x]) for x in (2, 3, 4)), function="f")
    return grade_code(f"```python\n{source}\n```", problem, sandbox).correct is correct


def seconds_of_a_run(sandbox: LocalSandbox) -> float:
    """Median wall seconds of one further run of the same program."""
    seconds = []
    runs = sandbox.runs("print(input())", ["7"] * (NUM_RUNS + 1), Limits())
    next(runs)
    for _ in range(NUM_RUNS):
        began = time.perf_counter()
        next(runs)
        seconds.append(time.perf_counter() - began)
    runs.close()
    return statistics.median(seconds)


def main() -> None:
    """Print the figures; exit status 1 above the limit, or for a wrong verdict."""
    sandbox = LocalSandbox(level=sys.argv[1] if len(sys.argv) > 1 else None)
    num_cores = len(os.sched_getaffinity(0))
    print(f"level {sandbox.level}, {num_cores} cores")
    began = time.perf_counter()
    with ThreadPoolExecutor(2 * num_cores) as pool:
        verdicts = list(pool.map(lambda number: judged(number, sandbox), range(NUM_PROGRAMS)))
    seconds = time.perf_counter() - began
    print(f"{NUM_PROGRAMS:,} programs with 3 tests each: {seconds:.1f} s ({NUM_PROGRAMS / seconds:.0f} per second)")
    print(f"one further run of a program: {seconds_of_a_run(sandbox) * 1e3:.1f} ms")
    print(f"correct verdicts: {sum(verdicts):,}")
    sys.exit(seconds > LIMIT or not all(verdicts))


if __name__ == "__main__":
    main()
