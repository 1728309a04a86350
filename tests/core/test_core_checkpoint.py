"""Checkpoints: what is saved comes back, what cannot be saved leaves the earlier one, and transformers loads them."""

import json
import math
import os
import random
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from core_parts import plain_logits
from transformers import AutoModelForImageTextToText, AutoProcessor

from uniopd_mm.data.collate import left_padded
from uniopd_mm.learner.checkpoint import (
    FORMAT,
    Best,
    WriteStudent,
    better,
    complete_steps,
    keep_best,
    link_student,
    load_state,
    newest_checkpoint,
    newest_whole_checkpoint,
    save_checkpoint,
    write_student,
)
from uniopd_mm.learner.manifest import seal
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.run.progress import RunState
from uniopd_mm.runtime.rng import restore_rng_state, rng_state
from uniopd_mm.types import Prompt, UserError

STATE = {"step": 3, "moments": {0: torch.arange(100_000.0), 1: torch.tensor(2.5)}, "rates": (0.5, None, True, "a")}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def best_at(step: int, value: float) -> Best:
    return Best(step=step, measure="eval/accuracy", value=value)


def entries(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


@pytest.fixture
def write(backbone: Backbone, processor: QwenVLProcessor) -> WriteStudent:
    """Writes the student, whose weights a test may change in between."""
    return partial(write_student, backbone.model, processor)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root, where mounts are allowed, can mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # writers that failed may still hold a file


def test_state_goes_round(tmp_path: Path, write: WriteStudent) -> None:
    folder = save_checkpoint(tmp_path, 3, write, STATE, keep=2)
    assert folder == newest_checkpoint(tmp_path) == tmp_path / "checkpoints" / "step_3"
    state = load_state(folder)
    assert (state["step"], state["rates"]) == (3, [0.5, None, True, "a"])
    assert state["moments"].keys() == {0, 1} and state["moments"][1].shape == ()
    assert torch.equal(state["moments"][0], torch.arange(100_000.0))


def test_transformers_loads_the_student_and_it_answers_alike(
    tmp_path: Path, backbone: Backbone, processor: QwenVLProcessor, prompts: list[Prompt], write: WriteStudent
) -> None:
    tokens = left_padded(prompts[:2], 0)
    student = save_checkpoint(tmp_path, 1, write, {}, keep=1) / "student"
    model = AutoModelForImageTextToText.from_pretrained(student, dtype=torch.float32)
    assert torch.equal(plain_logits(model, tokens), plain_logits(backbone.model, tokens))
    assert AutoProcessor.from_pretrained(student).tokenizer.get_vocab() == dict(processor.vocabulary.tokens)
    again = QwenVLProcessor(str(student), video_num_frames=6).encode(prompts[0].sample)
    assert torch.equal(again.token_ids, prompts[0].token_ids)
    assert torch.equal(again.media["pixel_values_videos"], prompts[0].media["pixel_values_videos"])


def test_only_the_newest_stay_and_leftovers_go(tmp_path: Path, write: WriteStudent) -> None:
    killed = tmp_path / "checkpoints" / "step_9.partial"
    killed.mkdir(parents=True)
    (killed / "half").write_bytes(b"0")
    assert complete_steps(tmp_path) == []
    for step in (1, 2, 10):
        save_checkpoint(tmp_path, step, write, {"step": step}, keep=2)
    assert complete_steps(tmp_path) == [2, 10]
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step_10", "step_2"]
    assert load_state(newest_checkpoint(tmp_path)) == {"step": 10}


def test_a_step_saved_again_is_replaced(tmp_path: Path, write: WriteStudent) -> None:
    for value in ("first", "second"):
        save_checkpoint(tmp_path, 1, write, {"value": value}, keep=1)
    assert load_state(newest_checkpoint(tmp_path)) == {"value": "second"}


@pytest.mark.parametrize("number", [1, 2])
def test_a_checkpoint_of_an_earlier_format_is_refused_unread(tmp_path: Path, write: WriteStudent, number: int) -> None:
    """Its state is never unpickled, so it does not matter that its classes have moved."""
    folder = save_checkpoint(tmp_path, 3, write, {}, keep=1)
    (folder / "manifest.json").unlink()
    (folder / "trainer_state" / "state.pt").write_bytes(b"cuniopd_mm.progress\nRunState\n.")
    if number == 2:
        (folder / "trainer_state" / "format").write_text("2\n")
    with pytest.raises(UserError) as caught:
        newest_whole_checkpoint(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    said = f"resume={tmp_path}: an earlier version"
    for text in (said, str(folder), f"format {number},", f"model.path={folder / 'student'}"):
        assert text in message


def test_a_checkpoint_of_a_later_format_is_refused(tmp_path: Path, write: WriteStudent) -> None:
    folder = save_checkpoint(tmp_path, 3, write, {}, keep=1)
    seal(folder, 99)
    with pytest.raises(UserError, match=r"a later version of uniopd_mm wrote .*checkpoint format 99"):
        newest_whole_checkpoint(tmp_path)


@pytest.mark.parametrize("content", ["", "[1", "[]", "7", '{"tensor": "9"}', '{"a": 1, "b": 2}', '{"mapping": [1]}'])
def test_a_state_of_another_form_is_one_line(tmp_path: Path, write: WriteStudent, content: str) -> None:
    """As a manifest made by hand allows it."""
    folder = save_checkpoint(tmp_path, 3, write, STATE, keep=1)
    (folder / "trainer_state" / "state.json").write_text(content)
    seal(folder, FORMAT)
    assert newest_whole_checkpoint(tmp_path) == (folder, [])
    with pytest.raises(UserError) as caught:
        RunState.loaded(folder)
    message = str(caught.value)
    assert "\n" not in message
    wanted = f"resume={tmp_path}: {folder / 'trainer_state'} cannot be read"
    for text in (wanted, f"remove {folder}", f"model.path={folder / 'student'}"):
        assert text in message


def test_a_run_without_a_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"resume={tmp_path}"):
        newest_checkpoint(tmp_path)


def test_a_full_disk_leaves_the_earlier_checkpoint(small_disk: Path, write: WriteStudent) -> None:
    """Whichever file the disk fills up at: nothing at all, the weights, the tokenizer, or the state."""
    first = save_checkpoint(small_disk, 1, write, STATE, keep=2)
    before = files(first)
    weights = len(before["student/model.safetensors"]) // 1024
    filler = small_disk / "filler"
    for free in (0, 40, weights // 2, *range(weights + 4, weights + 28, 4), weights + 200):
        filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - free * 1024))
        with pytest.raises(UserError) as caught:
            save_checkpoint(small_disk, 2, write, STATE, keep=2)
        filler.unlink()
        message = str(caught.value)
        assert "\n" not in message and "step_2" in message and f"resume={small_disk}" in message
        assert [path.name for path in (small_disk / "checkpoints").iterdir()] == ["step_1"]
        assert files(first) == before
    save_checkpoint(small_disk, 2, write, STATE, keep=2)
    assert complete_steps(small_disk) == [1, 2]


