"""What a person gives as a checkpoint, and what is loaded for it."""

from pathlib import Path

import pytest

from uniopd_mm.evaluation.checkpoints import read_checkpoints
from uniopd_mm.types import UserError


def checkpoint(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return folder


def run(folder: Path, *steps: int) -> Path:
    for step in steps:
        checkpoint(folder / "checkpoints" / f"step_{step}" / "student")
        state = folder / "checkpoints" / f"step_{step}" / "trainer_state"
        state.mkdir()
        (state / "state.pt").write_bytes(b"")
    return folder


def test_a_run_stands_for_its_newest_step_and_a_step_for_its_student(tmp_path: Path) -> None:
    folder = run(tmp_path / "a", 9, 10)
    newest, ninth = read_checkpoints([str(folder), str(folder / "checkpoints" / "step_9")])
    assert (newest.name, ninth.name) == ("a/step_10", "a/step_9")
    assert newest.path == str(folder / "checkpoints" / "step_10" / "student")
    assert newest.run == ninth.run == folder


def test_a_folder_and_a_hub_name_are_taken_as_they_are(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "mine")
    ours, hub = read_checkpoints([str(folder), "Qwen/Qwen3-VL-2B-Instruct"])
    assert (ours.name, ours.path, ours.run) == ("mine", str(folder), None)
    assert (hub.name, hub.path, hub.run) == ("Qwen3-VL-2B-Instruct", "Qwen/Qwen3-VL-2B-Instruct", None)


def test_equal_names_become_longer(tmp_path: Path) -> None:
    one, other = checkpoint(tmp_path / "x" / "model"), checkpoint(tmp_path / "y" / "model")
    names = {found.name for found in read_checkpoints([str(one), str(other)])}
    assert len(names) == 2
    assert all(name.endswith("/model") for name in names)


def test_an_adapter_is_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    assert read_checkpoints([str(tmp_path)])[0].path == str(tmp_path)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"checkpoints=\[\]: nothing to evaluate"),
        (["a/b", "a/b"], "a/b is given twice"),
        (["./nowhere"], r"\./nowhere: no such folder"),
        (["runs/nowhere"], "runs/nowhere: no such folder"),
        (["EMPTY"], r"holds no config\.json"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_checkpoints([str(tmp_path) if text == "EMPTY" else text for text in given])
