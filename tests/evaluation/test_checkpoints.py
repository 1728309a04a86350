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


def test_runs_of_one_name_in_two_places_are_two(tmp_path: Path) -> None:
    one, other = run(tmp_path / "x" / "seed_0", 5), run(tmp_path / "y" / "seed_0", 5)
    assert [found.name for found in read_checkpoints([str(one), str(other)])] == ["x/seed_0/step_5", "y/seed_0/step_5"]


def test_a_hub_name_beside_a_folder_that_ends_like_it(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "Qwen" / "Qwen3")
    names = [found.name for found in read_checkpoints(["Qwen/Qwen3", str(folder)])]
    assert names == ["Qwen/Qwen3", f"{tmp_path.name}/Qwen/Qwen3"]


def test_names_that_would_share_a_folder_are_told_apart_or_refused(tmp_path: Path) -> None:
    one, other = checkpoint(tmp_path / "x" / "a b"), checkpoint(tmp_path / "y" / "a,b")
    assert len({found.folder for found in read_checkpoints([str(one), str(other)])}) == 2
    beside = checkpoint(tmp_path / "x" / "a,b")
    with pytest.raises(UserError, match="rename the folder"):
        read_checkpoints([str(one), str(beside)])


def test_one_checkpoint_by_two_names_is_given_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run(tmp_path / "a", 5)
    monkeypatch.chdir(tmp_path)
    assert read_checkpoints(["a"]) == read_checkpoints([str(folder)])  # so that what is done is found again
    with pytest.raises(UserError, match="a/checkpoints/step_5 is given twice"):
        read_checkpoints(["a", "a/checkpoints/step_5"])


def test_an_adapter_is_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    assert read_checkpoints([str(tmp_path)])[0].path == str(tmp_path)


def test_a_run_without_a_checkpoint_is_refused_by_its_own_key(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(UserError, match=r"^checkpoints: .*no complete checkpoint yet"):
        read_checkpoints([str(tmp_path)])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], r"checkpoints=\[\]: nothing to evaluate"),
        (["a/b", "a/b"], "a/b is given twice"),
        (["./nowhere"], r"\./nowhere: no such folder"),
        (["runs/nowhere"], "runs/nowhere: no such folder"),
        (["nowhere/"], "nowhere/: no such folder"),
        (["EMPTY"], r"no config\.json there"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, given: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_checkpoints([str(tmp_path) if text == "EMPTY" else text for text in given])
