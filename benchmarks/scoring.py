r"""What scoring a benchmark costs: memory over a million answers, and cores over LiveCodeBench's size of programs.

    python benchmarks/scoring.py [--quick] [--only answers|programs]

Both go through `process_results` from four threads, as lmms-eval calls it.

    answers    1,000,000 mathematical answers, 32 to a question, all of them different texts: nine in ten are numbers,
               some need algebra in a worker process, some are no answers. Nothing is kept of a question that is
               scored. Resident memory of this process and of its workers is printed at every tenth.
    programs   1,000 problems with packed tests, 4 programs to each, one of them wrong, 6 inputs to a program. The CPU
               time of programs and graders is printed as a share of all cores' time, beside what all processes of
               this machine used of it.

Exit status 1 where memory has grown by more than `MOST_GROWTH` since the second tenth, or where a score is not what it
must be.
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
MOST_GROWTH = 64.0  # MiB, both processes together
PAGE = os.sysconf("SC_PAGE_SIZE")


def answers_of(index: int) -> tuple[Mapping[str, str], list[str], int]:
    """A question, its responses and how many of them are right."""
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
    """Roots written in another way, each one once."""
    factors = draw.sample(range(2, 500), SAMPLES // 2)
    right = [rf"\boxed{{\frac{{{factor}}}{{{factor}}}\sqrt{{{number}}}}}" for factor in factors]
    wrong = [rf"\boxed{{\frac{{{factor}}}{{{factor + 1}}}\sqrt{{{number}}}}}" for factor in factors]
    return {"problem": "Simplify.", "answer": rf"\sqrt{{{number}}}"}, right + wrong, len(right)


def score_answers(num_answers: int) -> bool:
    """Whether memory and scores are as they must be."""
    num_questions = num_answers // SAMPLES
    steps = [num_questions * tenth // 10 for tenth in range(11)]
    print(f"{num_questions * SAMPLES:,} answers to {num_questions:,} questions\n{'scored':>12} {'seconds':>8}", end="")
    print(f" {'MiB here':>9} {'MiB workers':>12}")
    began, sizes, fine = time.perf_counter(), list[tuple[float, float]](), True
    with ThreadPoolExecutor(THREADS) as threads:
        for start, end in pairwise(steps):
            fine = all(threads.map(_is_scored_right, range(start, end))) and fine
            sizes.append((resident(os.getpid()), sum(map(resident, children(os.getpid())))))
            print(
                f"{end * SAMPLES:12,} {time.perf_counter() - began:8.1f} {sizes[-1][0]:9.1f} {sizes[-1][1]:12.1f}",
                flush=True,
            )
    growth = sum(sizes[-1]) - sum(sizes[1])
    print(f"growth since the second tenth: {growth:+.1f} MiB; all scores right: {fine}")
    return fine and growth <= MOST_GROWTH


def _is_scored_right(index: int) -> bool:
    row, texts, num_right = answers_of(index)
    item = competitions.process_results(row, texts)["score"]
    return sum(item["correct"]) == num_right and item["unknown"] == 0


def resident(pid: int) -> float:
    """MiB, 0 for a process that is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20
    except OSError:
        return 0.0


def children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            yield from map(int, (task / "children").read_text().split())
        except OSError:  # a thread that has ended
            continue


def problem(index: int) -> dict[str, Any]:
    """A row as LiveCodeBench has it: sort and add up what is read."""
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
    """Three right ones and one that fails the first test."""
    lines = "xs = [int(x) for x in input().split()]\nfor _ in range({rounds}):\n    ys = sorted(xs)\nprint(ys[{place}])"
    places = [index % 2000, index % 2000, index % 2000, (index + 1) % 2000]
    sources = [lines.format(rounds=20 + turn, place=place) for turn, place in enumerate(places)]
    return [f"Here it is.\n```python\n{source}\n```" for source in sources]


def _programs_are_judged_right(index: int) -> bool:
    item = programs.process_results(problem(index), programs_of(index))["score"]
    return item["scores"] == [1.0, 1.0, 1.0, 0.0] and item["unknown"] == 0


def score_programs(num_problems: int) -> bool:
    """Whether every program is judged as it must be."""
    cores = len(os.sched_getaffinity(0))
    began, busy, used = time.perf_counter(), machine_seconds(), own_seconds()
    with ThreadPoolExecutor(THREADS) as threads:
        fine = all(list(threads.map(_programs_are_judged_right, range(num_problems))))
    seconds = time.perf_counter() - began
    everybody = (machine_seconds() - busy) / seconds / (os.cpu_count() or 1)
    mine, theirs = (after - before for after, before in zip(own_seconds(), used, strict=True))
    print(f"{num_problems:,} problems with {PROGRAMS} programs and {INPUTS} inputs: {seconds:.1f} s on {cores} cores")
    print(f"{num_problems * PROGRAMS / seconds:.1f} programs a second; all verdicts right: {fine}")
    print(
        f"CPU time over all cores: programs {theirs / seconds / cores:.0%}, this process {mine / seconds / cores:.0%}"
    )
    print(f"all processes of this machine: {everybody:.0%}; resident here {resident(os.getpid()):.0f} MiB")
    return fine


def own_seconds() -> tuple[float, float]:
    """CPU seconds of this process and of its children that have ended."""
    both = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    mine, theirs = (usage.ru_utime + usage.ru_stime for usage in both)
    return mine, theirs


def machine_seconds() -> float:
    """CPU seconds that were not idle, of all processes on all cores, since the machine started."""
    ticks = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """The command; exit status 1 where something is not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fiftieth of the size")
    parser.add_argument("--only", choices=("answers", "programs"))
    options = parser.parse_args()
    share = 50 if options.quick else 1
    parts = {"answers": (score_answers, 1_000_000), "programs": (score_programs, 1_000)}
    chosen = [part for name, part in parts.items() if options.only in (None, name)]
    verdicts = [score(size // share) for score, size in chosen]
    sys.exit(not all(verdicts))


if __name__ == "__main__":
    main()