def test_of_equal_values_the_earlier_is_the_better_and_nan_is_none() -> None:
    first = better(None, best_at(1, 0.0))
    assert first == best_at(1, 0.0)
    assert better(first, best_at(2, 0.0)) == first
    assert better(first, best_at(2, 0.5)) == best_at(2, 0.5)
    assert better(best_at(2, 0.5), best_at(3, 0.25)) == best_at(2, 0.5)
    assert better(None, best_at(1, math.nan)) is None and better(first, best_at(2, math.nan)) == first


def test_the_best_outlives_its_checkpoint_and_takes_its_place_once(tmp_path: Path, write: WriteStudent) -> None:
    kept = keep_best(tmp_path, best_at(1, 0.5), write)
    first = save_checkpoint(tmp_path, 1, partial(link_student, kept), {"step": 1}, keep=1)
    weights = first / "student" / "model.safetensors"
    assert weights.samefile(kept / "model.safetensors"), "of two names of one file the disk holds one"
    before = files(first / "student")
    save_checkpoint(tmp_path, 2, write, {"step": 2}, keep=1)
    assert entries(tmp_path) == ["best", "best_step_1", "step_2"]
    best = tmp_path / "checkpoints" / "best"
    assert files(best / "student") == before
    assert json.loads((best / "best.json").read_text()) == {"step": 1, "measure": "eval/accuracy", "value": 0.5}
    AutoModelForImageTextToText.from_pretrained(best / "student")
    AutoProcessor.from_pretrained(best / "student")


def test_a_better_one_replaces_the_best(tmp_path: Path, backbone: Backbone, write: WriteStudent) -> None:
    keep_best(tmp_path, best_at(1, 0.5), write)
    with torch.no_grad():
        next(backbone.model.parameters()).add_(1)
    keep_best(tmp_path, best_at(2, 0.75), write)
    assert entries(tmp_path) == ["best", "best_step_2"]
    weights = AutoModelForImageTextToText.from_pretrained(tmp_path / "checkpoints/best/student").state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in backbone.model.state_dict().items())


def test_a_best_step_that_is_repeated_never_leaves_less_than_a_whole_one(tmp_path: Path, write: WriteStudent) -> None:
    """A kill while it is written again finds the first one; where no link was turned yet, the folder goes."""
    checkpoints = tmp_path / "checkpoints"
    kept = keep_best(tmp_path, best_at(3, 0.5), write)

    def killed(folder: Path) -> None:
        write(folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keep_best(tmp_path, best_at(3, 0.5), killed)
    assert (checkpoints / "best" / "student").resolve() == kept.resolve()
    (checkpoints / "best_step_9").mkdir()
    assert keep_best(tmp_path, best_at(3, 0.5), write) == checkpoints / "best_step_3_2" / "student"
    assert entries(tmp_path) == ["best", "best_step_3_2"]
    assert keep_best(tmp_path, best_at(3, 0.5), write) == checkpoints / "best_step_3" / "student"
    assert entries(tmp_path) == ["best", "best_step_3"]


def test_a_full_disk_leaves_the_earlier_best(small_disk: Path, write: WriteStudent) -> None:
    kept = keep_best(small_disk, best_at(1, 0.5), write)
    before = files(kept)
    (small_disk / "filler").write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - 40 * 1024))
    with pytest.raises(UserError, match=f"best_step_2: cannot be written: .*resume={small_disk}"):
        keep_best(small_disk, best_at(2, 0.75), write)
    assert entries(small_disk) == ["best", "best_step_1"]
    assert files(small_disk / "checkpoints" / "best" / "student") == before


def test_random_numbers_go_on_where_they_were() -> None:
    state = rng_state()
    wanted = (random.random(), float(np.random.rand()), float(torch.rand(())))
    restore_rng_state(state)
    assert (random.random(), float(np.random.rand()), float(torch.rand(()))) == wanted
    restore_rng_state(state)
