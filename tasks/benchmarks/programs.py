"""HumanEval+, MBPP+ and LiveCodeBench: programs to write, each judged by all tests of its problem.

`code_problems` reads the rows, `code_gen` asks, `code_answers` grades. A row whose tests cannot be read is asked all
the same, and responses to it are unknown. Programs run in the strongest sandbox that this machine has.
"""

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

# LiveCodeBench's own checker: 6 seconds a test, and no limit for all of them. AtCoder allows 1 GiB of memory in use;
# address space is more than that.
LIMITS = Limits(cpu_seconds=6, wall_seconds=12.0, memory_bytes=2 << 30)
ALL_TESTS_SECONDS = 1800.0
# Not every statement says so, and a program with the examples in it in place of its input passes no test.
STDIN = "Read the input from standard input, and print the answer to standard output."
_PRIVATE = "private_test_cases"
_SANDBOX = LocalSandbox()


def question(row: Row) -> str:
    return str(row.get("question_content") or row["prompt"]).strip()


def prompt(row: Row) -> str:
    """Raises UserError where programs cannot be kept apart on this machine: better before the model has answered."""
    _ = _SANDBOX.level
    read = _read(row)
    shown = _shown(read)
    text = asked(read, shown)
    return "\n".join([text, STDIN, INSTRUCTION] if shown.mode is Mode.STDIN and shown.tests else [text, INSTRUCTION])


def target(row: Row) -> str:
    """The reference program, where there is one."""
    return str(row.get("canonical_solution") or row.get("code") or "")


def unpacked(row: Row) -> Row:
    """{"problem": its tests}, or {"fault": why they cannot be read}."""
    try:
        return {"problem": read_problem(_read(row).fields)}
    except BadSample as bad:
        return {"fault": str(bad)}


def grade(unpacked_row: Row, response: str) -> Outcome:
    """Judges a response to a row that is `unpacked`."""
    if "fault" in unpacked_row:
        return unknown(f"tests: {unpacked_row['fault']}")
    problem = unpacked_row["problem"]
    return grade_code(response, problem, _SANDBOX, limits=LIMITS, total_seconds=ALL_TESTS_SECONDS)


def _read(row: Row) -> TaskRow:
    return row_of(RawRow(where=question(row)[:40], content=row, folder=None), {}, FIELDS)


def _shown(row: TaskRow) -> CodeProblem:
    """The problem without its private tests, which take long to unpack and are not shown."""
    fields = {name: value for name, value in row.fields.items() if name != _PRIVATE}
    try:
        return read_problem(fields)
    except BadSample:
        return CodeProblem(mode=Mode.STDIN)


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, unpacked=unpacked)
messages, process_results = _BENCHMARK.messages, _BENCHMARK.process_results
