"""Questions about pictures as a task: several references, three metrics, choices."""

import json
from pathlib import Path
from typing import Any

import pytest

from uniopd_mm.tasks.image_qa import ImageQaTask
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Sample, UserError


def task(folder: Path, metric: str = "exact", **row: Any) -> ImageQaTask:
    (folder / "a.png").write_bytes(b"png")
    path = folder / "rows.jsonl"
    path.write_text(json.dumps({"question": "What is it?", "images": "a.png", **row}), encoding="utf-8")
    return ImageQaTask(rows=RowSource(path=str(path), validation_fraction=0), metric=metric)


def only(task: ImageQaTask) -> Sample:
    (sample,) = task.samples("train")
    return sample


def graded(task: ImageQaTask, responses: dict[str, bool]) -> dict[str, bool | None]:
    sample = only(task)
    return {response: task.grade(sample, response).correct for response in responses}


def test_any_reference_is_right(tmp_path: Path) -> None:
    qa = task(tmp_path, answer=["a cup", "mug", None, ""])
    sample = only(qa)
    assert (sample.answer, sample.metadata) == ("a cup", {"references": ("a cup", "mug")})
    assert sample.row["answer"] == ["a cup", "mug", None, ""]
    responses = {r"\boxed{cup}": True, "The answer is: mug.": True, "a glass": False, "": False}
    assert graded(qa, responses) == responses


def test_documents_may_be_off_by_letters(tmp_path: Path) -> None:
    """ANLS by hand: "jon smith" is one edit of ten characters from "john smith", 0.9; "mary" is nothing like it."""
    qa = task(tmp_path, "anls", answer=["John Smith", "J. Smith"])
    sample = only(qa)
    outcome = qa.grade(sample, r"\boxed{Jon Smith}")
    assert (outcome.correct, outcome.reward) == (True, pytest.approx(0.9))
    assert qa.grade(sample, r"\boxed{Mary}").correct is False
    exact = task(tmp_path, answer=["John Smith", "J. Smith"])
    assert exact.grade(sample, r"\boxed{Jon Smith}").correct is False


def test_ten_people_who_do_not_agree(tmp_path: Path) -> None:
    """VQAv2 rows: an answer counts as much as people say it, and fully from three."""
    people = [{"answer": text, "answer_id": n} for n, text in enumerate(["red"] * 6 + ["dark red"] * 3 + ["brown"])]
    qa = task(tmp_path, "vqa", answer=people)
    sample = only(qa)
    rewards = {text: qa.grade(sample, rf"\boxed{{{text}}}").reward for text in ("red", "dark red", "brown", "blue")}
    assert rewards["red"] == 1.0 and 0 < rewards["brown"] < rewards["dark red"] <= 1 and rewards["blue"] == 0


@pytest.mark.parametrize("metric", ["exact", "anls", "vqa"])
def test_choices_are_graded_as_choices(tmp_path: Path, metric: str) -> None:
    qa = task(tmp_path, metric, answer=1, choices=["a cup", "a hat"])
    assert only(qa).answer == "B"
    responses = {"B": True, "a hat": True, "A": False, "a bat": False}
    assert graded(qa, responses) == responses


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"images": None, "answer": "x"}, "no images"),
        ({"answer": [None, " "]}, "no answer"),
        ({"answer": [["x"]]}, "answer must be text, got list"),
        ({"answer": {"text": "x"}}, "answer must be text, got dict"),
        ({"answer": "x", "question": ""}, "no question"),
    ],
)
def test_a_row_of_no_use_says_why(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError, match=f"none of its 1 rows can be used.*{reason}"):
        task(tmp_path, **row).samples("train")


def test_a_metric_that_is_none_is_refused() -> None:
    with pytest.raises(UserError, match=r"task\.metric=bleu: no such metric; choose from exact, anls, vqa"):
        ImageQaTask(rows=RowSource(path="rows.jsonl"), metric="bleu")


def test_references_travel_with_the_sample_and_its_row(tmp_path: Path) -> None:
    sample = only(task(tmp_path, answer=["a cup", "mug"]))
    elsewhere = tmp_path / "elsewhere.jsonl"
    elsewhere.write_text(json.dumps(sample.row), encoding="utf-8")
    fresh = ImageQaTask(rows=RowSource(path=str(elsewhere), validation_fraction=0))
    assert only(fresh).metadata == sample.metadata
    assert fresh.grade(sample, "mug").correct is True
