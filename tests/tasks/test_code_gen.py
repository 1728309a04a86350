"""The adapter of programs to write, on files with the columns of published sets, and on the synthetic source."""

import base64
import json
import pickle
import zlib
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from uniopd_mm.tasks.code_gen import INSTRUCTION, CodeTask
from uniopd_mm.tasks.mixture import TaskMixture
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.sandbox.local import LocalSandbox
from uniopd_mm.tasks.synthetic.code_problems import SyntheticCodeProblems
from uniopd_mm.types import Sample, UserError

SANDBOX = LocalSandbox()
STDIN = {"inputs": ["3 4\n"], "outputs": ["7\n"]}
CALLED = {"fn_name": "add", "inputs": [[3, 4]], "outputs": [[7]]}
PRINTS = "```python\nprint(sum(map(int, input().split())))\n```"
ADDS = "```python\ndef add(a, b):\n    return a + b\n```"

EURUS = {
    "data_source": "codecontests",
    "prompt": [{"content": "Think.", "role": "system"}, {"content": "Print the sum.", "role": "user"}],
    "ability": "code",
    "reward_model": {"ground_truth": json.dumps(STDIN), "style": "rule"},
    "extra_info": {"index": 0, "split": "dummy"},
}
APPS = {
    "problem_id": 0,
    "question": "Add two numbers.",
    "solutions": json.dumps(["def add(a, b): return a + b"]),
    "input_output": json.dumps(CALLED),
    "difficulty": "introductory",
    "url": "https://example.org/0",
    "starter_code": "def add(a, b):\n\t",
}
LIVECODEBENCH = {
    "question_title": "Sum",
    "question_content": "Add two numbers.",
    "platform": "leetcode",
    "question_id": "900",
    "starter_code": "class Solution:\n    def add(self, a: int, b: int) -> int:\n        ",
    "difficulty": "easy",
    "public_test_cases": json.dumps([{"input": "3\n4", "output": "7", "testtype": "functional"}]),
    "private_test_cases": base64.b64encode(
        zlib.compress(pickle.dumps(json.dumps([{"input": "1\n1", "output": "2", "testtype": "functional"}])))
    ).decode(),
    "metadata": json.dumps({"func_name": "add"}),
}
HUMANEVAL = {
    "task_id": "HumanEval/900",
    "prompt": 'def add(a: int, b: int) -> int:\n    """The sum."""\n',
    "canonical_solution": "    return a + b\n",
    "entry_point": "add",
    "test": "def check(candidate):\n    assert candidate(3, 4) == 7\n",
}
MBPP = {
    "task_id": 900,
    "code": "def add(a, b):\n    return a + b",
    "prompt": "Write a function to add two numbers.",
    "source_file": "x",
    "test_imports": [],
    "test_list": ["assert add(1, 1) == 2"],
    "test": "inputs = [[3, 4]]\nresults = [7]\nfor inp, exp in zip(inputs, results):\n    assert add(*inp) == exp",
}
SOLUTION = "```python\nclass Solution:\n    def add(self, a: int, b: int) -> int:\n        return a + b\n```"

SETS = {
    "eurus": (EURUS, PRINTS, ["Print the sum."], None),
    "apps": (APPS, ADDS, ["Add two numbers.", "```python\ndef add(a, b):\n```"], None),
    "livecodebench": (LIVECODEBENCH, SOLUTION, ["Add two numbers.", "class Solution:"], "900"),
    "humaneval": (HUMANEVAL, ADDS, ['"""The sum."""'], "HumanEval/900"),
    "mbpp": (MBPP, ADDS, ["add two numbers", "```python\nassert add(1, 1) == 2\n```"], "900"),
}


def task_of(rows: list[dict[str, Any]], path: Path, **settings: Any) -> CodeTask:
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return CodeTask(rows=RowSource(path=str(path), validation_fraction=0.0, **settings), sandbox=SANDBOX)


