"""The checkpoints of a command line: a folder, a step of a run, a whole run, or a name on the hub."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uniopd_mm.learner.checkpoint import complete_steps, newest_checkpoint
from uniopd_mm.types import UserError

STUDENT = "student"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint:
    """transformers and vLLM load `path`; tables show `name`. `run` is the run folder that the checkpoint belongs to, or
    None."""

    name: str
    path: str
    run: Path | None = None

    @property
    def folder(self) -> str:
        """The name, usable as a folder name."""
        return folder_name(self.name)


def folder_name(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "__", name)


def read_checkpoints(given: Sequence[str]) -> tuple[Checkpoint, ...]:
    """The checkpoints of a command line, each with a unique name.

    Raises:
        UserError: there are none, one is given twice, or a folder holds no checkpoint.
    """
    if not given:
        raise UserError("checkpoints=[]: nothing to evaluate; give folders, runs or hub names: 'checkpoints=[runs/a]'")
    found = [read_checkpoint(text) for text in given]
    for index, checkpoint in enumerate(found):
        if checkpoint.path in {other.path for other in found[:index]}:
            raise UserError(f"checkpoints: {given[index]} is given twice; remove one")
    names = Counter(checkpoint.folder for checkpoint in found)
    named = tuple(
        replace(checkpoint, name=_longer_name(checkpoint, found)) if names[checkpoint.folder] > 1 else checkpoint
        for checkpoint in found
    )
    folders = Counter(checkpoint.folder for checkpoint in named)
    for checkpoint in named:
        if folders[checkpoint.folder] > 1:
            raise UserError(f"checkpoints: {checkpoint.path}: its name is too close to another's; rename the folder")
    return named


def read_checkpoint(text: str) -> Checkpoint:
    """A run means its newest checkpoint, a step's folder its student. Text that is not a folder is a hub name.

    Raises:
        UserError: the folder is none of these, or the text looks like a path but does not exist.
    """
    folder = Path(text).expanduser()
    if not folder.is_dir():
        if text.startswith(("/", "./", "../", "~", "runs/")) or text.endswith("/") or text.count("/") > 1:
            raise UserError(f"checkpoints: {text}: no such folder; give a checkpoint, a run's folder or a hub name")
        return Checkpoint(name=text.rpartition("/")[2], path=text)
    if (folder / CHECKPOINTS).is_dir():
        if not complete_steps(folder):
            raise UserError(f"checkpoints: {text}: the run has no complete checkpoint yet; train on or give another")
        folder = newest_checkpoint(folder)
    if (folder / STUDENT).is_dir():
        folder = folder / STUDENT
    if not ({"config.json", "adapter_config.json"} & {file.name for file in folder.iterdir()}):
        raise UserError(f"checkpoints: {text}: no config.json there; give a checkpoint or the folder of a run")
    return _folder_checkpoint(folder.absolute())


def _folder_checkpoint(folder: Path) -> Checkpoint:
    step = folder.parent
    if folder.name == STUDENT and step.parent.name == CHECKPOINTS:
        run = step.parent.parent
        return Checkpoint(name=f"{run.resolve().name}/{step.name}", path=str(folder), run=run)
    return Checkpoint(name=folder.resolve().name, path=str(folder))


def _longer_name(checkpoint: Checkpoint, found: Sequence[Checkpoint]) -> str:
    """The shortest end of its path that no other checkpoint has; at most the whole hub name."""
    parts = _parts(checkpoint)
    for count in range(2, len(parts)):
        name = "/".join(parts[-count:])
        ends = ["/".join(_parts(other)[-count:]) for other in found if other is not checkpoint]
        if folder_name(name) not in map(folder_name, ends):
            return name
    return "/".join(parts)


def _parts(checkpoint: Checkpoint) -> list[str]:
    """The parts of a path, without those that every checkpoint of a run shares."""
    every = {CHECKPOINTS, STUDENT} if checkpoint.run else set()
    return [part for part in Path(checkpoint.path).parts if part not in every | {"/"}]
