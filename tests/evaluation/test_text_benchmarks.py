"""Competitions and programs: prompts, and scores of responses through `process_results` as lmms-eval calls it."""

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest
from hub_text import FIXTURES, Fixture, packed, response

from uniopd_mm.tasks.benchmarks import competitions, programs
from uniopd_mm.tasks.sandbox.limits import SandboxFault
from uniopd_mm.tasks.sandbox.local import LocalSandbox
from uniopd_mm.types import UserError

MODULES = {name: programs if name.endswith(("_plus", "_v6")) else competitions for name in FIXTURES}
CODE = [name for name, module in MODULES.items() if module is programs]


def scored(module: ModuleType, row: Mapping[str, Any], *responses: str) -> tuple[list[float], int]:
    item = module.process_results(row, list(responses))["score"]
    return item["scores"], item["unknown"]


def row_of(name: str, index: int = 0) -> Mapping[str, Any]:
    return FIXTURES[name].rows[index]


@pytest.mark.parametrize("name", FIXTURES)
def test_right_and_wrong_answers(name: str) -> None:
    fixture = FIXTURES[name]
    for row, right, wrong in zip(fixture.rows, fixture.right, fixture.wrong, strict=True):
        assert scored(MODULES[name], row, response(right), response(wrong)) == ([1.0, 0.0], 0), row


OFF_FORMAT = (
    ("The answer is 130.", 1.0),
    ("130", 1.0),
    ("So n = 130.", 1.0),
    (r"\boxed{142} no, wait: \boxed{130}", 1.0),
    (r"\boxed{130} no, wait: \boxed{142}", 0.0),
    (r"\boxed{130", 0.0),  # cut off
    (r"\boxed{}", 0.0),
    (r"We take $130$ things, of which 12 fall away, and", 0.0),
    ("", 0.0),
    (" \n", 0.0),
    (r"\boxed{" + "9" * 100_000 + "}", 0.0),
    (r"\boxed{" + "{" * 5000 + "130" + "}" * 5000 + "}", 0.0),
    (r"\boxed{9^{9^{9^{9}}}}", 0.0),
    (r"\boxed{__import__('os').system('true')}", 0.0),
    ("\x00\ud800\\boxed{130}", 1.0),
)


@pytest.mark.parametrize(("text", "score"), OFF_FORMAT)
def test_off_format_empty_and_hostile_answers(text: str, score: float) -> None:
    items = competitions.process_results(row_of("aime24"), [text, text])
    assert items["score"]["scores"] == [score, score]
    assert items["majority@k"]["scores"] == [score]


def test_a_reference_that_cannot_be_read_leaves_responses_unknown() -> None:
    row = {"problem": "?", "answer": " "}
    assert scored(competitions, row, response("1"), "") == ([0.0, 0.0], 2)


@pytest.mark.parametrize(
    ("answers", "score"),
    [
        (["130", "130", "28"], 1.0),
        (["28", "28", "130"], 0.0),
        (["130.0", r"\frac{260}{2}", "28", "130", "28"], 1.0),  # written in other ways: one answer
        ([r"\tfrac{260}2", "1.3e2", r"130 \text{ }", "28", "28"], 1.0),
    ],
)
def test_majority_of_final_answers(answers: list[str], score: float) -> None:
    items = competitions.process_results(row_of("aime24"), [[response(answer) for answer in answers]])
    assert items["majority@k"]["scores"] == [score]


def test_prompts_of_competitions() -> None:
    for name, module in MODULES.items():
        if module is competitions:
            row = row_of(name)
            instruction = "Please reason step by step, and put your final answer within \\boxed{}."
            (turn,) = module.messages(row)
            assert turn["content"] == [{"type": "text", "text": f"{row['problem']}\n{instruction}"}]


@pytest.mark.parametrize("name", CODE)
def test_prompts_of_programs_show_what_a_program_must_fit(name: str) -> None:
    for row, right in zip(FIXTURES[name].rows, FIXTURES[name].right, strict=True):
        prompt = programs.prompt(row)
        assert programs.question(row) in prompt
        assert prompt.endswith("Put the final program in one ```python block.")
        for line in right.splitlines():
            if "def " in line:
                assert line.partition("(")[0].partition("def ")[2] in prompt
        assert "private" not in prompt and "results" not in prompt


def broken(program: str) -> str:
    return f"```python\n{program}\n```"


HOSTILE = (
    "import os\nos._exit(0)",
    "raise SystemExit",
    "import sys\nsys.exit(0)\ndef add_all(xs): return sum(xs)",
    "def add_all(xs):\n    import os\n    os._exit(0)",
    "class Same(int):\n    def __eq__(self, other): return True\ndef add_all(xs): return Same(8)",
    "def add_all(xs): return {}[xs]",
    "def add_all(xs) return sum(xs)",
    "def add_none(xs): return sum(xs)",
    "def add_all(xs): return print",
    "def add_all(xs):\n    while True: xs.append('x' * 10 ** 8)",
)


@pytest.mark.parametrize("program", HOSTILE)
def test_hostile_programs_are_wrong(program: str) -> None:
    assert scored(programs, row_of("humaneval_plus"), broken(program)) == ([0.0], 0)


@pytest.mark.parametrize(
    "text", ["", "I cannot.", "def add_all(xs): return sum(xs)", "```python\n```", "```cpp\nint x;\n```"]
)
@pytest.mark.parametrize("name", CODE)
def test_without_a_block_of_code_there_is_no_program(name: str, text: str) -> None:
    assert scored(programs, row_of(name), text) == ([0.0], 0)


