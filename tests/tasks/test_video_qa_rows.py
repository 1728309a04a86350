"""The row that a sample carries: written to a file anywhere, it gives the same sample, without a column map."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions
from uniopd_mm.tasks.video_qa import VideoQaTask

GIVEN: list[dict[str, Any]] = [
    {"id": "1", "question": "q", "answer": 2.5, "images": "a.png", "split": "val", "pass_rate": 1},
    {"question": "q", "answer": True, "file": "clips/a.mp4", "video": "theirs", "level": 3, "tags": ["x", None]},
    {"question": "q", "answer": "1", "choices": ["red", "A. blue"], "response": r"It is \boxed{B}"},
    {"question": "q", "answer": 1.0, "choices": ["red", "blue"]},
    {"question": "q", "answer": "c", "choices": {"x.": "a", "y": "c", "z": None}},
]


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("given", GIVEN)
def test_a_row_is_read_again_in_another_folder(
    tmp_path: Path, given: dict[str, Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    (mine / "clips").mkdir(parents=True)
    other.mkdir()
    for name in ("clips/a.mp4", "clips/b.mp4", "a.png"):
        (mine / name).touch()
    monkeypatch.chdir(mine)
    given = {"file": ["clips/a.mp4", "clips/b.mp4"], **given}
    if kind == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist([given]), "rows.parquet")
    else:
        Path("rows.jsonl").write_text(json.dumps(given), encoding="utf-8")
    split = "validation" if "split" in given else "train"
    rows = RowSource(path=f"rows.{kind}", columns={"video": "file"}, validation_fraction=0)
    (sample,) = VideoQaTask(rows=rows).samples(split)
    (other / "rows.jsonl").write_text(json.dumps(sample.row), encoding="utf-8")
    (again,) = VideoQaTask(rows=RowSource(path=str(other / "rows.jsonl"), validation_fraction=0)).samples(split)
    assert replace(again, source=sample.source) == sample


def test_a_synthetic_row_is_read_again(tmp_path: Path, generator: SyntheticVideoQuestions) -> None:
    samples = generator.samples("train").samples
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(sample.row)}\n" for sample in samples), encoding="utf-8")
    task = VideoQaTask(rows=RowSource(path=str(path), validation_fraction=0))
    for sample, again in zip(samples, task.samples("train"), strict=True):
        assert (again.sample_id, again.messages) == (sample.sample_id, sample.messages)
        assert (again.answer, again.demonstration) == (sample.answer, sample.demonstration)
