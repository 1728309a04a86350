"""What a run's position points into: which changes are noticed, which are not, and how they are counted."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from core_parts import sample

from uniopd_mm.run.changes import Fingerprints
from uniopd_mm.run.fingerprints import row_digests, weights_digest
from uniopd_mm.types import Media, Message, Sample

ROWS = [sample(f"s{number}", text=f"How many? {number}") for number in range(10)]


def taken(samples: list[Sample], **parts: str) -> Fingerprints:
    return Fingerprints(train=row_digests(samples), validation=row_digests(ROWS[:2]), parts=parts)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows, []),
        (lambda rows: [*rows, sample("new")], ["1 added"]),
        (lambda rows: rows[3:], ["3 removed"]),
        (lambda rows: rows[::-1], ["in another order"]),
        (lambda rows: [replace(rows[0], answer="2"), *rows[1:]], ["1 changed"]),
        (lambda rows: [replace(rows[0], answer="2"), *rows[2:], sample("x")], ["1 changed, 1 added, 1 removed"]),
        (lambda rows: [*rows, rows[0]], ["1 added"]),
        (lambda rows: [], ["10 removed"]),
    ],
)
def test_rows_are_counted(change: Callable[[list[Sample]], list[Sample]], said: list[str]) -> None:
    now = taken(change(list(ROWS)))
    assert now.changes_since(taken(ROWS)) == [f"train rows: {each}" for each in said]


@pytest.mark.parametrize(
    "changed",
    [
        {"sample_id": "t"},
        {"domain": "e"},
        {"answer": None},
        {"demonstration": "1"},
        {"metadata": {"choices": {"A": "1"}}},
        {"messages": (Message(role="user", content=("How many? ",)),)},
        {"messages": (Message(role="system", content=("How many?",)),)},
    ],
)
def test_all_that_a_sample_holds_counts(changed: dict[str, object]) -> None:
    assert not torch.equal(row_digests([sample()]), row_digests([replace(sample(), **changed)]))
    assert torch.equal(row_digests([sample()]), row_digests([replace(sample(), source="elsewhere:2", row={"a": 1})]))


def with_medium(source: object, **options: object) -> Sample:
    return replace(sample(), messages=(Message(role="user", content=(Media(kind="image", source=source, **options),)),))


def test_a_medium_counts_by_name_and_size_or_by_its_bytes(tmp_path: Path) -> None:
    file, moved = tmp_path / "a.png", tmp_path / "other" / "a.png"
    moved.parent.mkdir()
    for path in (file, moved):
        path.write_bytes(b"12")
    first = row_digests([with_medium(str(file))])
    assert torch.equal(first, row_digests([with_medium(str(moved))])), "data may move"
    moved.write_bytes(b"123")
    (tmp_path / "b.png").write_bytes(b"12")
    for other in (str(moved), str(tmp_path / "b.png"), str(tmp_path / "none.png"), b"12"):
        assert not torch.equal(first, row_digests([with_medium(other)]))
    assert not torch.equal(row_digests([with_medium(b"12")]), row_digests([with_medium(b"13")]))
    assert not torch.equal(row_digests([with_medium(b"12")]), row_digests([with_medium(b"12", options={"fps": 2})]))


def test_parts_are_named_with_both_values() -> None:
    earlier, now = taken(ROWS, torch="2.13", gone="1"), taken(ROWS, torch="2.14", new="2")
    assert now.changes_since(earlier) == ["torch: 2.13 -> 2.14", "gone: 1 -> none", "new: none -> 2"]


def test_weights_count_by_their_files(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    content = bytearray(os.urandom(2**20))
    weights.write_bytes(content)
    (tmp_path / "README.md").write_text("one")
    first = weights_digest(str(tmp_path))
    (tmp_path / "README.md").write_text("another")
    os.utime(weights, (0, 0))
    assert weights_digest(str(tmp_path)) == first
    for place in (0, len(content) // 2, len(content) - 1):  # training changes every weight, and a block of each file
        changed = bytearray(content)
        changed[max(0, place - 20_000) : place + 20_000] = bytes(len(changed[max(0, place - 20_000) : place + 20_000]))
        weights.write_bytes(changed)
        assert weights_digest(str(tmp_path)) != first
    weights.write_bytes(content)
    assert weights_digest(str(tmp_path)) == first
    (tmp_path / "config.json").write_text("{}")
    assert weights_digest(str(tmp_path)) != first