def prompt_of(sample: Sample) -> str:
    (text,) = sample.messages[-1].content
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
@pytest.mark.parametrize("name", SETS)
def test_published_rows_are_read_and_graded(name: str, suffix: str, tmp_path: Path) -> None:
    row, solution, shown, sample_id = SETS[name]
    task = task_of([row], tmp_path / f"rows{suffix}")
    (sample,) = task.samples("train")
    prompt = prompt_of(sample)
    assert all(text in prompt for text in shown), prompt
    assert prompt.endswith(f"\n{INSTRUCTION}")
    assert sample_id in (None, sample.sample_id)
    assert task.grade(sample, solution).correct is True
    assert task.grade(sample, solution.replace("+", "-").replace("sum", "max")).correct is False
    assert task.grade(sample, "I cannot.").reason == "no code"


@pytest.mark.parametrize("name", SETS)
def test_a_sample_is_read_again_from_its_row(name: str, tmp_path: Path) -> None:
    row, solution, _, _ = SETS[name]
    (sample,) = task_of([row], tmp_path / "rows.jsonl").samples("train")
    again_task = task_of([dict(sample.row)], tmp_path / "again.jsonl")
    (again,) = again_task.samples("train")
    assert (again.sample_id, again.messages, again.metadata["tests"]) == (
        sample.sample_id,
        sample.messages,
        sample.metadata["tests"],
    )
    assert again_task.grade(again, solution).correct is True


def test_columns_inside_columns(tmp_path: Path) -> None:
    columns = {"question": "prompt", "tests": "reward_model.ground_truth"}
    task = task_of([EURUS], tmp_path / "rows.parquet", columns=columns)
    (sample,) = task.samples("train")
    assert prompt_of(sample) == f"Print the sum.\n{INSTRUCTION}"
    assert task.grade(sample, PRINTS).correct is True


def test_a_function_that_nobody_names_is_named(tmp_path: Path) -> None:
    row = {"question": "Print the sum.", "tests": CALLED}
    (sample,) = task_of([row], tmp_path / "rows.jsonl").samples("train")
    assert "The function must be called `add`." in prompt_of(sample)


def test_unusable_rows_are_skipped_with_their_reason(tmp_path: Path) -> None:
    rows = [{"question": "a"}, {"tests": STDIN}, {"question": "b", "tests": "{"}, {"question": "c", "tests": STDIN}]
    corpus = task_of(rows, tmp_path / "rows.jsonl").samples("train")
    assert [prompt_of(sample)[0] for sample in corpus] == ["c"]
    assert [skip.reason.split(":")[0] for skip in corpus.skipped] == ["no tests", "no question", "tests is no JSON"]


def test_other_columns_and_the_reference_program_are_kept(tmp_path: Path) -> None:
    row = {"question": "c", "tests": STDIN, "answer": "print(7)", "difficulty": "easy", "pass_rate": 0.5}
    (sample,) = task_of([row], tmp_path / "rows.jsonl").samples("train")
    assert (sample.answer, sample.metadata["difficulty"], sample.pass_rate) == ("print(7)", "easy", 0.5)


def test_the_synthetic_source_grades_its_own_programs() -> None:
    source = SyntheticCodeProblems(num_pretrain=4, num_train=12, num_validation=4)
    task = CodeTask(rows=RowSource(), synthetic=source, sandbox=SANDBOX)
    for sample in task.samples("train"):
        assert task.grade(sample, str(sample.demonstration)).correct is (sample.metadata["level"] != "impossible")


def test_the_corpus_names_the_level_of_isolation() -> None:
    task = CodeTask(rows=RowSource(), synthetic=SyntheticCodeProblems(num_train=3), sandbox=SANDBOX)
    expected = {"code": f"programs run at isolation level {SANDBOX.level}"}
    assert task.samples("train").grading == expected
    assert TaskMixture(tasks={"any": task}).samples("train").grading == expected


def test_no_tests_at_all_are_refused() -> None:
    with pytest.raises(UserError, match=r"task\.max_tests=0"):
        CodeTask(rows=RowSource(), synthetic=SyntheticCodeProblems(), sandbox=SANDBOX, max_tests=0)


def test_tests_that_cannot_be_read_are_unknown() -> None:
    task = CodeTask(rows=RowSource(), synthetic=SyntheticCodeProblems(), sandbox=SANDBOX)
    sample = Sample(sample_id="1", domain="code", messages=(), answer=None, source="nowhere")
    outcome = task.grade(sample, PRINTS)
    assert (outcome.correct, outcome.reason) == (None, "tests must be an object, got NoneType 'None'")
