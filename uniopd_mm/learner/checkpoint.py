"""Checkpoints that are there whole or not at all, and the state from which a run goes on exactly.

    checkpoints/step_<n>/student/             weights and processor, as transformers and vllm load them
    checkpoints/step_<n>/trainer_state/       optimizer, schedule, RNG, place in the data, counters

A checkpoint is written beside its place and renamed into it, so a kill leaves either it or a folder named `.partial`,
which the next save removes. Leaves out: sharded state.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from uniopd_mm.interfaces import Processor
from uniopd_mm.types import UserError

STATE_FILE = "trainer_state/state.pt"


def save_checkpoint(
    run: Path, step: int, model: PreTrainedModel, processor: Processor, state: object, keep: int
) -> Path:
    """Write `checkpoints/step_<step>` and remove all but the newest `keep`.

    Raises:
        UserError: it cannot be written (the disk is full); earlier checkpoints stay.
    """
    folder = run / "checkpoints" / f"step_{step}"
    partial = folder.with_name(f"step_{step}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        _write(partial, model, processor, state)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
        _sync(folder.parent)
    except Exception as error:  # a full disk is an OSError, a SafetensorError, a RuntimeError of torch's or, from
        # tokenizers, a bare Exception: these libraries share no narrower class
        shutil.rmtree(partial, ignore_errors=True)
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{folder}: cannot be written: {reason}; free space and go on with resume={run}") from error
    _remove_old(run, keep)
    return folder


def newest_checkpoint(run: Path) -> Path:
    """The last complete checkpoint of a run.

    Raises:
        UserError: there is none.
    """
    steps = complete_steps(run)
    if not steps:
        raise UserError(f"resume={run}: no complete checkpoint below {run / 'checkpoints'}; give the folder of a run")
    return run / "checkpoints" / f"step_{steps[-1]}"


def complete_steps(run: Path) -> list[int]:
    """Steps that have a complete checkpoint, ascending."""
    names = [re.fullmatch(r"step_(\d+)", path.name) for path in (run / "checkpoints").glob("step_*")]
    return sorted(int(match[1]) for match in names if match)


def load_state(checkpoint: Path) -> Any:
    """The state beside a checkpoint's weights, as it was given to `save_checkpoint`."""
    return torch.load(checkpoint / STATE_FILE, map_location="cpu", weights_only=False)


def _write(folder: Path, model: PreTrainedModel, processor: Processor, state: object) -> None:
    student = folder / "student"
    student.mkdir(parents=True)
    model.save_pretrained(student)
    processor.save(student)
    (folder / STATE_FILE).parent.mkdir()
    torch.save(state, folder / STATE_FILE)
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    """Force a file or a folder's entries to the disk, before the rename says that they are there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_old(run: Path, keep: int) -> None:
    for step in complete_steps(run)[:-keep]:
        folder = run / "checkpoints" / f"step_{step}"
        leaving = folder.with_name(f"step_{step}.partial")
        folder.rename(leaving)
        shutil.rmtree(leaving)
    for stale in (run / "checkpoints").glob("*.partial"):
        shutil.rmtree(stale, ignore_errors=True)
