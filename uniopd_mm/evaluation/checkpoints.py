"""What a person means by a checkpoint: a folder, a step of a run, a whole run, or a name on the hub."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uniopd_mm.learner.checkpoint import newest_checkpoint
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


def read_checkpoints(given: Sequence[str]) -> tuple[Checkpoint, ...]:
    """The checkpoints of a command line, each with a name of its own.

    Raises:
        UserError: there are none, one is given twice, or a folder holds no checkpoint.
    """
    if not given:
        raise UserError("checkpoints=[]: nothing to evaluate; give folders, runs or hub names, as [runs/a,Qwen/NAME]")
    repeated = [text for text, count in Counter(given).items() if count > 1]
    if repeated:
        raise UserError(f"checkpoints: {repeated[0]} is given twice; leave one out")
    found = [read_checkpoint(text) for text in given]
    names = Counter(checkpoint.name for checkpoint in found)
    return tuple(
        replace(checkpoint, name=_longer_name(checkpoint)) if names[checkpoint.name] > 1 else checkpoint
        for checkpoint in found
    )


def read_checkpoint(text: str) -> Checkpoint:
    """A run stands for its newest checkpoint, a step's folder for its student; what is no folder is a hub name.

    Raises:
        UserError: the folder is none of these, or it looks like a path and is not there.
    """
    folder = Path(text).expanduser()
    if not folder.is_dir():
        if text.startswith(("/", "./", "../", "~", "runs/")) or text.count("/") > 1:
            raise UserError(f"checkpoints: {text}: no such folder; give a checkpoint, a run's folder or a hub name")
        return Checkpoint(name=text.rpartition("/")[2], path=text)
    if (folder / CHECKPOINTS).is_dir():
        folder = newest_checkpoint(folder)
    if (folder / STUDENT).is_dir():
        folder = folder / STUDENT
    if not ({"config.json", "adapter_config.json"} & {file.name for file in folder.iterdir()}):
        raise UserError(f"checkpoints: {text}: holds no config.json; give a checkpoint or the folder of a run")
    return _of_folder(folder)


def _of_folder(folder: Path) -> Checkpoint:
    step = folder.parent
    if folder.name == STUDENT and step.parent.name == CHECKPOINTS:
        run = step.parent.parent
        return Checkpoint(name=f"{run.resolve().name}/{step.name}", path=str(folder), run=run)
    return Checkpoint(name=folder.resolve().name, path=str(folder))


def _longer_name(checkpoint: Checkpoint) -> str:
    return "/".join(part for part in Path(checkpoint.path).parts[-4:] if part not in {CHECKPOINTS, STUDENT, "/"})
