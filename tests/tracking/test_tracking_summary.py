"""summary.json and the final table."""

import json
import math
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from uniopd_mm.tracking.summary import Summary, overall, read_summary, summary_table, table_rows, write_summary
from uniopd_mm.types import Skip, UserError


@pytest.fixture
def summary() -> Summary:
    return Summary(
        task="mixture",
        steps=100,
        accuracy_before={"video_qa": 0.5, "math": 0.25},
        accuracy_after={"video_qa": 0.9, "math": None},
        teacher_accuracy={"video_qa": 1.0},
        num_questions={"video_qa": 400, "math": 100},
        seconds=61.5,
        skipped=(Skip(where="train.jsonl:17", reason="no answer"),),
        teacher_failures=2,
        unknown_outcomes=3,
        extra={"seed": 1},
    )


def test_the_file_has_the_fixed_fields_and_reads_back(tmp_path: Path, summary: Summary) -> None:
    written = json.loads(write_summary(tmp_path, summary).read_text())
    fixed = {"task", "steps", "accuracy_before", "accuracy_after", "teacher_accuracy", "seconds"}
    assert fixed <= written.keys()
    assert written["accuracy_after"] == {"video_qa": 0.9, "math": None}
    assert written["skipped"] == {"count": 1, "items": [{"where": "train.jsonl:17", "reason": "no answer"}]}
    assert read_summary(tmp_path) == summary
    assert read_summary(tmp_path / "elsewhere") is None


def test_an_accuracy_that_is_no_number_survives(tmp_path: Path, summary: Summary) -> None:
    fields = {name: getattr(summary, name) for name in Summary.__slots__}
    write_summary(tmp_path, Summary(**{**fields, "accuracy_after": {"video_qa": math.nan}}))
    read = read_summary(tmp_path)
    assert read is not None and math.isnan(read.accuracy_after["video_qa"] or 0.0)


def test_a_full_disk_is_one_line(tmp_path: Path, summary: Summary) -> None:
    (tmp_path / ".summary.json.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"summary\.json: no space left on the device; free some space, then resume"):
        write_summary(tmp_path, summary)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "[]", '{"task": "x"}', '{"skipped": {"items": []}}'])
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(UserError, match=r"summary\.json: not a run's summary"):
        read_summary(tmp_path)


def test_the_table_shows_percent_and_standard_error(summary: Summary) -> None:
    """sqrt(0.5 * 0.5 / 400) = 0.025; sqrt(0.9 * 0.1 / 400) = 0.015; sqrt(0.25 * 0.75 / 100) = 0.0433. Half of Wilson's
    interval for 400 of 400 is 1 / (2 * 401) = 0.00125."""
    file = StringIO()
    Console(file=file, width=100).print(summary_table(summary))
    rows = [line.split() for line in file.getvalue().splitlines()]
    assert ["video_qa", "400", *["50.0", "%", "±", "2.5", "90.0", "%", "±", "1.5", "100.0", "%", "±", "0.1"]] in rows
    assert ["math", "100", *["25.0", "%", "±", "4.3"], "-", "-"] in rows
    assert "mixture: 100 steps in 62 s" in file.getvalue()


def test_few_questions_are_shown_as_counts(summary: Summary) -> None:
    few = replace(summary, accuracy_before={"a": 0.0}, accuracy_after={"a": 0.75}, num_questions={"a": 4})
    assert table_rows(few)[0] == ("a", "4", "0 of 4", "3 of 4", "-")


def test_the_overall_accuracy_is_weighted_by_questions() -> None:
    counts = {"a": 300, "b": 100}
    assert overall({"a": 0.5, "b": 0.9}, counts) == pytest.approx(0.6)
    assert overall({"a": 0.5, "b": None}, counts) == 0.5
    assert overall({}, counts) is None
