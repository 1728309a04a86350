"""Cost of scoring a benchmark: memory over a million answers, and CPU use for programs of LiveCodeBench's size.

    python benchmarks/scoring.py --quick
    python benchmarks/scoring.py --only answers
    python benchmarks/scoring.py --only programs

Both parts call `process_results` from four threads, as lmms-eval does.

    answers    1,000,000 mathematical answers, 32 per question, all of them different: nine in ten are numbers, some
               need algebra in a worker process, some are not answers. Nothing is kept of a scored question. After
               each tenth, the resident memory of this process and of its workers is printed.
    programs   1,000 problems with packed tests, 4 programs each, one of them wrong, 6 inputs per program. The CPU
               time of programs and graders is printed as a share of all cores' time, next to the use of all
               processes of this machine.

Exit status 1 if memory has grown by more than `MAX_GROWTH` since the second tenth, or if a score is wrong.
"""

import argparse
import base64
import json
import os
import pickle
import random
import resource
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

from uniopd_mm.tasks.benchmarks import competitions, programs

THREADS = 4  # lmms-eval's default
SAMPLES = 32
PROGRAMS = 4
INPUTS = 6
MAX_GROWTH = 64.0  # MiB, this process and its workers together
PAGE = os.sysconf("SC_PAGE_SIZE")


def answers_of(index: int) -> tuple[Mapping[str, str], list[str], int]:
    """A question, its responses and the number of correct ones."""
    draw = random.Random(index)
    number = draw.randrange(2, 10**6)
    kind = index % 100
    if kind < 2:
        return _algebra(draw, number)
    reference = str(number) if kind % 2 else rf"\frac{{{number}}}{{{draw.randrange(2, 99)}}}"
    right = [draw.random() < 0.5 for _ in range(SAMPLES - 2)]
    texts = [
        f"Attempt {index}.{turn}: we get \\boxed{{{reference if good else number + turn + 1}}}."
        for turn, good in enumerate(right)
    ]
    texts += [f"I do not know, {index}.", f"It is {index} or so because of \\boxed{{"]
    return {"problem": f"Question {index}", "answer": reference}, texts, sum(right)


