"""How many of 1,000 right programs are graded wrong or unknown at a CPU quota of 10 %.

    python benchmarks/quota.py [NUM_PROGRAMS] [FIRST]

The programs compute for up to half of their CPU limit, print much, start threads or sleep for a moment, and are tested
by their output, by what a function returns and by test code in turn. As root, the script puts itself under the quota (a
control group, version 1 or 2). Elsewhere, run it in a container with that quota: `docker run --cpus 0.1 …`. A range of
programs, from number FIRST on, can be run beside others. Not measured: wrong programs.
"""

import os
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.sandbox.cores import cores_of_this_rank, quota
from uniopd_mm.tasks.sandbox.limits import Limits
from uniopd_mm.tasks.sandbox.local import LocalSandbox

NUM_PROGRAMS = 1000
QUOTA = 0.1
PERIOD = 100_000  # microseconds
LIMITS = Limits(cpu_seconds=1, wall_seconds=1.0)
MOST_WRONG = 1
# What a program does first; the longest takes half of its CPU limit, which is five times its `wall_seconds` here.
WORK = (
    "pass",
    "import time\nwhile time.process_time() < 0.05: pass",
    "import time\ntime.sleep(0.2)",
    "x = sorted(str(i) for i in range(30_000))",
    "import threading\nthreads = [threading.Thread(target=sum, args=(range(300_000),)) for _ in range(4)]\n"
    "[t.start() for t in threads]\n[t.join() for t in threads]",
    "import sys\nsys.stderr.write('x' * 200_000)",
    "open('file', 'w').write('x' * 1_000_000)\nlen(open('file').read())",
    "import collections, heapq, re, json\nh = [i * 7919 % 10007 for i in range(20_000)]\nheapq.heapify(h)",
    "import time\nwhile time.process_time() < 0.2: pass",
    "import time\nwhile time.process_time() < 0.5: pass",
)


def join_group() -> None:
    """Put this process and its future children under the quota. Raises OSError if that is not allowed."""
    groups = Path("/sys/fs/cgroup")
    name = f"uniopd-quota-{os.getpid()}"
    if (groups / "cpu").is_dir():
        folder = groups / "cpu" / name
        folder.mkdir()
        (folder / "cpu.cfs_period_us").write_text(str(PERIOD))
        (folder / "cpu.cfs_quota_us").write_text(str(int(QUOTA * PERIOD)))
    else:
        (groups / "cgroup.subtree_control").write_text("+cpu")
        folder = groups / name
        folder.mkdir()
        (folder / "cpu.max").write_text(f"{int(QUOTA * PERIOD)} {PERIOD}")
    (folder / "cgroup.procs").write_text(str(os.getpid()))


def graded(number: int, sandbox: LocalSandbox) -> str:
    """The verdict on one right program: "right", or what was said instead."""
    work = WORK[number % len(WORK)]
    mode = list(Mode)[number // len(WORK) % 3]
    if mode is Mode.STDIN:
        source = f"{work}\nprint(int(input()) + {number})"
        problem = CodeProblem(mode=mode, tests=(("2", str(2 + number)),))
    else:
        source = f"{work}\ndef f(x):\n    return x + {number}"
        tests = (([2], 2 + number),) if mode is Mode.CALL else ()
        test = f"assert f(2) == {2 + number}" if mode is Mode.ASSERTS else ""
        problem = CodeProblem(mode=mode, tests=tests, function="f", test=test)
    outcome = grade_code(f"```python\n{source}\n```", problem, sandbox, limits=LIMITS)
    return "right" if outcome.correct else f"{'unknown' if outcome.correct is None else 'wrong'}: {outcome.reason}"


def main() -> None:
    """Print the figures; exit status 1 if more than one right program in a thousand is wrong."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else NUM_PROGRAMS
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    if quota(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")) > QUOTA:
        try:
            join_group()
        except OSError as error:
            sys.exit(f"no control group can be made ({error}); run this in a container with a quota of {QUOTA} cores")
    cores = quota(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup"))
    sandbox = LocalSandbox()  # now, so that it counts the quota
    print(f"level {sandbox.level}, {cores:g} cores, {cores_of_this_rank()} programs at a time", flush=True)
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        verdicts = Counter(pool.map(lambda number: graded(number, sandbox), range(first, first + count)))
    for verdict, times in verdicts.most_common():
        print(f"{times:6,}  {verdict}")
    print(f"{count:,} right programs in {time.perf_counter() - began:.0f} s")
    wrong = sum(times for verdict, times in verdicts.items() if verdict.startswith("wrong"))
    sys.exit(wrong * 1000 > MOST_WRONG * count)


if __name__ == "__main__":
    main()