def test_a_program_may_leave_its_block_open() -> None:
    program = FIXTURES["humaneval_plus"].right[0]
    assert scored(programs, row_of("humaneval_plus"), f"```python\n{program}") == ([1.0], 0)


def test_all_tests_count_also_the_private_ones() -> None:
    row = dict(row_of("livecodebench_v6"))
    only_public = "a, b = input().split()\nprint(a)"
    assert scored(programs, row, response(only_public)) == ([0.0], 0)
    row["private_test_cases"] = packed([])
    assert scored(programs, row, response(only_public)) == ([1.0], 0)


@pytest.mark.parametrize(
    "change",
    [
        {"private_test_cases": "bm8gdGVzdHM="},
        {"private_test_cases": "[{}]"},
        {"public_test_cases": "[", "private_test_cases": "["},
        {"public_test_cases": "[]", "private_test_cases": "[]"},
    ],
)
def test_tests_that_cannot_be_read_leave_responses_unknown(change: dict[str, str]) -> None:
    row = {**row_of("livecodebench_v6"), **change}
    assert programs.prompt(row).startswith("Read two integers")
    assert scored(programs, row, response("print(1)"), "") == ([0.0, 0.0], 2)


def test_a_row_without_a_function_name_is_asked_all_the_same() -> None:
    row = {**row_of("livecodebench_v6", 2), "metadata": json.dumps({})}
    assert "class Solution" in programs.prompt(row)
    assert scored(programs, row, response(FIXTURES["livecodebench_v6"].right[2])) == ([0.0], 1)


@pytest.mark.parametrize(("index", "stdin"), [(0, True), (2, False)])
def test_a_program_is_told_where_its_input_comes_from(index: int, stdin: bool) -> None:
    assert ("from standard input" in programs.prompt(row_of("livecodebench_v6", index))) == stdin


def test_private_tests_are_unpacked_once_for_all_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    original = programs.read_problem
    monkeypatch.setattr(programs, "read_problem", lambda fields: read.append(fields) or original(fields))
    programs.process_results(row_of("livecodebench_v6"), [response(f"print({index})") for index in range(4)])
    assert len(read) == 1


def test_private_tests_are_not_unpacked_for_a_prompt() -> None:
    row = {**row_of("livecodebench_v6"), "private_test_cases": "not packed at all"}
    assert programs.prompt(row) == programs.prompt(row_of("livecodebench_v6"))


def test_a_machine_that_cannot_keep_programs_apart_is_named_before_a_model_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fault(check: Any, *, reading: bool) -> None:
        raise SandboxFault("not here")

    monkeypatch.setattr(programs, "_SANDBOX", LocalSandbox())
    monkeypatch.setattr("uniopd_mm.tasks.sandbox.local.check_apart", fault)
    with pytest.raises(UserError, match="cannot be isolated"):
        programs.prompt(row_of("humaneval_plus"))
    assert scored(programs, row_of("humaneval_plus"), response("print(1)")) == ([0.0], 1)


def test_references_stand_in_the_samples() -> None:
    assert competitions.target(row_of("aime24")) == "130"
    assert programs.target(row_of("mbpp_plus")) == FIXTURES["mbpp_plus"].right[0]
    assert programs.target(row_of("humaneval_plus")) == "    return sum(xs)\n"
    assert programs.target(row_of("livecodebench_v6")) == ""


def test_fault_2_scores_are_the_same_in_threads() -> None:
    """math_verify's own time limit works in the main thread only, and its error counts as a wrong answer."""
    fixture = FIXTURES["hmmt25_feb"]
    questions = [(row, index) for index, row in enumerate(fixture.rows)] * 4

    def score(question: tuple[Mapping[str, Any], int]) -> list[float]:
        row, index = question
        item = competitions.process_results(row, [response(fixture.right[index]), response(fixture.wrong[index])])
        return item["score"]["scores"]

    assert threading.current_thread() is threading.main_thread()
    here = [score(question) for question in questions]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(score, questions)) == here == [[1.0, 0.0]] * len(questions)


def thought(fixture: Fixture, index: int, *, said: list[str]) -> list[str]:
    """The answer said after thoughts of the other one, as models and chat templates write thoughts."""
    other = response((fixture.wrong if said is fixture.right else fixture.right)[index])
    text = response(said[index])
    return [
        f"<think>{other}</think>{text}",
        f"{other}\n</think>\n\n{text}",
        f"<think>{other}</think>{other}</think>{text}",
    ]


@pytest.mark.parametrize("name", ["aime24", "hmmt25_feb", *CODE])
def test_fault_5_thoughts_are_no_answers(name: str) -> None:
    """lmms-eval's command line takes thoughts out of responses before scoring, its Python interface does not."""
    fixture = FIXTURES[name]
    row = fixture.rows[0]
    assert scored(MODULES[name], row, *thought(fixture, 0, said=fixture.right)) == ([1.0] * 3, 0)
    assert scored(MODULES[name], row, *thought(fixture, 0, said=fixture.wrong)) == ([0.0] * 3, 0)
    assert scored(MODULES[name], row, f"<think>{response(fixture.right[0])}</think>") == ([0.0], 0)
    assert scored(MODULES[name], row, f"<think>\n{response(fixture.right[0])}\nWait") == ([0.0], 0)  # cut off
