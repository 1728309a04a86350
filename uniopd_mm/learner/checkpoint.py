"""Checkpoints that are there whole or not at all, and the state from which a run goes on exactly.

    checkpoints/step_<n>/student/             weights and processor, as transformers and vllm load them
    checkpoints/step_<n>/trainer_state/       optimizer, schedule, RNG, place in the data, counters
    checkpoints/best -> best_step_<n>         a link: student/ of the step that measured best, and best.json

A checkpoint is written beside its place and renamed into it, so a kill leaves either it or a folder named `.partial`,
which the next save removes; `best` is turned to a new folder in one step. Leaves out: sharded state.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, final

import torch
from transformers import PreTrainedModel

from uniopd_mm.interfaces import Processor
from uniopd_mm.types import UserError

STATE_FILE = "trainer_state/state.pt"
BEST_FILE = "best.json"

WriteStudent = Callable[[Path], None]
"""Writes weights and processor into a folder that it makes."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The step whose student measured best so far, by `measure`, a name of metrics.jsonl."""

    step: int
    measure: str
    value: float


def better(best: Best | None, candidate: Best) -> Best | None:
    """The one with the higher value; of equal ones the earlier, and never one whose value is no number."""
    highest = float("-inf") if best is None else best.value
    return candidate if candidate.value > highest else best


def write_student(model: PreTrainedModel, processor: Processor, folder: Path) -> None:
    """Make `folder`, which transformers and vllm load."""
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    processor.save(folder)


def link_student(source: Path, folder: Path) -> None:
    """Make `folder` of the files in `source`, which take no more of the disk, and stay when `source` is removed."""
    shutil.copytree(source, folder, copy_function=_linked)


def save_checkpoint(run: Path, step: int, write: WriteStudent, state: object, keep: int) -> Path:
    """Write `checkpoints/step_<step>` and remove all but the newest `keep`.

    Raises:
        UserError: it cannot be written (the disk is full); earlier checkpoints stay.
    """
    folder = run / "checkpoints" / f"step_{step}"
    with _writing(folder, run) as partial:
        write(partial / "student")
        (partial / STATE_FILE).parent.mkdir()
        torch.save(state, partial / STATE_FILE)
        _sync_all(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
        _sync(folder.parent)
    _remove_old(run, keep)
    return folder


def keep_best(run: Path, best: Best, write: WriteStudent) -> Path:
    """Turn `checkpoints/best` to a student that `write` makes; returns the student's folder.

    Raises:
        UserError: it cannot be written (the disk is full); the best one so far stays.
    """
    checkpoints = run / "checkpoints"
    folder = _free(checkpoints, f"best_step_{best.step}")
    with _writing(folder, run) as partial:
        write(partial / "student")
        (partial / BEST_FILE).write_text(json.dumps(asdict(best)) + "\n", encoding="utf-8")
        _sync_all(partial)
        partial.replace(folder)
        _turn(checkpoints / "best", folder.name)
    _remove_former_best(checkpoints)
    return folder / "student"


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


@contextmanager
def _writing(folder: Path, run: Path) -> Iterator[Path]:
    """Where to write what will be `folder`. What goes wrong in the block is one line, and leaves nothing behind."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
    except Exception as error:  # a full disk is an OSError, a SafetensorError, a RuntimeError of torch's or, from
        # tokenizers, a bare Exception: these libraries share no narrower class
        shutil.rmtree(partial, ignore_errors=True)
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{folder}: cannot be written: {reason}; free space and go on with resume={run}") from error


def _free(checkpoints: Path, name: str) -> Path:
    """`name`, or where a run that goes on repeats a step, another: the folder that `best` leads to stays whole."""
    names = (name if number == 1 else f"{name}_{number}" for number in count(1))
    return next(folder for each in names if not (folder := checkpoints / each).exists())


def _turn(link: Path, target: str) -> None:
    """Let `link` lead to `target`, beside it, in one step."""
    new = link.with_name(f".{link.name}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    _sync(link.parent)


def _linked(source: str, target: str) -> None:
    """Another name of the file, where the file system has such."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _sync_all(folder: Path) -> None:
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
    _remove_former_best(run / "checkpoints")


def _remove_former_best(checkpoints: Path) -> None:
    """All that `best` does not lead to."""
    best = (checkpoints / "best").resolve()
    for folder in checkpoints.glob("best_step_*"):
        if folder.resolve() != best:
            shutil.rmtree(folder)
