"""What a person means by a checkpoint: a folder, a step of a run, a whole run, or a name on the hub."""

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
    """`path` is what transformers and vLLM load, `name` what tables call it, `run` the run folder that it came out of,
    None for any other."""

    name: str
    path: str
    run: Path | None = None

    @property
    def folder(self) -> str:
        """The name as that of a folder."""
        return folder_name(self.name)


def folder_name(name: str) -> str:
    return re.sub(r"[^\w.+-]+", "__", name)


def read_checkpoints(given: Sequence[str]) -> tuple[Checkpoint, ...]:
    """The checkpoints of a command line, each with a name of its own.

    Raises:
        UserError: there are none, one is given twice, or a folder holds no checkpoint.
    """
    if not given:
        raise UserError("checkpoints=[]: nothing to evaluate; give folders, runs or hub names, as [runs/a,Qwen/NAME]")
    found = [read_checkpoint(text) for text in given]
    for index, checkpoint in enumerate(found):
        if checkpoint.path in {other.path for other in found[:index]}:
            raise UserError(f"checkpoints: {given[index]} is given twice; leave one out")
    names = Counter(checkpoint.folder for checkpoint in found)
    named = tuple(
        replace(checkpoint, name=_longer_name(checkpoint, found)) if names[checkpoint.folder] > 1 else checkpoint
        for checkpoint in found
    )
    folders = Counter(checkpoint.folder for checkpoint in named)
    for checkpoint in named:
        if folders[checkpoint.folder] > 1:
            raise UserError(f"checkpoints: {checkpoint.path}: too much like another one's name; rename the folder")
    return named


def read_checkpoint(text: str) -> Checkpoint:
    """A run stands for its newest checkpoint, a step's folder for its student; what is no folder is a hub name.

    Raises:
        UserError: the folder is none of these, or it looks like a path and is not there.
    """
    folder = Path(text).expanduser()
    if not folder.is_dir():
        if text.startswith(("/", "./", "../", "~", "runs/")) or text.endswith("/") or text.count("/") > 1:
            raise UserError(f"checkpoints: {text}: no such folder; give a checkpoint, a run's folder or a hub name")
        return Checkpoint(name=text.rpartition("/")[2], path=text)
    if (folder / CHECKPOINTS).is_dir():
        if not complete_steps(folder):
            raise UserError(f"checkpoints: {text}: the run has no complete checkpoint yet; train on, or give another")
        folder = newest_checkpoint(folder)
    if (folder / STUDENT).is_dir():
        folder = folder / STUDENT
    if not ({"config.json", "adapter_config.json"} & {file.name for file in folder.iterdir()}):
        raise UserError(f"checkpoints: {text}: holds no config.json; give a checkpoint or the folder of a run")
    return _of_folder(folder.absolute())


def _of_folder(folder: Path) -> Checkpoint:
    step = folder.parent
    if folder.name == STUDENT and step.parent.name == CHECKPOINTS:
        run = step.parent.parent
        return Checkpoint(name=f"{run.resolve().name}/{step.name}", path=str(folder), run=run)
    return Checkpoint(name=folder.resolve().name, path=str(folder))


def _longer_name(checkpoint: Checkpoint, found: Sequence[Checkpoint]) -> str:
    """As much of the end of its path as no other has; all of a hub name at most."""
    parts = _parts(checkpoint)
    for count in range(2, len(parts)):
        name = "/".join(parts[-count:])
        ends = ["/".join(_parts(other)[-count:]) for other in found if other is not checkpoint]
        if folder_name(name) not in map(folder_name, ends):
            return name
    return "/".join(parts)


def _parts(checkpoint: Checkpoint) -> list[str]:
    """Of a path, without those that every checkpoint of a run has."""
    every = {CHECKPOINTS, STUDENT} if checkpoint.run else set()
    return [part for part in Path(checkpoint.path).parts if part not in every | {"/"}]
