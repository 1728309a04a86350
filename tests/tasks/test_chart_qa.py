"""Questions about charts as a task: numbers with their usual tolerance, texts without, choices."""

import json
from pathlib import Path
from typing import Any

import pytest

from uniopd_mm.tasks.chart_qa import ChartTask
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Media, Sample, UserError


def task(folder: Path, **row: Any) -> ChartTask:
    (folder / "bars.png").write_bytes(b"png")
    path = folder / "rows.jsonl"
    path.write_text(json.dumps({"question": "How many?", "images": ["bars.png"], **row}), encoding="utf-8")
    return ChartTask(rows=RowSource(path=str(path), validation_fraction=0))


def only(task: ChartTask) -> Sample:
    (sample,) = task.samples("train")
    return sample


@pytest.mark.parametrize(
    ("row", "responses"),
    [
        ({"answer": ["200"]}, {r"\boxed{210}": True, r"\boxed{211}": False, "190": True, "-200": False, "": False}),
        ({"answer": 0}, {r"\boxed{0}": True, r"\boxed{0.01}": False}),
        ({"answer": "Norway"}, {"Norway": True, "Sweden": False}),
        ({"answer": True}, {"Yes": True, "no": False}),
        ({"answer": "b", "choices": {"a": "2019", "b": "2020"}}, {"B": True, "2020": True, "2019": False}),
    ],
)
def test_answers_are_graded(tmp_path: Path, row: dict[str, Any], responses: dict[str, bool]) -> None:
    charts = task(tmp_path, **row)
    sample = only(charts)
    assert {response: charts.grade(sample, response).correct for response in responses} == responses


def test_the_prompt_shows_the_chart_first(tmp_path: Path) -> None:
    sample = only(task(tmp_path, answer="3"))
    chart = Media(kind="image", source=str(tmp_path / "bars.png"))
    assert sample.messages[0].content == (chart, "How many?\nAnswer in \\boxed{}.")
    assert sample.domain == "chart"


def test_a_chart_is_needed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images"):
        task(tmp_path, answer="3", images=[]).samples("train")


def test_a_reference_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    charts = task(tmp_path, answer="3")
    blank = Sample(sample_id="1", domain="chart", messages=(), answer=None, source="made")
    assert charts.grade(blank, "3").correct is None
