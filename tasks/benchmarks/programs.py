"""HumanEval+, MBPP+ and LiveCodeBench: programs to write, each judged by all tests of its problem.

`grading/code_problems.py` reads the rows, `code_gen.py` writes the prompt, and `grading/code_answers.py` grades. A row
whose tests cannot be read still becomes a question, but outcomes of responses to it are unknown. Programs run in the
strictest sandbox that this machine allows, which is never the level `weak`, and time counts as in training.
"""

import sys
from functools import cache

from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row
from uniopd_mm.tasks.code_gen import FIELDS, INSTRUCTION, asked
from uniopd_mm.tasks.grading.answers import unknown
from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode, read_problem
from uniopd_mm.tasks.reading.files import RawRow
from uniopd_mm.tasks.reading.rows import Row as TaskRow
from uniopd_mm.tasks.reading.rows import row_of
from uniopd_mm.tasks.sandbox.limits import Limits
from uniopd_mm.tasks.sandbox.local import LocalSandbox
from uniopd_mm.types import BadSample, Outcome

# LiveCodeBench's own checker allows 6 seconds per test, with no limit for all tests together. AtCoder allows 1 GiB of
# used memory; the address space may be larger.
LIMITS = Limits(cpu_seconds=6, wall_seconds=12.0, memory_bytes=2 << 30)
ALL_TESTS_SECONDS = 1800.0
# Not every statement says this. A program that contains the examples instead of reading its input passes no test.
STDIN = "Read the input from standard input, and print the answer to standard output."
_PRIVATE = "private_test_cases"
_SANDBOX = LocalSandbox()


def question(row: Row) -> str:
    return str(row.get("question_content") or row["prompt"]).strip()


def prompt(row: Row) -> str:
    """Raises UserError if programs cannot be isolated on this machine, before the model answers anything."""
    _announce(_SANDBOX.level)
    read = _read(row)
    shown = _shown(read)
    text = asked(read, shown).question
    return "\n".join([text, STDIN, INSTRUCTION] if shown.mode is Mode.STDIN and shown.tests else [text, INSTRUCTION])


@cache
def _announce(level: str) -> None:
    print(f"programs run at isolation level {level}", file=sys.stderr, flush=True)


def target(row: Row) -> str:
    """The reference program, "" if there is none."""
    return str(row.get("canonical_solution") or row.get("code") or "")


def unpacked(row: Row) -> Row:
    """{"problem": its tests}, or {"fault": why they cannot be read}."""
    try:
        return {"problem": read_problem(_read(row).fields)}
    except BadSample as bad:
        return {"fault": str(bad)}


def grade(unpacked_row: Row, response: str) -> Outcome:
    """Judges a response. `unpacked_row` is what `unpacked` returned."""
    if "fault" in unpacked_row:
        return unknown(f"tests: {unpacked_row['fault']}")
    problem = unpacked_row["problem"]
    return grade_code(response, problem, _SANDBOX, limits=LIMITS, total_seconds=ALL_TESTS_SECONDS)


def _read(row: Row) -> TaskRow:
    return row_of(RawRow(where=question(row)[:40], content=row, folder=None), {}, FIELDS)


def _shown(row: TaskRow) -> CodeProblem:
    """The problem without its private tests, which are not shown and take long to unpack."""
    fields = {name: value for name, value in row.fields.items() if name != _PRIVATE}
    try:
        return read_problem(fields)
    except BadSample:
        return CodeProblem(mode=Mode.STDIN)


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, unpacked=unpacked)
messages, process_results = _BENCHMARK.messages, _BENCHMARK.process_results
