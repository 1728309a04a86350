"""Where rows come from when they are files: folders, globs, maps into columns, and rows that are left out."""

import json
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.rows import Reading, read_samples
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Sample, UserError

FIELDS = ("id", "question", "answer", "choices")


def parse(row: Row) -> tuple[Sample, str | None]:
    fields = {"choices": row.fields.get("choices"), "others": dict(row.others)}
    sample = Sample(
        sample_id=row.identity(FIELDS),
        domain="d",
        messages=(),
        answer=row.text("answer"),
        source=row.where,
        metadata=fields,
    )
    return sample, None


def read(path: Any, **options: Any) -> Reading:
    return read_samples(RowSource(path=str(path), **options), parse=parse, fields=FIELDS)


def answers(path: Any, **options: Any) -> list[str | None]:
    return [sample.answer for sample in read(path, **options).samples]


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    else:
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_a_folder_is_all_of_its_files_in_order(tmp_path: Path) -> None:
    write(tmp_path / "b.parquet", {"answer": "3"}, {"answer": "4"})
    write(tmp_path / "a.jsonl", {"answer": "1"}, {"answer": "2"})
    write(tmp_path / "c" / "d.jsonl", {"answer": "5"})
    (tmp_path / "README.md").write_text("not rows", encoding="utf-8")
    reading = read(tmp_path)
    assert [sample.answer for sample in reading.samples] == ["1", "2", "3", "4", "5"]
    places = [sample.source for sample in reading.samples]
    assert (places[1], places[3]) == (f"{tmp_path}/a.jsonl:2", f"{tmp_path}/b.parquet:row 2")
    assert answers(f"{tmp_path}/*.parquet") == ["3", "4"]
    assert answers(f"{tmp_path}/**/d.jsonl") == ["5"]


def test_files_of_several_splits_do_not_leak_into_each_other(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write(tmp_path / f"{split}-00000-of-00001.parquet", {"answer": split})
    with pytest.raises(UserError, match=r"several splits.*data.source_split, or a glob"):
        read(tmp_path)
    assert answers(f"{tmp_path}/train*") == ["train"]
    assert answers(write(tmp_path / "contest_trained" / "attested.jsonl", {"answer": "1"}).parent) == ["1"]


@pytest.mark.parametrize(
    ("path", "message"),
    [("none*.jsonl", "no file matches this glob"), ("empty", "neither a regular file nor")],
)
def test_a_path_without_files_is_one_clear_line(tmp_path: Path, path: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path / path)
    assert "data.path=" in str(error.value) and ";" in str(error.value)


VERL = {
    "prompt": [{"role": "system", "content": "s"}, {"role": "user", "content": "1 + 1?"}],
    "reward_model": {"style": "rule", "ground_truth": "2"},
    "extra_info": {"index": 7, "split": "train"},
}


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_a_map_reaches_into_columns(tmp_path: Path, name: str) -> None:
    columns = {"question": "prompt.-1.content", "answer": "reward_model.ground_truth", "id": "extra_info.index"}
    reading = read(write(tmp_path / name, VERL), columns=columns)
    assert (reading.samples[0].answer, reading.samples[0].sample_id) == ("2", "7")
    with pytest.raises(
        UserError, match=r"data.columns.answer=reward_model.truth: no row of .* has this column; it has"
    ):
        read(tmp_path / name, columns={"answer": "reward_model.truth"})


def test_a_column_with_a_dot_in_its_name_comes_first(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", {"a.b": "whole", "a": {"b": "part"}})
    assert answers(path, columns={"answer": "a.b"}) == ["whole"]


def test_a_list_collects_columns_and_a_text_takes_them_in(tmp_path: Path) -> None:
    rows = [{"a0": "x", "a1": None, "a2": "z", "a3": None, "n": 4}, {"a0": "y", "n": None}]
    columns = {"choices": ["a0", "a1", "a2", "a3"], "answer": "clips/{n}.mp4"}
    reading = read(write(tmp_path / "rows.jsonl", *rows), columns=columns)
    (sample,) = reading.samples
    assert (sample.answer, sample.metadata["choices"]) == ("clips/4.mp4", ["x", None, "z"])
    assert sample.metadata["others"] == {}
    assert reading.skipped[0].reason == "no answer (column 'clips/{n}.mp4')"


@pytest.mark.parametrize("theirs", [3, [], [1], "", None, {"a": "b"}])
def test_a_map_to_nothing_is_refused(theirs: Any) -> None:
    with pytest.raises(UserError, match=r"data.columns.answer=.*must be a column name"):
        RowSource(path="rows.jsonl", columns={"answer": theirs})


def test_where_leaves_rows_out_and_counts_them(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"answer": "1", "ability": "code", "x": {"level": 3}},
        {"answer": "2", "ability": "math", "x": {"level": 3}},
        {"answer": "3", "ability": "code", "x": {"level": 4}},
        {"answer": "4", "ability": "code"},
        {"ability": "code", "x": {"level": 3}},
    ]
    path = write(tmp_path / "rows.jsonl", *rows)
    reading = read(path, where={"ability": "code", "x": {"level": "3"}})
    assert ([sample.answer for sample in reading.samples], reading.left_out) == (["1"], 3)
    assert [skip.reason for skip in reading.skipped] == ["no answer"]
    assert answers(path, where={"x.level": [4, 5]}) == ["3"]
    with pytest.raises(UserError, match=r"data.where: none of the 5 rows .* has ability=cod; there is .*'code' \(4\)"):
        read(path, where={"ability": "cod"})


def test_no_more_rows_than_wanted_are_read(tmp_path: Path) -> None:
    rows = [{"answer": str(n), "kind": n % 2} for n in range(10)]
    path = write(tmp_path / "rows.jsonl", *rows)
    path.write_text(path.read_text(encoding="utf-8") + "broken\n", encoding="utf-8")
    reading = read(path, where={"kind": 1}, max_rows=3)
    assert ([sample.answer for sample in reading.samples], reading.skipped) == (["1", "3", "5"], ())
    with pytest.raises(UserError, match=r"data\.max_rows=0"):
        RowSource(max_rows=0)


def test_ignored_columns_are_not_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", {"answer": "1", "long": "x" * 1000, "level": 2})
    assert read(path, ignore=["long"]).samples[0].metadata["others"] == {"level": 2}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": "main"}, "data.subset=main"),
        ({"streaming": True}, "data.streaming=true"),
        ({"source_split": "test"}, "data.source_split=test"),
    ],
)
def test_settings_that_files_do_not_notice_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"{message}: data.path=rows.jsonl is read as files;"):
        RowSource(path="rows.jsonl", **options)
    RowSource(path="hub:OWNER/NAME", **options)


def test_rows_are_read_once(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", *({"question": f"{n} + 1?", "answer": str(n + 1)} for n in range(20)))
    task = MathTask(rows=RowSource(path=str(path), validation_fraction=0.5))
    train = task.samples("train")
    path.unlink()
    assert len(train) + len(task.samples("validation")) == 20
