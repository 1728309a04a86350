"""The run folder: created for a new run, opened to resume one."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import final

from omegaconf import OmegaConf

from uniopd_mm.config.train import TrainConfig
from uniopd_mm.learner.checkpoint import newest_whole_checkpoint
from uniopd_mm.run.progress import RunState
from uniopd_mm.run.saved_config import CONFIG_FILE, read_config, with_overrides
from uniopd_mm.runtime.links import check_inside
from uniopd_mm.runtime.lock import locked
from uniopd_mm.tracking.console import warning
from uniopd_mm.types import UserError

LOCK_FILE = ".lock"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run that is ready to start or to resume.

    `checkpoint` and `state` are None without a checkpoint. `resumed` is True where the folder existed already, even if
    that run stopped before its first checkpoint.
    """

    folder: Path
    config: TrainConfig
    resumed: bool = False
    checkpoint: Path | None = None
    state: RunState | None = None

    @property
    def student(self) -> str | None:
        """The folder of the student's weights, None before the first checkpoint."""
        return str(self.checkpoint / "student") if self.checkpoint else None

    @property
    def step(self) -> int:
        """The last finished step."""
        return self.state.progress.step if self.state else 0


def open_run(config: TrainConfig, overrides: Sequence[str], held: ExitStack) -> Run:
    """Open the run of a composed configuration: a new one, or `config.resume` with the configuration saved there.

    Args:
        held: keeps the folder locked until it is closed.

    Raises:
        UserError: the name is taken or the folder cannot be written; there is no such run, another version wrote it,
            another process runs it, or what is saved there is damaged or not trusted; an override changes a setting
            that a resumed run must keep.
    """
    return _reopen(config, overrides, held) if config.resume else _create(config, held)


def default_name(config: TrainConfig) -> str:
    """Task, model, recipe and seed, as `video_qa-tiny-uni_opd-seed0`, in characters that no shell or Hydra quotes."""
    task = config.task.get("domain") or str(config.task.get("_target_", "")).rpartition(".")[2]
    parts = (re.sub(r"[^A-Za-z0-9_.]+", "-", str(part))[:60] for part in (task, config.model.name, config.recipe.name))
    return "-".join([*filter(None, (part.strip("-.") for part in parts)), f"seed{config.seed}"])


def numbered(name: str) -> Iterator[str]:
    """`name`, `name-2`, `name-3`, ..."""
    return (name if number == 1 else f"{name}-{number}" for number in count(1))


def _create(config: TrainConfig, held: ExitStack) -> Run:
    if config.trust:
        raise UserError(f"trust=[{','.join(config.trust)}]: only resume=FOLDER asks whom to trust; leave it out")
    if config.resume_with_changes:
        raise UserError("resume_with_changes=true: nothing is resumed; give resume=FOLDER, or leave it out")
    root, name = Path(config.run.root), config.run.name
    text = OmegaConf.to_yaml(OmegaConf.structured(config))
    try:
        root.mkdir(parents=True, exist_ok=True)  # the root alone: below, "file exists" means that a name is taken
        folder = _claim(root / name, text) if name else _claim_free(root, default_name(config), text)
    except OSError as error:
        reason = f"{error.filename or root}: {error.strerror}"
        raise UserError(f"run.root={config.run.root}: {reason}; choose a folder you can write to") from error
    if folder is None:
        taken = root / str(name)
        raise UserError(f"run.name={name}: {taken} exists; choose another run.name, or resume that run: resume={taken}")
    _hold(folder, held)
    return Run(folder=folder, config=config)


def _claim(folder: Path, text: str, *, exist_ok: bool = True) -> Path | None:
    """Write `text` as the config.yaml of `folder`; None where another run has it. `exist_ok` accepts a folder without
    a config.yaml."""
    try:
        folder.mkdir(parents=True, exist_ok=exist_ok)
        with (folder / CONFIG_FILE).open("x", encoding="utf-8") as file:  # of two runs at once, one creates it
            file.write(text)
    except FileExistsError:
        return None
    except OSError:
        _forget(folder)
        raise
    return folder


def _claim_free(root: Path, name: str, text: str) -> Path:
    """The first of `name`, `name-2`, ... that no run has."""
    claims = (_claim(root / candidate, text, exist_ok=False) for candidate in numbered(name))
    return next(folder for folder in claims if folder)


def give_back(run: Run) -> None:
    """Remove the folder of a new run that could not start, so that the corrected command finds its name free."""
    if not run.resumed:
        _forget(run.folder)


def _forget(folder: Path) -> None:
    """Undo `_claim` and `_hold`. A folder that holds other files stays."""
    with suppress(OSError):
        (folder / CONFIG_FILE).unlink()
        (folder / LOCK_FILE).unlink(missing_ok=True)
        folder.rmdir()


def _hold(folder: Path, held: ExitStack) -> None:
    """Lock the folder until `held` is closed.

    Raises:
        UserError: another process holds it, or it cannot be written.
    """
    refusal = f"resume={folder}: {{holder}} is running it; wait for its end, or stop it"
    try:
        safe = held.enter_context(locked(folder / LOCK_FILE, refusal))
    except OSError as error:
        raise UserError(f"{folder / LOCK_FILE}: {error.strerror}; choose a folder you can write to") from error
    if not safe:
        warning(f"{folder}: its file system has no locks; make sure that no other process runs it")


def _reopen(config: TrainConfig, overrides: Sequence[str], held: ExitStack) -> Run:
    folder = Path(str(config.resume))
    if not os.path.lexists(folder / CONFIG_FILE):
        raise UserError(f"resume={folder}: no {CONFIG_FILE} in this folder; give the folder of a run")
    check_inside(folder, "resume")
    _hold(folder, held)
    checkpoint = _checkpoint(folder)  # first: the config.yaml of an earlier version does not fit either
    kept = with_overrides(read_config(folder, config.trust), overrides, folder)
    kept = replace(kept, resume_with_changes=config.resume_with_changes)  # what is saved there is an earlier resume's
    state = RunState.loaded(checkpoint) if checkpoint else None
    return Run(folder=folder, config=kept, resumed=True, checkpoint=checkpoint, state=state)


def _checkpoint(folder: Path) -> Path | None:
    """The last whole checkpoint. Names damaged ones, whose steps are repeated."""
    checkpoint, damages = newest_whole_checkpoint(folder)
    for damage in damages:
        warning(f"{damage}; the checkpoint is damaged, and the run goes on from {checkpoint}")
    return checkpoint
