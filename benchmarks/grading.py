"""Mathematical answers graded per second, on the CPU.

    python benchmarks/grading.py [CASES.jsonl]

Two kinds of answers, half of them correct: numbers, which are compared in this process, and LaTeX that needs algebra in
a worker process. Both are graded from one thread and from as many threads as there are cores. "Mixed" resembles test
sets of school and competition mathematics: four in five answers are numbers. All answers differ, so that no parser
cache helps; the start of the workers does not count. Then come 10,000 mixed answers with units, intervals and words
among them, with the slowest hundredth, and the memory of all processes before and after 100,000 of them. At last, the
cases of the tests are graded by `python -m uniopd_mm.grade`. Exit status 1 if a figure is beyond its limit.
"""

import json
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uniopd_mm.tasks.grading.math_answers import grade_math

NUM_ANSWERS = 500
REPEATS = 5
CASES = Path(__file__).parents[1] / "tests" / "tasks" / "grading_cases.jsonl"
LEAST_ACCEPTABLE = 0.97
LIMIT = 200.0  # mixed answers per second and core
MIX_ANSWERS = 10_000
MEMORY_ANSWERS = 100_000
MIX_PART = 1000
MOST_MILLISECONDS = 50.0  # of the 99th percentile
MOST_GROWTH = 1.1  # of the memory, from the first tenth of MEMORY_ANSWERS to the last
LAST_DIGIT = re.compile("(.*)([0-9])(.*)")
Case = tuple[str, str, bool]  # response, reference, whether it is correct
ALGEBRA = (
    lambda n, k: (rf"\sqrt{{{n * k * k}}}", rf"{k}\sqrt{{{n}}}"),
    lambda n, k: (rf"\frac{{{n}\pi}}{{{k}}}", rf"\frac{{{n}}}{{{k}}}\pi"),
    lambda n, k: (rf"x^2+{n + k}x+{n * k}", rf"(x+{n})(x+{k})"),
    lambda n, k: (rf"{n}+{k}\sqrt{{2}}", rf"{k}\sqrt{{2}}+{n}"),
    lambda n, k: (rf"{n}^{{{k % 7 + 2}}}", str(n ** (k % 7 + 2))),
    lambda n, k: (rf"\left[-\infty, \sqrt{{{n}}}\right)", rf"[-\infty,\sqrt{{{n}}})"),
    lambda n, k: (rf"x = {n} \pm \sqrt{{{k}}}", rf"{n}-\sqrt{{{k}}}, {n}+\sqrt{{{k}}}"),
)


def number(draw: random.Random, right: bool) -> Case:
    """An integer, a decimal, a fraction, a percentage, a length or a pair."""
    n, k = draw.randrange(1, 10**6), draw.randrange(2, 99)
    forms = (
        (f"{n:,}", str(n)),
        (f"{n / 100:.2f}", rf"\frac{{{n}}}{{100}}"),
        (rf"\dfrac{{{n}}}{{{k}}}", f"{n}/{k}"),
        (rf"{k}\%", str(k)),
        (rf"{n}\text{{ cm}}", str(n)),
        (f"({n}, {k})", rf"\left({n},{k}\right)"),
    )
    return _case(*draw.choice(forms), right)


def algebra(draw: random.Random, right: bool) -> Case:
    """Roots, multiples of π, polynomials, powers, intervals and pairs of solutions."""
    return _case(*draw.choice(ALGEBRA)(draw.randrange(2, 5000), draw.randrange(2, 500)), right)


def mixed(draw: random.Random, right: bool) -> Case:
    return (number if draw.random() < 0.8 else algebra)(draw, right)


def short(draw: random.Random, right: bool) -> Case:
    """Numbers, algebra, and in one of five a unit, an interval, a time, a multiplier or a plain function."""
    n, k = draw.randrange(2, 10**5), draw.randrange(2, 99)
    forms = (
        (rf"{n}000 \text{{ m}}", rf"{n} \text{{ km}}"),
        (rf"{n} \text{{ thousand}}", f"{n}000"),
        (rf"x \ge {n}", rf"[{n}, \infty)"),
        (f"{k}<x<{k + n}", rf"({k}, {k + n})"),
        (f"{k % 12 + 1}:{n % 60:02d} pm", f"{k % 12 + 1}:{n % 60:02d} p.m."),
        (f"sin({n}x)", rf"\sin {n}x"),
    )
    return _case(*draw.choice(forms), right) if draw.random() < 0.2 else mixed(draw, right)


def _case(answer: str, reference: str, right: bool) -> Case:
    """For a wrong answer, the last digit is changed."""
    before, digit, behind = LAST_DIGIT.fullmatch(answer).groups()
    written = answer if right else f"{before}{(int(digit) + 1) % 10}{behind}"
    return rf"We find that the answer is \boxed{{{written}}}.", reference, right


