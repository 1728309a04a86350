"""What a judge is shown of a question's references, by the tasks themselves and over a real HTTP server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_parts import Endpoint, serving

from uniopd_mm.tasks.grading.judge import INSTRUCTION, Judge
from uniopd_mm.tasks.image_qa import ImageQaTask
from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.reading.sources import RowSource


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with serving() as told:
        yield told


def shown(kind: type[ImageQaTask] | type[MathTask], endpoint: Endpoint, folder: Path, **row: Any) -> str:
    """The reference that the judge is shown with an answer that no rule finds right."""
    (folder / "a.png").write_bytes(b"png")
    path = folder / "rows.jsonl"
    path.write_text(json.dumps({"question": "What is it?", "images": "a.png", **row}), encoding="utf-8")
    rows = RowSource(path=str(path), validation_fraction=0)
    task = kind(rows=rows, judge=Judge(base_url=endpoint.url, model="m"))
    (sample,) = task.samples("train")
    assert task.grade(sample, r"\boxed{zebra}").reason.startswith("judge:")
    return json.loads(endpoint.requests[-1]["messages"][1]["content"])["reference"]


def test_all_references_are_shown_once_in_order(endpoint: Endpoint, tmp_path: Path) -> None:
    assert shown(ImageQaTask, endpoint, tmp_path, answer=["mug", "a cup", "mug", "cup"]) == "mug / a cup / cup"
    said = [{"answer": "red", "answer_id": 1}, {"answer": "red", "answer_id": 2}]
    assert shown(ImageQaTask, endpoint, tmp_path, answer=said) == "red"
    assert 'several answers with " / " between them, any one of them is right' in INSTRUCTION


def test_a_column_that_happens_to_be_called_references_is_none(endpoint: Endpoint, tmp_path: Path) -> None:
    assert shown(MathTask, endpoint, tmp_path, answer="7", references=["Euclid", "Gauss"]) == "7"
