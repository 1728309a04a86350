"""Mathematics as a task: rows with and without pictures, grading by value or by choice, and what a judge is asked."""

import json
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from uniopd_mm.cli.groups import CONFIGS
from uniopd_mm.config.components import build
from uniopd_mm.config.train import DataConfig
from uniopd_mm.interfaces import Task
from uniopd_mm.tasks.grading.answers import right, unknown
from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.reading.questions import marked
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions
from uniopd_mm.types import Media, Outcome, Sample, UserError


def rows(folder: Path, *rows: dict[str, Any]) -> RowSource:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return RowSource(path=str(path), validation_fraction=0)


def only(task: MathTask) -> Sample:
    (sample,) = task.samples("train")
    return sample


def test_a_problem_in_words(tmp_path: Path) -> None:
    task: Task = MathTask(rows=rows(tmp_path, {"question": "What is 1/2 + 1/4?", "answer": 0.75, "level": 2}))
    (sample,) = task.samples("train")
    assert sample.messages[0].content == (
        "What is 1/2 + 1/4?\nPlease reason step by step, and put your final answer within \\boxed{}.",
    )
    assert (sample.domain, sample.answer, sample.metadata) == ("math", "0.75", {"level": 2})
    responses = {r"\boxed{\frac{3}{4}}": True, "The answer is 75/100.": True, r"\boxed{0.7}": False, "": False}
    assert {text: task.grade(sample, text).correct for text in responses} == responses


def test_a_problem_with_a_picture_and_choices(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"png")
    row = {"question": "<image>Find x.", "images": ["a.png"], "choices": ["5", "7"], "answer": "<answer>B</answer>"}
    task = MathTask(rows=rows(tmp_path, row), instruction="Think.")
    sample = only(task)
    picture = Media(kind="image", source=str(tmp_path / "a.png"))
    assert sample.messages[0].content == (picture, "Find x.\nA. 5\nB. 7\nThink.")
    assert (sample.answer, sample.metadata) == ("B", {"choices": {"A": "5", "B": "7"}})
    responses = {"B": True, r"\boxed{7}": True, "A": False, "A or B": False}
    assert {text: task.grade(sample, text).correct for text in responses} == responses


@pytest.mark.parametrize(
    ("answer", "written"),
    [
        (r"First $2 \cdot 3$, so \boxed{6}.", "6"),
        ("So it is 6.\n#### 6", "6"),
        ("<think>?</think><answer> 6 </answer>", "6"),
        (["6"], "6"),
        (6, "6"),
        ("six", "six"),
    ],
)
def test_answers_in_odd_shapes(tmp_path: Path, answer: Any, written: str) -> None:
    assert only(MathTask(rows=rows(tmp_path, {"question": "2 * 3?", "answer": answer}))).answer == written


def test_marks_that_mark_nothing_stay() -> None:
    assert [marked(text) for text in ("####", "a #### ", r"\boxed{}", "<answer></answer>")] == [
        "####", "a #### ", r"\boxed{}", "<answer></answer>",
    ]  # fmt: skip


class Referee:
    """A judge that remembers what it was asked and says one thing."""

    def __init__(self, verdict: Outcome) -> None:
        self.asked: list[tuple[str, str, str, bool | None]] = []
        self.verdict = verdict

    def judge(self, question: str, reference: str, response: str, outcome: Outcome) -> Outcome:
        self.asked.append((question, reference, response, outcome.correct))
        return self.verdict


def test_a_judge_is_asked_where_rules_find_no_right_answer(tmp_path: Path) -> None:
    referee = Referee(right("the judge says so"))
    task = MathTask(rows=rows(tmp_path, {"question": "Who?", "answer": "Gauss"}), judge=referee, instruction="")
    sample = only(task)
    assert task.grade(sample, r"\boxed{Gauss}").reason != "the judge says so"
    assert referee.asked == []
    assert task.grade(sample, r"\boxed{Carl F. Gauss}").reason == "the judge says so"
    assert referee.asked == [("Who?", "Gauss", r"\boxed{Carl F. Gauss}", False)]
    undecided = MathTask(rows=RowSource(), synthetic=SyntheticVideoQuestions(), judge=Referee(unknown("late")))
    assert undecided.grade(sample, r"\boxed{3}").correct is None


def test_nothing_to_read_is_refused() -> None:
    with pytest.raises(UserError, match=r"data\.path=null"):
        MathTask(rows=RowSource())


@pytest.mark.parametrize("name", ["math", "vqa", "chart", "video_qa"])
def test_a_tasks_yaml_fits_below_another_node(tmp_path: Path, name: str) -> None:
    """As in a mixture: what refers to the task itself must not look for it at the top."""
    (tmp_path / "mixed.yaml").write_text(f"defaults:\n  - /task/{name}@tasks.one\n", encoding="utf-8")
    search = f"hydra.searchpath=[file://{CONFIGS}]"
    with initialize_config_dir(str(tmp_path), version_base="1.3"):
        composed = compose("mixed", [search, "tasks.one.instruction=Say it.", "+data.path=rows.jsonl"])
    whole = OmegaConf.merge({"data": OmegaConf.structured(DataConfig)}, composed, {"data": {"max_rows": 3}})
    node: Any = OmegaConf.to_container(whole, resolve=True)["tasks"]["one"]  # type: ignore[index,call-overload]
    assert (node["synthetic"]["instruction"], node["synthetic"]["domain"]) == ("Say it.", node["domain"])
    assert isinstance(build(node["rows"], "rows"), RowSource)
    assert (node["rows"]["path"], node["rows"]["max_rows"]) == ("rows.jsonl", 3)
    task = build(node, "tasks.one")
    assert task.domain == name
