"""Rows in .json, .csv, .tsv, compressed lines and .tar: read as they are, or refused in one line."""

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shape_parts import RED

from uniopd_mm.tasks.reading import formats, shards
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import UserError


def contents(path: Path) -> list[Any]:
    return [raw.content for raw in RowSource(path=str(path)).raw_rows()]


def tar(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as shard:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            shard.addfile(member, io.BytesIO(content))
    return path


ROWS = [{"question": "a", "answer": 1}, {"question": "b", "answer": None}]
JSON = [
    (json.dumps(ROWS), ROWS),
    (json.dumps({"info": {}, "data": ROWS}), ROWS),
    (json.dumps({"version": 1, "questions": ROWS, "ids": [1, 2]}), ROWS),
    (json.dumps({"7": ROWS[0], "8": ROWS[1]}), [{"_key": "7", **ROWS[0]}, {"_key": "8", **ROWS[1]}]),
    ("".join(f"{json.dumps(row)}\n" for row in ROWS), ROWS),
    ("\ufeff" + json.dumps(ROWS), ROWS),
    (json.dumps([1, *ROWS]), ["must be an object, got int", *ROWS]),
    (json.dumps(ROWS, indent=2), ROWS),
]


@pytest.mark.parametrize(("text", "rows"), JSON)
def test_json(tmp_path: Path, text: str, rows: list[Any]) -> None:
    (tmp_path / "rows.json").write_text(text, encoding="utf-8")
    assert contents(tmp_path / "rows.json") == rows
    (tmp_path / "rows.json.gz").write_bytes(gzip.compress(text.encode()))
    assert contents(tmp_path / "rows.json.gz") == rows


def test_places_are_named(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("question\na\n\nb\n", encoding="utf-8")
    rows = list(RowSource(path=str(tmp_path / "rows.csv")).raw_rows())
    assert [row.where for row in rows] == [f"{tmp_path}/rows.csv:row 1", f"{tmp_path}/rows.csv:row 2"]
    assert rows[0].folder == str(tmp_path)


@pytest.mark.parametrize(("name", "mark"), [("rows.csv", ","), ("rows.tsv", "\t"), ("rows.csv.gz", ",")])
def test_tables(tmp_path: Path, name: str, mark: str) -> None:
    lines = [
        ["\ufeffquestion ", "answer", "image"],
        ['"two\nlines, ""quoted"""', "4", "x" * 200_000],
        ["short"],
        ["a", "b", "c", "d"],
    ]
    content = "".join(f"{mark.join(cells)}\r\n" for cells in lines).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert contents(tmp_path / name) == [
        {"question": 'two\nlines, "quoted"', "answer": "4", "image": "x" * 200_000},
        {"question": "short", "answer": None, "image": None},
        "has 4 cells, but there are 3 columns",
    ]


def test_compressed_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\nbroken\n'))
    rows = list(RowSource(path=str(path)).raw_rows())
    assert (rows[0].content, rows[1].where) == ({"a": 1}, f"{path}:2")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(UserError, match="cannot be read"):
        contents(path)


def test_a_shard(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "shard.tar",
        ("a/0001.png", RED),
        ("a/0001.json", b'{"question": "q", "image": "a/0001.png"}'),
        ("a/0002.left.png", RED),
        ("a/0002.right.png", RED),
        ("a/0002.txt", "où\n".encode()),
        ("a/0002.cls", b"3"),
        ("._junk.json", b"junk"),
        ("b/0001.mp4", b"clip"),
        ("b/0001.json", b"[1]"),
        ("c.json", b"{broken"),
        ("d.bin", b"\0"),
    )
    first, second, third, broken, other = contents(path)
    assert first == {"__key__": "a/0001", "question": "q", "images": [RED]}
    assert second == {"__key__": "a/0002", "images": [RED, RED], "txt": "où", "cls": "3"}
    assert third == {"__key__": "b/0001", "video": [b"clip"], "json": [1]}
    assert broken.startswith("c.json cannot be read")
    assert other == {"__key__": "d", "bin": b"\0"}


def test_members_that_are_too_large_or_no_files_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "MAX_MEMBER", 10)
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as shard:
        link = tarfile.TarInfo("a.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        shard.addfile(link)
        large = tarfile.TarInfo("b.json")
        large.size = 11
        shard.addfile(large, io.BytesIO(b'{"a": 1234}'))
    (row,) = contents(path)
    assert row == "b.json is over 0 MiB"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("rows.json", b'{"a": [{}], "b": [{}]}', "it holds an object with a, b; give a list of objects"),
        ("rows.json", b"7", "it holds int"),
        ("rows.json", b"{}", "it holds an object with"),
        ("rows.json", b"[1", "not valid JSON"),
        ("rows.json", b"\xff\xfe", "not valid Unicode"),
        ("rows.json", b"[" * 100_000, "not usable JSON"),
        ("rows.csv", b"\xff\xfe,\n", "not valid .csv"),
        ("rows.tar", b"no tar at all", "unreadable after row 0"),
        ("rows.jsonl.gz", b"no gzip", "cannot be read"),
        ("rows.tar.gz", gzip.compress(b"", mtime=0), "unknown suffix .gz"),
    ],
)
def test_a_file_of_no_use_is_one_clear_line(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        contents(tmp_path / name)
    message = str(error.value)
    assert reason in message and f"data.path={tmp_path}" in message and ";" in message and "\n" not in message


def test_a_line_without_an_end_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MAX_LINE", 1000)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(b"x" * 5000))
    with pytest.raises(UserError, match="line 1 is over 0 MiB; split it"):
        contents(tmp_path / "rows.jsonl.gz")


def test_a_folder_is_read_in_one_format(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "notes.csv").write_text("a\n1\n", encoding="utf-8")
    assert contents(tmp_path) == [{"a": "1"}]
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(b'{"b": 2}'))
    assert contents(tmp_path) == [{"b": 2}]


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from(["x.json", "x.csv", "x.tsv", "x.tar", "x.jsonl.gz"]),
    content=st.binary(min_size=1, max_size=700),
)
def test_whatever_a_file_holds_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(content)
    try:
        assert all(isinstance(row, str | dict) for row in contents(path))
    except UserError as error:
        assert os.fspath(path) in str(error)
