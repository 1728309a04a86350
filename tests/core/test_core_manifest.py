"""Damaged checkpoints: each is named, none is used, and the run goes on from the one before."""

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from uniopd_mm.learner.checkpoint import (
    FORMAT,
    Best,
    complete_steps,
    keep_best,
    link_student,
    load_state,
    newest_whole_checkpoint,
    save_checkpoint,
)
from uniopd_mm.learner.manifest import Damaged, check_files, digests_by_inode, seal
from uniopd_mm.types import UserError

FILES = (
    "manifest.json",
    "student/config.json",
    "student/model.safetensors",
    "trainer_state/state.json",
    "trainer_state/tensors_0.safetensors",
)


def write(folder: Path, content: bytes = b"weights " * 100) -> None:
    """A student in two files."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(content)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: list[Callable[[Path], None]] = [flip, truncate, empty, Path.unlink]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with checkpoints of steps 1 and 2."""
    for step in (1, 2):
        save_checkpoint(tmp_path, step, write, {"step": step, "moments": torch.ones(50)}, keep=2)
    return tmp_path


def checkpoint(run: Path, step: int) -> Path:
    return run / "checkpoints" / f"step_{step}"


def test_the_manifest_lists_every_file_and_its_own_digest(run: Path) -> None:
    record = json.loads((checkpoint(run, 2) / "manifest.json").read_text())
    assert record["format"] == FORMAT and ["manifest.json", *sorted(record["files"])] == list(FILES)
    assert record["files"]["student/config.json"] == {
        "bytes": 2,
        "sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",  # of {}, as sha256sum says
    }
    assert newest_whole_checkpoint(run) == (checkpoint(run, 2), [])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(
    run: Path, name: str, damage: Callable[[Path], None]
) -> None:
    damage(checkpoint(run, 2) / name)
    whole, (said,) = newest_whole_checkpoint(run)
    assert whole == checkpoint(run, 1)
    assert said.startswith(f"{checkpoint(run, 2) / name}: ")
    damage(checkpoint(run, 1) / name)
    with pytest.raises(UserError) as caught:
        newest_whole_checkpoint(run)
    message = str(caught.value)
    assert message.startswith(f"resume={run}: no checkpoint is whole: ") and "\n" not in message
    assert all(f"{checkpoint(run, step) / name}: " in message for step in (1, 2))


def test_a_file_that_was_added_or_linked_is_damage(run: Path) -> None:
    student = checkpoint(run, 2) / "student"
    (student / ".DS_Store").touch()  # no loader reads it
    check_files(student.parent)
    (student / "pytorch_model.bin").touch()
    with pytest.raises(Damaged, match=r"pytorch_model.bin: not in manifest.json"):
        check_files(student.parent)
    (student / "pytorch_model.bin").unlink()
    (student / "config.json").rename(run / "elsewhere")
    (student / "config.json").symlink_to(run / "elsewhere")
    with pytest.raises(Damaged, match=r"config.json: a link"):
        check_files(student.parent)
    for file in student.iterdir():
        file.unlink()
    student.rmdir()
    student.symlink_to(checkpoint(run, 1) / "student")
    with pytest.raises(Damaged, match=r"step_2/student: not in manifest.json"):
        check_files(student.parent)


@pytest.mark.parametrize(
    "record", ["[]", "7", "{", "[" * 9999, '{"sha256": 1}', '{"format": "3", "files": {}}', '{"format": 3, "files": 1}']
)
def test_what_is_no_manifest_is_damage(run: Path, record: str) -> None:
    path = checkpoint(run, 2) / "manifest.json"
    path.write_text(record)
    whole, (said,) = newest_whole_checkpoint(run)
    assert whole == checkpoint(run, 1) and said.startswith(f"{path}: ")


def test_a_damaged_later_checkpoint_never_costs_a_whole_one(run: Path) -> None:
    """Step 9 was damaged, so the run went on from step 2: it is step 9 that must go, not step 3."""
    save_checkpoint(run, 9, write, {}, keep=2)
    flip(checkpoint(run, 9) / "student" / "model.safetensors")
    save_checkpoint(run, 3, write, {"step": 3}, keep=1)
    assert complete_steps(run) == [3, 9]
    assert newest_whole_checkpoint(run)[0] == checkpoint(run, 3)
    save_checkpoint(run, 9, write, {"step": 9}, keep=1)
    assert complete_steps(run) == [9] and load_state(checkpoint(run, 9)) == {"step": 9}


def test_the_best_student_is_hashed_once(run: Path) -> None:
    kept = keep_best(run, Best(step=3, measure="eval/accuracy", value=0.5), write)
    known = digests_by_inode(kept.parent)
    assert len(known) == 3
    folder = save_checkpoint(run, 3, partial(link_student, kept), {"step": 3}, keep=1)
    check_files(folder)
    stat = (folder / "student" / "model.safetensors").stat()
    entry = json.loads((folder / "manifest.json").read_text())["files"]["student/model.safetensors"]
    assert known[stat.st_dev, stat.st_ino] == entry["sha256"]
    stated = dict.fromkeys(known, "0" * 64)
    seal(folder, FORMAT, stated)
    with pytest.raises(Damaged):
        check_files(folder)


@pytest.mark.parametrize("name", ["step_3", "step_2", "step_1", "step_3.partial", "best_step_1", "best_step_3.partial"])
def test_a_link_in_place_of_a_folder_does_not_break_saving(run: Path, tmp_path: Path, name: str) -> None:
    """The link goes; what it points to stays."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").touch()
    link = run / "checkpoints" / name
    if link.exists():
        link.rename(tmp_path / "moved")
    link.symlink_to(elsewhere)
    kept = keep_best(run, Best(step=3, measure="eval/accuracy", value=0.5), write)
    save_checkpoint(run, 3, partial(link_student, kept), {"step": 3}, keep=1)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best", "best_step_3", "step_3"]
    assert newest_whole_checkpoint(run) == (checkpoint(run, 3), [])
    assert (elsewhere / "precious").exists()
