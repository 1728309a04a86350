"""A run's folder: made for a new run, or opened to go on with one."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import final

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from uniopd_mm.config.train import TrainConfig
from uniopd_mm.learner.checkpoint import complete_steps, load_state, newest_checkpoint
from uniopd_mm.run.progress import RunState
from uniopd_mm.types import UserError

CHANGEABLE = (
    "resume",
    "trainer.steps",
    "trainer.eval_every",
    "trainer.save_every",
    "trainer.keep_checkpoints",
    "trainer.keep_best",
    "benchmarks.every",
    "benchmarks.data_root",
)
# Where a teacher is reached, and how patiently, is not what it says.
CHANGEABLE_BELOW = ("tracking.", "teacher.urls", "teacher.remote.")

CONFIG_FILE = "config.yaml"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """`checkpoint` and `state` are where it goes on from, None for a beginning. `resumed` tells whether the folder was
    there before, which it also is where a run was stopped ahead of its first checkpoint."""

    folder: Path
    config: TrainConfig
    resumed: bool = False
    checkpoint: Path | None = None
    state: RunState | None = None

    @property
    def student(self) -> str | None:
        """The folder of the student's own checkpoint, None before the first."""
        return str(self.checkpoint / "student") if self.checkpoint else None

    @property
    def step(self) -> int:
        """The last step that is done."""
        return self.state.progress.step if self.state else 0


def open_run(config: TrainConfig, overrides: Sequence[str]) -> Run:
    """The run of a composed configuration: new, or `config.resume` with its own configuration.

    Raises:
        UserError: the folder is taken or cannot be written; there is no such run; the command line would change what
            a resumed run depends on.
    """
    return _reopen(config, overrides) if config.resume else _create(config)


def _create(config: TrainConfig) -> Run:
    name = config.run.name or f"{config.task.get('domain', 'run')}-{datetime.now():%Y%m%d-%H%M%S}"
    folder = Path(config.run.root) / name
    text = OmegaConf.to_yaml(OmegaConf.structured(config))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / CONFIG_FILE).open("x", encoding="utf-8") as file:  # x: of two that start at once one gets it
            file.write(text)
    except FileExistsError as error:
        raise UserError(
            f"run.name={name}: {folder} exists; give another run.name, or go on with resume={folder}"
        ) from error
    except OSError as error:
        _forget(folder)
        raise UserError(f"run.root={config.run.root}: {folder}: {error.strerror}; give a folder to write in") from error
    return Run(folder=folder, config=config)


def give_back(run: Run) -> None:
    """Leave a new run's name free again where it could not begin, so that the mended command works as it stands."""
    if not run.resumed:
        _forget(run.folder)


def _forget(folder: Path) -> None:
    """Undo `_create`; whatever else stands in the folder stays."""
    with suppress(OSError):
        (folder / CONFIG_FILE).unlink()
        folder.rmdir()


def _reopen(config: TrainConfig, overrides: Sequence[str]) -> Run:
    folder = Path(str(config.resume))
    kept = _with_overrides(_read_config(folder), overrides, folder)
    if not complete_steps(folder):
        return Run(folder=folder, config=kept, resumed=True)
    checkpoint = newest_checkpoint(folder)
    return Run(folder=folder, config=kept, resumed=True, checkpoint=checkpoint, state=load_state(checkpoint))


def _read_config(folder: Path) -> TrainConfig:
    path = folder / CONFIG_FILE
    try:
        config = OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.load(path))
        return OmegaConf.to_object(config)  # type: ignore[return-value]
    except FileNotFoundError as error:
        raise UserError(f"resume={folder}: no config.yaml there; give the folder of a run") from error
    except (OmegaConfBaseException, YAMLError, OSError) as error:
        raise UserError(f"resume={folder}: {path} cannot be read: {str(error).splitlines()[0]}") from error


def _with_overrides(config: TrainConfig, overrides: Sequence[str], folder: Path) -> TrainConfig:
    """The run's configuration with the few keys that do not change what its steps compute."""
    node = OmegaConf.structured(config)
    for override in overrides:
        key, _, _ = override.lstrip("+").partition("=")
        if key not in CHANGEABLE and not key.startswith(CHANGEABLE_BELOW):
            allowed = ", ".join([*CHANGEABLE[1:], *(f"{prefix}*" for prefix in CHANGEABLE_BELOW)])
            raise UserError(
                f"{override}: a resumed run keeps what {folder}/config.yaml says; only {allowed} may change"
            )
    node.merge_with_dotlist([override.lstrip("+") for override in overrides if not override.startswith("resume=")])
    return OmegaConf.to_object(node)  # type: ignore[return-value]
