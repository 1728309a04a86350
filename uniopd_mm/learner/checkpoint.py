"""Checkpoints: each is complete or absent, and a run that resumes from one continues bit by bit.

    checkpoints/step_<n>/student/             weights and processor, as transformers and vLLM load them
    checkpoints/step_<n>/trainer_state/       optimizer, schedule, RNG, position in the data, counters; format number
    checkpoints/best -> best_step_<n>         a link: student/ of the step that measured best, and best.json

A checkpoint is written to a folder named `.partial`, which is renamed at the end: a kill leaves no half checkpoint, and
the next save removes the `.partial` folder. `best` is switched to a new folder in one step. Leaves out: sharded state.
"""

import json
import os
import pickle
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
FORMAT_FILE = "trainer_state/format"
FORMAT = 2
"""Raise it whenever the saved state changes, even if only a class in it moves. Format 1 had no file."""

BEST_FILE = "best.json"

WriteStudent = Callable[[Path], None]
"""Creates a folder and writes weights and processor into it."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Best:
    """The step whose student is the best so far, by `measure`, a key of metrics.jsonl."""

    step: int
    measure: str
    value: float


def better(best: Best | None, candidate: Best) -> Best | None:
    """The one with the higher value: the earlier of equal ones, and never one whose value is NaN."""
    highest = float("-inf") if best is None else best.value
    return candidate if candidate.value > highest else best


def write_student(model: PreTrainedModel, processor: Processor, folder: Path) -> None:
    """Create `folder`, which transformers and vLLM load."""
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    processor.save(folder)


def link_student(source: Path, folder: Path) -> None:
    """Create `folder` from hard links to the files in `source`: no extra disk space, and they outlive `source`."""
    shutil.copytree(source, folder, copy_function=_linked)


def save_checkpoint(run: Path, step: int, write: WriteStudent, state: object, keep: int) -> Path:
    """Write `checkpoints/step_<step>` and remove all checkpoints but the newest `keep`.

    Raises:
        UserError: it cannot be written, as when the disk is full; earlier checkpoints stay.
    """
    folder = run / "checkpoints" / f"step_{step}"
    with _writing(folder, run) as partial:
        write(partial / "student")
        (partial / STATE_FILE).parent.mkdir()
        torch.save(state, partial / STATE_FILE)
        (partial / FORMAT_FILE).write_text(f"{FORMAT}\n", encoding="utf-8")
        _sync_all(partial)
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
        _sync(folder.parent)
    _remove_old(run, keep)
    return folder


def keep_best(run: Path, best: Best, write: WriteStudent) -> Path:
    """Write a student and point `checkpoints/best` at it; returns the student's folder.

    Raises:
        UserError: it cannot be written, as when the disk is full; the previous best stays.
    """
    checkpoints = run / "checkpoints"
    folder = _free(checkpoints, f"best_step_{best.step}")
    with _writing(folder, run) as partial:
        write(partial / "student")
        (partial / BEST_FILE).write_text(json.dumps(asdict(best)) + "\n", encoding="utf-8")
        _sync_all(partial)
        partial.replace(folder)
        _switch(checkpoints / "best", folder.name)
    _remove_former_best(checkpoints)
    return folder / "student"


def newest_checkpoint(run: Path) -> Path:
    """The last complete checkpoint of a run.

    Raises:
        UserError: there is none.
    """
    steps = complete_steps(run)
    if not steps:
        raise UserError(f"resume={run}: no complete checkpoint in {run / 'checkpoints'}; give the folder of a run")
    return run / "checkpoints" / f"step_{steps[-1]}"


def complete_steps(run: Path) -> list[int]:
    """Steps that have a complete checkpoint, ascending."""
    names = [re.fullmatch(r"step_(\d+)", path.name) for path in (run / "checkpoints").glob("step_*")]
    return sorted(int(match[1]) for match in names if match)


def load_state(checkpoint: Path) -> Any:
    """The training state of a checkpoint, as it was passed to `save_checkpoint`.

    Raises:
        UserError: another version wrote it, or the file is damaged.
    """
    check_format(checkpoint)
    path = checkpoint / STATE_FILE
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(
            f"resume={_run_of(checkpoint)}: {path} cannot be read: {reason}; remove {checkpoint} to resume from the "
            f"checkpoint before it, or start a new run from its student: {_from_student(checkpoint)}"
        ) from error


def check_format(checkpoint: Path) -> None:
    """Raises UserError where the training state of a checkpoint has another format than this version's."""
    path = checkpoint / FORMAT_FILE
    found = path.read_text(encoding="utf-8").strip() if path.exists() else "1"
    if found != str(FORMAT):
        writer = "a later version" if found.isdigit() and int(found) > FORMAT else "an earlier version"
        raise UserError(
            f"resume={_run_of(checkpoint)}: {writer} of uniopd_mm wrote {checkpoint} (checkpoint format {found}, this "
            f"version reads {FORMAT}); start a new run from its student: {_from_student(checkpoint)}, or resume with "
            "the version that wrote it"
        )


def _run_of(checkpoint: Path) -> Path:
    return checkpoint.parent.parent


def _from_student(checkpoint: Path) -> str:
    """The override that starts a run from a checkpoint's student."""
    return f"model.path={checkpoint / 'student'}"


@contextmanager
def _writing(folder: Path, run: Path) -> Iterator[Path]:
    """A temporary folder, which the block fills and renames to `folder`. On an error it is removed, and the error
    becomes one line."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        yield partial
    except Exception as error:  # on a full disk safetensors raises SafetensorError, torch RuntimeError, tokenizers a
        # bare Exception: these share no narrower class
        shutil.rmtree(partial, ignore_errors=True)
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{folder}: cannot be written: {reason}; free space, then run with resume={run}") from error


def _free(checkpoints: Path, name: str) -> Path:
    """`name`, or a numbered one where it exists: a resumed run may repeat the best step, and must not overwrite it."""
    names = (name if number == 1 else f"{name}_{number}" for number in count(1))
    return next(folder for each in names if not (folder := checkpoints / each).exists())


def _switch(link: Path, target: str) -> None:
    """Point `link` at `target`, in the same folder, in one step."""
    new = link.with_name(f".{link.name}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    _sync(link.parent)


def _linked(source: str, target: str) -> None:
    """Hard-link the file, or copy it where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _sync_all(folder: Path) -> None:
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk; the rename must not get there first."""
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
    """Remove every best_step_<n> that `best` does not point to."""
    best = (checkpoints / "best").resolve()
    for folder in checkpoints.glob("best_step_*"):
        if folder.resolve() != best:
            shutil.rmtree(folder)
