"""The configuration of a run folder, read to resume it: what may be changed, and what must be trusted."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from uniopd_mm.config.train import TrainConfig
from uniopd_mm.run.trust import check_trust, trusted_object
from uniopd_mm.types import UserError

CONFIG_FILE = "config.yaml"

FOR_THIS_RESUME = ("resume", "trust", "resume_with_changes")
CHANGEABLE = (
    *FOR_THIS_RESUME,
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


def read_config(folder: Path, trust: Sequence[str]) -> TrainConfig:
    """The configuration that a run folder has saved. None of the modules it names is imported before all of them are
    allowed.

    Args:
        trust: see `check_trust`.

    Raises:
        UserError: it cannot be read, does not fit this version, or names what is not trusted.
    """
    path = folder / CONFIG_FILE
    where = f"resume={folder}: {path}"
    try:
        saved = OmegaConf.load(path)
    except (OmegaConfBaseException, YAMLError, OSError, RecursionError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{where} cannot be read: {reason}; repair it, or start a new run") from error
    values = OmegaConf.to_container(saved, resolve=False)
    check_trust(values, trust, where)
    try:
        for target in targets(values):
            trusted_object(target, trust, where)
        config = OmegaConf.merge(OmegaConf.structured(TrainConfig), saved)
        return OmegaConf.to_object(config)  # type: ignore[return-value]
    except (OmegaConfBaseException, HydraException, ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{where} does not fit this version of uniopd_mm: {reason}; start a new run, or resume with the version "
            "that wrote it"
        ) from error


def targets(node: Any) -> Iterator[str]:
    """The `_target_` of every component in a configuration."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        node = list(node.values())
    for entry in node if isinstance(node, list) else ():
        yield from targets(entry)


def with_overrides(config: TrainConfig, overrides: Sequence[str], folder: Path) -> TrainConfig:
    """The saved configuration with the overrides, all of which must be keys that do not change what a step computes."""
    node = OmegaConf.structured(config)
    taken = []
    for override in overrides:
        key = override.lstrip("+").partition("=")[0]
        if key not in CHANGEABLE and not key.startswith(CHANGEABLE_BELOW):
            allowed = ", ".join([*CHANGEABLE[len(FOR_THIS_RESUME) :], *(f"{prefix}*" for prefix in CHANGEABLE_BELOW)])
            raise UserError(
                f"{override}: a resumed run keeps the settings in {folder}/config.yaml; leave it out, or start a new "
                f"run; what can be changed is {allowed}"
            )
        if key not in FOR_THIS_RESUME:
            taken.append(override.lstrip("+"))
    node.merge_with_dotlist(taken)
    return OmegaConf.to_object(node)  # type: ignore[return-value]