def rate(kind: Callable[[random.Random, bool], Case], num_threads: int, seed: int) -> float:
    """Answers graded per second."""
    draw = random.Random(seed)
    cases = [kind(draw, index % 2 == 0) for index in range(NUM_ANSWERS)]
    with ThreadPoolExecutor(num_threads) as threads:
        began = time.perf_counter()
        outcomes = list(threads.map(lambda case: grade_math(case[0], case[1]), cases))
        seconds = time.perf_counter() - began
    for case, outcome in zip(cases, outcomes, strict=True):
        assert outcome.correct is case[2], (case, outcome)
    return len(cases) / seconds


def mix() -> bool:
    """Print the rate and the slowest hundredth of the mix, and the growth of memory; whether all are within limits."""
    threads = len(os.sched_getaffinity(0))
    grade_all(short, MIX_ANSWERS // 10, threads, seed=1)  # the workers and their parsers are warm
    began = time.perf_counter()
    seconds = grade_all(short, MIX_ANSWERS, threads, seed=2)
    per_second = MIX_ANSWERS / (time.perf_counter() - began)
    slow = 1000 * statistics.quantiles(seconds, n=100)[-1]
    before = memory_bytes()
    grade_all(short, MEMORY_ANSWERS - MIX_ANSWERS, threads, seed=3)
    growth = memory_bytes() / before
    print(f"\n{MIX_ANSWERS:,} short answers, {threads} threads: {per_second:,.0f} per second")
    print(f"99 in 100 of them took at most {slow:.1f} ms")
    print(f"memory after {MEMORY_ANSWERS:,} answers: {growth:.2f} of that after {MIX_ANSWERS:,} ({before >> 20} MiB)")
    return per_second >= LIMIT * threads and slow <= MOST_MILLISECONDS and growth <= MOST_GROWTH


def grade_all(kind: Callable[[random.Random, bool], Case], count: int, num_threads: int, seed: int) -> list[float]:
    """The seconds that each answer took, of at most MIX_ANSWERS. A verdict that is not the expected one ends the
    benchmark."""
    draw, seconds = random.Random(seed), list[float]()

    def timed(case: Case) -> float:
        began = time.perf_counter()
        outcome = grade_math(case[0], case[1])
        assert outcome.correct is case[2], (case, outcome)
        return time.perf_counter() - began

    with ThreadPoolExecutor(num_threads) as threads:
        for _ in range(count // MIX_PART):
            part = [kind(draw, index % 2 == 0) for index in range(MIX_PART)]
            seconds = [*seconds, *threads.map(timed, part)][-MIX_ANSWERS:]
    return seconds


def memory_bytes() -> int:
    """The memory of this process and of its workers."""
    pids = [
        os.getpid(),
        *(int(pid) for task in Path("/proc/self/task").glob("*/children") for pid in task.read_text().split()),
    ]
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * resource.getpagesize()


def cases(path: Path) -> bool:
    """Grade the cases of a file (`mixed=true` of python -m uniopd_mm.grade), which prints their figures; whether the
    acceptable share and the number of false positives are within the limits."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "graded.jsonl"
        command = [sys.executable, "-m", "uniopd_mm.grade", "mixed=true", f"data.path={path}", f"out={out}"]
        subprocess.run(command, check=True)
        graded = [json.loads(line) for line in out.read_text().splitlines()]
    letters = [{True: "T", False: "F", None: "N"}[outcome["correct"]] for outcome in graded]
    good = sum(letter in outcome["expected"] for letter, outcome in zip(letters, graded, strict=True))
    false = sum(
        letter == "T" and "T" not in outcome["expected"] for letter, outcome in zip(letters, graded, strict=True)
    )
    print(f"cases: {good} of {len(graded)} acceptable ({good / len(graded):.1%}), {false} false positives")
    return good / len(graded) >= LEAST_ACCEPTABLE and not false


def main() -> None:
    """Print the figures; exit status 1 beyond the limits."""
    num_cores = len(os.sched_getaffinity(0))
    variants = [(kind, threads) for kind in (number, algebra, mixed) for threads in sorted({1, num_cores})]
    rates: dict[tuple[str, int], list[float]] = {}
    for seed in range(1 + REPEATS):
        for kind, threads in variants:
            measured = rate(kind, threads, seed)
            rates.setdefault((kind.__name__, threads), []).extend([measured] if seed else [])
    print(f"{NUM_ANSWERS} answers, half of them correct, medians of {REPEATS}; {num_cores} cores")
    print(f"{'answers':10} {'threads':>7} {'per second':>10} {'per core':>10}")
    medians = {key: statistics.median(values) for key, values in rates.items()}
    for (name, threads), median in medians.items():
        print(f"{name:10} {threads:7} {median:10,.0f} {median / threads:10,.0f}")
    slow = any(median / threads < LIMIT for (name, threads), median in medians.items() if name == "mixed")
    fast = mix() and not slow
    sys.exit(not (cases(Path(sys.argv[1]) if len(sys.argv) > 1 else CASES) and fast))


if __name__ == "__main__":
    main()