def _algebra(draw: random.Random, number: int) -> tuple[Mapping[str, str], list[str], int]:
    """Square roots written in different ways, each of them once."""
    factors = draw.sample(range(2, 500), SAMPLES // 2)
    right = [rf"\boxed{{\frac{{{factor}}}{{{factor}}}\sqrt{{{number}}}}}" for factor in factors]
    wrong = [rf"\boxed{{\frac{{{factor}}}{{{factor + 1}}}\sqrt{{{number}}}}}" for factor in factors]
    return {"problem": "Simplify.", "answer": rf"\sqrt{{{number}}}"}, right + wrong, len(right)


def score_answers(num_answers: int) -> bool:
    """Whether memory and scores are as expected."""
    num_questions = num_answers // SAMPLES
    steps = [num_questions * tenth // 10 for tenth in range(11)]
    print(f"{num_questions * SAMPLES:,} answers to {num_questions:,} questions\n{'scored':>12} {'seconds':>8}", end="")
    print(f" {'MiB main':>9} {'MiB workers':>12}")
    began, sizes, passed = time.perf_counter(), list[tuple[float, float]](), True
    with ThreadPoolExecutor(THREADS) as threads:
        for start, end in pairwise(steps):
            passed = all(threads.map(_is_scored_correctly, range(start, end))) and passed
            sizes.append((resident(os.getpid()), sum(map(resident, children(os.getpid())))))
            print(
                f"{end * SAMPLES:12,} {time.perf_counter() - began:8.1f} {sizes[-1][0]:9.1f} {sizes[-1][1]:12.1f}",
                flush=True,
            )
    growth = sum(sizes[-1]) - sum(sizes[1])
    print(f"growth since the second tenth: {growth:+.1f} MiB; all scores correct: {passed}")
    return passed and growth <= MAX_GROWTH


def _is_scored_correctly(index: int) -> bool:
    row, texts, num_right = answers_of(index)
    item = competitions.process_results(row, texts)["score"]
    return sum(item["correct"]) == num_right and item["unknown"] == 0


def resident(pid: int) -> float:
    """Resident memory in MiB, 0 for a process that has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20
    except OSError:
        return 0.0


def children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            yield from map(int, (task / "children").read_text().split())
        except OSError:  # the thread has ended
            continue


def problem(index: int) -> dict[str, Any]:
    """A row in the format of LiveCodeBench: sort the input numbers and print one of them."""
    draw = random.Random(index)
    given = [[draw.randrange(10**6) for _ in range(2000)] for _ in range(INPUTS)]
    cases = [
        {"input": " ".join(map(str, xs)) + "\n", "output": f"{sorted(xs)[index % 2000]}\n", "testtype": "stdin"}
        for xs in given
    ]
    packed = base64.b64encode(zlib.compress(pickle.dumps(json.dumps(cases[1:])))).decode()
    shown = {"question_content": f"Print number {index % 2000} in order.", "starter_code": "", "metadata": "{}"}
    return shown | {"public_test_cases": json.dumps(cases[:1]), "private_test_cases": packed}


def programs_of(index: int) -> list[str]:
    """Three correct programs and one that fails the first test."""
    lines = "xs = [int(x) for x in input().split()]\nfor _ in range({rounds}):\n    ys = sorted(xs)\nprint(ys[{place}])"
    places = [index % 2000, index % 2000, index % 2000, (index + 1) % 2000]
    sources = [lines.format(rounds=20 + turn, place=place) for turn, place in enumerate(places)]
    return [f"Here it is.\n```python\n{source}\n```" for source in sources]


def _programs_are_judged_correctly(index: int) -> bool:
    item = programs.process_results(problem(index), programs_of(index))["score"]
    return item["scores"] == [1.0, 1.0, 1.0, 0.0] and item["unknown"] == 0


def score_programs(num_problems: int) -> bool:
    """Whether every program is judged as expected."""
    cores = len(os.sched_getaffinity(0))
    began, busy, used = time.perf_counter(), machine_seconds(), own_seconds()
    with ThreadPoolExecutor(THREADS) as threads:
        passed = all(list(threads.map(_programs_are_judged_correctly, range(num_problems))))
    seconds = time.perf_counter() - began
    machine = (machine_seconds() - busy) / seconds / (os.cpu_count() or 1)
    own_share, programs_share = (
        (after - before) / seconds / cores for after, before in zip(own_seconds(), used, strict=True)
    )
    print(f"{num_problems:,} problems with {PROGRAMS} programs and {INPUTS} inputs: {seconds:.1f} s on {cores} cores")
    print(f"{num_problems * PROGRAMS / seconds:.1f} programs per second; all verdicts correct: {passed}")
    print(f"CPU time over all cores: programs {programs_share:.0%}, this process {own_share:.0%}")
    print(f"all processes of this machine: {machine:.0%}; resident memory {resident(os.getpid()):.0f} MiB")
    return passed


def own_seconds() -> tuple[float, float]:
    """CPU seconds of this process, and of its children that have ended."""
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    own, children_seconds = (usage.ru_utime + usage.ru_stime for usage in both)
    return own, children_seconds


def machine_seconds() -> float:
    """Busy CPU seconds of all processes on all cores since the machine started."""
    ticks = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Exit status 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2 %% of the size")
    parser.add_argument("--only", choices=("answers", "programs"))
    options = parser.parse_args()
    share = 50 if options.quick else 1
    parts = {"answers": (score_answers, 1_000_000), "programs": (score_programs, 1_000)}
    chosen = [part for name, part in parts.items() if options.only in (None, name)]
    verdicts = [score(size // share) for score, size in chosen]
    sys.exit(not all(verdicts))


if __name__ == "__main__":
    main()
