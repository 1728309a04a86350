"""Reading rows from real files: every fault is named with its place, and what is good still comes out."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uniopd_mm.tasks.reading.files import RawRow
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.rows import Reading, read_samples
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Sample, Skip, UserError

GOOD = {"id": "1", "question": "q", "answer": "x"}


def parse(row: Row) -> tuple[Sample, str | None]:
    """The least a task asks of a row: a question and an answer."""
    sample = Sample(
        sample_id=row.identity(["question", "answer"]),
        domain="d",
        messages=(),
        answer=row.text("answer"),
        source=row.where,
        pass_rate=row.share("pass_rate"),
        metadata={"question": row.text("question")},
    )
    return sample, row.fields.get("split")


def read(path: Path, **columns: str) -> Reading:
    source = RowSource(path=str(path), columns=columns)
    return read_samples(source, parse=parse, fields=("id", "question", "answer", "pass_rate"))


def write_lines(path: Path, *lines: Any) -> Path:
    """Bytes and texts as they are, anything else as JSON."""
    raw = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    path.write_bytes(b"\n".join(raw) + b"\n")
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


FAULTS = [
    ('{"id": "2", "question": ', "not valid JSON at column"),
    ("not json", "not valid JSON at column 1"),
    ("{'id': '2'}", "not valid JSON"),
    ("[1, 2]", "must be an object, got list"),
    ('"text"', "must be an object, got str"),
    ("null", "must be an object, got NoneType"),
    ("17", "must be an object, got int"),
    ("9" * 5000, "a number is too long"),
    ("[" * 100_000, "nested too deeply"),
    (b'{"id": "2", "question": "\xff\xfe", "answer": "x"}', "not valid Unicode"),
    ('{"id": "2", "question": "\\ud800", "answer": "x"}', "not valid Unicode"),
    ("\x00\x00\x00", "not valid JSON"),
    ({"id": "2", "question": "q"}, "no answer"),
    ({"id": "2", "question": "q", "answer": None}, "no answer"),
    ({"id": "2", "question": "q", "answer": " "}, "no answer"),
    ({"id": "2", "question": "q", "answer": float("nan")}, "no answer"),
    ({"id": "2", "question": "q", "answer": []}, "no answer"),
    ({"id": "2", "question": "q", "answer": ["x"]}, "answer must be text, got list"),
    ({"id": "2", "answer": "x"}, "no question"),
    ({}, "no question|no answer"),
    ({"id": ["2"], "question": "q", "answer": "x"}, "id must be text, got list"),
    ({"id": True, "question": "q", "answer": "x"}, "id must be text, got bool"),
    ({"id": "1", "question": "other", "answer": "y"}, "duplicate id '1', first at .*rows.jsonl:1"),
    ({"id": 1, "question": "other", "answer": "y"}, "duplicate id '1'"),
    (
        {"id": "2", "question": "q", "answer": "x", "pass_rate": 1.5},
        "pass_rate must be a number from 0 to 1, got '1.5'",
    ),
    ({"id": "2", "question": "q", "answer": "x", "pass_rate": "high"}, "pass_rate must be a number"),
    ({"id": "2", "question": "q", "answer": "x", "pass_rate": True}, "pass_rate must be a number"),
]


@pytest.mark.parametrize(("line", "reason"), FAULTS)
def test_a_bad_line_is_skipped_and_named(tmp_path: Path, line: Any, reason: str) -> None:
    path = write_lines(tmp_path / "rows.jsonl", GOOD, "", line, GOOD | {"id": "3"})
    reading = read(path)
    assert [sample.source for sample in reading.samples] == [f"{path}:1", f"{path}:4"]
    (skip,) = reading.skipped
    assert skip.where == f"{path}:3"
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(skip.reason)
    assert "\n" not in skip.reason and len(skip.reason) < 400


def test_every_fault_at_once_is_counted(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", GOOD, *(line for line, _ in FAULTS))
    reading = read(path)
    assert [skip.where for skip in reading.skipped] == [f"{path}:{number}" for number in range(2, len(FAULTS) + 2)]


def test_a_faulty_row_does_not_claim_its_id(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", {"id": "1", "question": "q"}, GOOD)
    assert [sample.source for sample in read(path).samples] == [f"{path}:2"]


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(tmp_path: Path) -> None:
    line = json.dumps(GOOD | {"question": "où 🎬"}).encode()
    path = tmp_path / "rows.JSONL"
    path.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n" + json.dumps(GOOD | {"id": 2}, ensure_ascii=False).encode())
    reading = read(path)
    assert ([sample.sample_id for sample in reading.samples], reading.skipped) == (["1", "2"], ())
    assert reading.samples[0].metadata["question"] == "où 🎬"


def test_rows_without_ids_are_told_apart_by_content(tmp_path: Path) -> None:
    row = {"question": "q", "answer": "x"}
    first = read(write_lines(tmp_path / "a.jsonl", row, row | {"answer": "y"}, row | {"pass_rate": 0.5}))
    assert len({sample.sample_id for sample in first.samples}) == 2
    assert [skip.where for skip in first.skipped] == [f"{tmp_path}/a.jsonl:3"]
    second = read(write_lines(tmp_path / "b.jsonl", row | {"answer": "z"}, row | {"extra": 1}))
    assert second.samples[1].sample_id == first.samples[0].sample_id


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.csv", b"question,answer\n", "the file has no rows"),
        ("rows.xlsx", b"PK", "unknown suffix .xlsx"),
        ("rows.parquet.gz", b"PAR1", "unknown suffix .gz"),
        ("rows", b"{}", "unknown suffix none"),
        ("rows.json", b"[]", "the file has no rows"),
        ("rows.jsonl", b"", "empty"),
        ("rows.parquet", b"", "empty"),
        ("rows.jsonl", b"\n \n\n", "the file has no rows"),
        ("rows.jsonl", b"{}\nnull\n", "none of its 2 rows can be used.*rows.jsonl:1: no "),
        ("rows.jsonl", '{"id": 1}'.encode("utf-16"), "none of its"),
        ("rows.parquet", b"not parquet at all", "unreadable after row 0"),
        ("rows.parquet", b"PAR1" + b"\x00" * 100 + b"PAR1", "unreadable after row 0"),
    ],
)
def test_a_file_of_no_use_is_one_clear_line(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=reason) as error:
        read(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value) and ";" in str(error.value)


def test_what_is_no_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    names = {"missing.jsonl": "no such file", "folder.jsonl": "neither a regular file", "pipe.jsonl": "neither a"}
    for name, reason in (names | {"x" * 5000 + ".jsonl": "cannot be read"}).items():
        with pytest.raises(UserError, match=reason):
            read(tmp_path / name)


def test_a_truncated_parquet_file_is_one_clear_line(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "rows.parquet", [GOOD | {"id": str(n)} for n in range(1000)])
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(UserError, match="unreadable after row 0"):
        read(path)


def test_parquet_that_is_damaged_inside_is_one_clear_line(tmp_path: Path) -> None:
    rows = [{"id": str(n), "question": f"question {n}", "answer": "x"} for n in range(2000)]
    path = write_parquet(tmp_path / "rows.parquet", rows)
    content = bytearray(path.read_bytes())
    content[4:400] = b"\xff" * 396
    path.write_bytes(content)
    with pytest.raises(UserError, match="unreadable after row"):
        read(path)


def test_parquet_rows_are_read_in_order_with_their_places(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [GOOD | {"id": str(n), "pass_rate": n / 1000} for n in range(1000)]
    rows[500]["answer"] = None
    path = write_parquet(tmp_path / "rows.parquet", rows)
    reading = read(path)
    assert [sample.sample_id for sample in reading.samples] == [str(n) for n in range(1000) if n != 500]
    assert reading.skipped == (Skip(where=f"{path}:row 501", reason="no answer"),)
    assert (reading.samples[0].source, reading.samples[-1].source) == (f"{path}:row 1", f"{path}:row 1000")


def test_jsonl_and_parquet_give_the_same_samples(tmp_path: Path) -> None:
    rows = [{"question": f"q{n}", "answer": ["x", None][n % 2], "extra": {"n": n}} for n in range(10)]
    as_lines = read(write_lines(tmp_path / "rows.jsonl", *rows)).samples
    as_parquet = read(write_parquet(tmp_path / "rows.parquet", rows)).samples
    assert [sample.sample_id for sample in as_lines] == [sample.sample_id for sample in as_parquet]
    assert len(as_lines) == 5


def test_columns_are_renamed(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", {"q": "why", "solution": "x", "answer": "theirs"}, {"q": "why"})
    reading = read(path, question="q", answer="solution")
    assert (reading.samples[0].answer, reading.samples[0].metadata) == ("x", {"question": "why"})
    assert reading.skipped[0].reason == "no answer (column 'solution')"
    swapped = write_lines(tmp_path / "swapped.jsonl", {"answer": "why", "question": "x"})
    assert read(swapped, question="answer", answer="question").samples[0].answer == "x"


def test_columns_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "rows.jsonl", GOOD)
    with pytest.raises(UserError, match=r"columns.pass_rate=acc: no row of .* has answer, id, question"):
        read(path, pass_rate="acc")
    with pytest.raises(UserError, match=r"columns.qestion=q: no such field; choose from answer, id"):
        read(path, qestion="q")


def test_rows_are_streamed(tmp_path: Path) -> None:
    """The first row comes although the file never ends well."""
    path = write_lines(tmp_path / "rows.jsonl", GOOD, "x" * 1000)
    first = next(RowSource(path=str(path)).raw_rows())
    assert first == RawRow(where=f"{path}:1", content=GOOD, folder=str(tmp_path))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
LINES = st.binary(max_size=30) | st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("id", "question", "answer", "pass_rate", "split"), JSON_VALUES)
).map(lambda row: json.dumps(row).encode())


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES.filter(lambda line: b"\n" not in line and line.strip() != b""), max_size=8))
def test_every_line_is_a_sample_or_a_skip(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.jsonl"
    path.write_bytes(b"\n".join([json.dumps(GOOD).encode(), *lines]))
    reading = read(path)
    places = [sample.source for sample in reading.samples] + [skip.where for skip in reading.skipped]
    assert sorted(places) == sorted(f"{path}:{number}" for number in range(1, len(lines) + 2))
