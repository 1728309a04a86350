"""The run folder: created for a new run, opened to resume one."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, final

from hydra.errors import HydraException
from hydra.utils import get_object
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from uniopd_mm.config.train import TrainConfig
from uniopd_mm.learner.checkpoint import check_format, complete_steps, load_state, newest_checkpoint
from uniopd_mm.run.progress import RunState
from uniopd_mm.types import UserError

CHANGEABLE = (
    "resume",
    "trainer.steps",
    "trainer.eval_every",
    "trainer.max_idle_steps",
    "trainer.save_every",
    "trainer.keep_checkpoints",
    "trainer.keep_best",
    "benchmarks.every",
    "benchmarks.data_root",
)
# Where to reach a teacher, and how often to retry, does not change its scores.
CHANGEABLE_BELOW = ("tracking.", "teacher.urls", "teacher.remote.")

CONFIG_FILE = "config.yaml"


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


def open_run(config: TrainConfig, overrides: Sequence[str]) -> Run:
    """Open the run of a composed configuration: a new one, or `config.resume` with the configuration saved there.

    Raises:
        UserError: the name is taken or the folder cannot be written; there is no such run, or another version wrote it;
            an override changes a setting that a resumed run must keep.
    """
    return _reopen(config, overrides) if config.resume else _create(config)


def default_name(config: TrainConfig) -> str:
    """Task, model, recipe and seed, as `video_qa-tiny-uni_opd-seed0`, in characters that no shell or Hydra quotes."""
    task = config.task.get("domain") or str(config.task.get("_target_", "")).rpartition(".")[2]
    parts = (re.sub(r"[^A-Za-z0-9_.]+", "-", str(part))[:60] for part in (task, config.model.name, config.recipe.name))
    return "-".join([*filter(None, (part.strip("-.") for part in parts)), f"seed{config.seed}"])


def numbered(name: str) -> Iterator[str]:
    """`name`, `name-2`, `name-3`, ..."""
    return (name if number == 1 else f"{name}-{number}" for number in count(1))


def _create(config: TrainConfig) -> Run:
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
    """Undo `_claim`. A folder that holds other files stays."""
    with suppress(OSError):
        (folder / CONFIG_FILE).unlink()
        folder.rmdir()


def _reopen(config: TrainConfig, overrides: Sequence[str]) -> Run:
    folder = Path(str(config.resume))
    checkpoint = newest_checkpoint(folder) if complete_steps(folder) else None
    if checkpoint:
        check_format(checkpoint)  # first: the config.yaml of an earlier version does not fit either
    kept = _with_overrides(_read_config(folder), overrides, folder)
    state = load_state(checkpoint) if checkpoint else None
    return Run(folder=folder, config=kept, resumed=True, checkpoint=checkpoint, state=state)


def _read_config(folder: Path) -> TrainConfig:
    path = folder / CONFIG_FILE
    try:
        saved = OmegaConf.load(path)
    except FileNotFoundError as error:
        raise UserError(f"resume={folder}: no config.yaml in this folder; give the folder of a run") from error
    except (OmegaConfBaseException, YAMLError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"resume={folder}: {path} cannot be read: {reason}; repair it, or start a new run") from error
    try:
        config = OmegaConf.merge(OmegaConf.structured(TrainConfig), saved)
        for target in _targets(OmegaConf.to_container(config)):
            get_object(target)
        return OmegaConf.to_object(config)  # type: ignore[return-value]
    except (OmegaConfBaseException, HydraException, ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"resume={folder}: {path} does not fit this version of uniopd_mm: {reason}; start a new run, or resume "
            "with the version that wrote it"
        ) from error


def _targets(node: Any) -> Iterator[str]:
    """The `_target_` of every component in a configuration."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        node = list(node.values())
    for entry in node if isinstance(node, list) else ():
        yield from _targets(entry)


def _with_overrides(config: TrainConfig, overrides: Sequence[str], folder: Path) -> TrainConfig:
    """The saved configuration with the overrides, all of which must be keys that do not change what a step computes."""
    node = OmegaConf.structured(config)
    for override in overrides:
        key, _, _ = override.lstrip("+").partition("=")
        if key not in CHANGEABLE and not key.startswith(CHANGEABLE_BELOW):
            allowed = ", ".join([*CHANGEABLE[1:], *(f"{prefix}*" for prefix in CHANGEABLE_BELOW)])
            raise UserError(
                f"{override}: a resumed run keeps the settings in {folder}/config.yaml; leave it out, or start a new "
                f"run; what can be changed is {allowed}"
            )
    node.merge_with_dotlist([override.lstrip("+") for override in overrides if not override.startswith("resume=")])
    return OmegaConf.to_object(node)  # type: ignore[return-value]
