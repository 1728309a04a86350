"""Checkpoints: each is complete or absent, and a run that resumes from one continues bit by bit.

    checkpoints/step_<n>/student/             weights and processor, as transformers and vLLM load them
    checkpoints/step_<n>/trainer_state/       optimizer, schedule, RNG, position in the data, counters
    checkpoints/step_<n>/manifest.json        format number, and SHA-256 of every file
    checkpoints/best -> best_step_<n>         a link: student/ of the step that measured best, and best.json

A checkpoint is written to a folder named `.partial`, which is renamed at the end: a kill leaves no half checkpoint, and
the next save removes the `.partial` folder. `best` is switched to a new folder in one step. Leaves out: sharded state.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, final

from transformers import PreTrainedModel

from uniopd_mm.interfaces import Processor
from uniopd_mm.learner.manifest import MANIFEST, Damaged, check_files, digests_by_inode, seal, sealed_format, sync
from uniopd_mm.learner.state_files import BadState, read_state, write_state
from uniopd_mm.types import UserError

STATE = "trainer_state"
EARLIER_FORMATS = {f"{STATE}/format": "2", f"{STATE}/state.pt": "1"}  # by a file that only they have
FORMAT = 3
"""Raise it whenever the saved state changes, even if only the name of a field does."""

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


def save_checkpoint(run: Path, step: int, write: WriteStudent, state: Mapping[str, Any], keep: int) -> Path:
    """Write `checkpoints/step_<step>` and remove the checkpoints before it but the newest `keep`. Later ones, which a
    run that resumes from an earlier step has found damaged, stay until their step is saved again.

    Args:
        state: see `write_state`.

    Raises:
        UserError: it cannot be written, as when the disk is full; earlier checkpoints stay.
    """
    folder = run / "checkpoints" / f"step_{step}"
    with _writing(folder, run) as partial:
        write(partial / "student")
        write_state(partial / STATE, state)
        seal(partial, FORMAT, digests_by_inode(run / "checkpoints" / "best"))
        _set_aside(folder)
        partial.replace(folder)
        sync(folder.parent)
    _remove_old(run, step, keep)
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
        seal(partial, FORMAT)
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


def newest_whole_checkpoint(run: Path) -> tuple[Path | None, list[str]]:
    """The last checkpoint of a run whose files are all as they were written, None if the run has none yet; and what is
    damaged in each later one.

    Raises:
        UserError: none is whole, or another version wrote one.
    """
    damages: list[str] = []
    for step in reversed(complete_steps(run)):
        checkpoint = run / "checkpoints" / f"step_{step}"
        try:
            check_format(checkpoint)
            check_files(checkpoint)
            return checkpoint, damages
        except Damaged as damage:
            damages.append(str(damage))
    if damages:
        raise UserError(
            f"resume={run}: no checkpoint is whole: {'; '.join(damages)}; restore a file from a backup, or start a new "
            "run"
        )
    return None, damages


def load_state(checkpoint: Path) -> Any:
    """The training state of a checkpoint, as it was passed to `save_checkpoint`, with lists for tuples.

    Raises:
        UserError: the files hold no state.
    """
    try:
        return read_state(checkpoint / STATE)
    except (BadState, OSError) as error:
        raise unreadable_state(checkpoint, error) from error


def unreadable_state(checkpoint: Path, error: Exception) -> UserError:
    """The error for a state that does not have the form of this version's."""
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return UserError(
        f"resume={_run_of(checkpoint)}: {checkpoint / STATE} cannot be read: {reason}; remove {checkpoint} to resume "
        f"from the checkpoint before it, or start a new run from its student: {_from_student(checkpoint)}"
    )


def check_format(checkpoint: Path) -> None:
    """Raises UserError where another version wrote the checkpoint, and Damaged where its manifest does not say."""
    earlier = [number for file, number in EARLIER_FORMATS.items() if (checkpoint / file).exists()]
    sealed = (checkpoint / MANIFEST).exists()
    found = str(sealed_format(checkpoint)) if sealed or not earlier else earlier[0]
    if found != str(FORMAT):
        writer = "a later version" if int(found) > FORMAT else "an earlier version"
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
    _remove(partial)
    try:
        yield partial
    except Exception as error:  # on a full disk safetensors raises SafetensorError, torch RuntimeError, tokenizers a
        # bare Exception: these share no narrower class
        _remove(partial)
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{folder}: cannot be written: {reason}; free space, then run with resume={run}") from error


def _free(checkpoints: Path, name: str) -> Path:
    """`name`, or a numbered one where it exists: a resumed run may repeat the best step, and must not overwrite it."""
    names = (name if number == 1 else f"{name}_{number}" for number in count(1))
    return next(folder for each in names if not os.path.lexists(folder := checkpoints / each))


def _switch(link: Path, target: str) -> None:
    """Point `link` at `target`, in the same folder, in one step."""
    new = link.with_name(f".{link.name}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    sync(link.parent)


def _linked(source: str, target: str) -> None:
    """Hard-link the file, or copy it where the file system has no hard links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _set_aside(folder: Path) -> None:
    """Rename what is at the place of a checkpoint, even a link, for `_remove_old` to remove."""
    if os.path.lexists(folder):
        leaving = folder.with_name(f"{folder.name}.old.partial")
        _remove(leaving)
        folder.rename(leaving)


def _remove(path: Path) -> None:
    """Remove a folder, or a link but not what it points to. What cannot be removed stays."""
    if path.is_symlink():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _remove_old(run: Path, step: int, keep: int) -> None:
    for old in [done for done in complete_steps(run) if done <= step][:-keep]:
        _set_aside(run / "checkpoints" / f"step_{old}")
    for stale in (run / "checkpoints").glob("*.partial"):
        _remove(stale)
    _remove_former_best(run / "checkpoints")


def _remove_former_best(checkpoints: Path) -> None:
    """Remove every best_step_<n> that `best` does not point to."""
    best = (checkpoints / "best").resolve()
    for folder in checkpoints.glob("best_step_*"):
        if folder.is_symlink() or folder.resolve() != best:
            _remove(folder)
