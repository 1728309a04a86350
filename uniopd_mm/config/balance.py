"""The typed schema of `configs/balance.yaml`: every key of `python -m uniopd_mm.balance`, and what cannot work."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from uniopd_mm.config.checks import check_checkpoint
from uniopd_mm.config.components import check_component
from uniopd_mm.config.parts import documented
from uniopd_mm.config.train import MISSING, DataConfig, ModelConfig, RolloutConfig
from uniopd_mm.types import UserError


@dataclass
class BalanceConfig:
    """All of `python -m uniopd_mm.balance`."""

    task: dict[str, Any] = documented("component: where prompts come from and how responses are graded")
    model: ModelConfig = documented("the student", MISSING)
    rollout: RolloutConfig = documented("how the student answers", MISSING)
    data: DataConfig = field(default_factory=DataConfig)
    out: str | None = documented("rows to write, a .jsonl file; required", None)
    histogram: str | None = documented("picture to write, a .png file; null: beside `out`", None)
    overwrite: bool = documented("replace existing files", False)
    num_rollouts: int = documented("rollouts of each prompt that has no pass rate", 8)
    prompts_per_chunk: int = documented("prompts answered at a time; a kill loses at most these", 16)
    num_bins: int = documented("difficulty bins to fill equally, over pass rates above 0 and below 1", 7)
    max_repeat: int = documented("repeat a prompt at most this many times", 4)
    threads: int | None = documented("CPU threads; null: one per core", None)
    seed: int = documented("seed of sampling", 0)
    zoo: dict[str, Any] = documented("components that make the built-in models", {})
    recipe: dict[str, Any] = documented("not used: a model's YAML sets it for training", {})
    trainer: dict[str, Any] = documented("not used: a model's YAML sets it for training", {})

    @property
    def files(self) -> dict[str, Path]:
        """What will be written, by configuration key."""
        rows = Path(str(self.out)).expanduser()
        return {
            "out": rows,
            "histogram": Path(self.histogram).expanduser() if self.histogram else rows.with_suffix(".png"),
        }


AT_LEAST_ONE = ("num_rollouts", "prompts_per_chunk", "num_bins", "max_repeat")
NOT_USED = {
    "task=mixture": "balance the rows of each task by themselves, as task=math data.path=FILE",
    "trainer": "balancing trains nothing; leave it out (threads is a key of its own)",
    "recipe": "balancing trains nothing; leave it out",
    "rollout.num_samples": "balancing uses num_rollouts; give that instead",
    "data.prompt_cache_mb": "balancing encodes each prompt once; leave it out",
    "data.max_validation_samples": "balancing validates nothing; leave it out",
}


def validate(config: BalanceConfig) -> None:
    """Refuse values that cannot work.

    Raises:
        UserError: names the key, its value and the remedy.
    """
    _check_numbers(config)
    check_checkpoint(config.model, "model")
    _check_names(config)
    components = {
        "task": config.task,
        "model.builder": config.model.builder,
        "model.processor": config.model.processor,
        "rollout.engine": config.rollout.engine,
    }
    for key, node in components.items():
        if node is not None:
            check_component(node, key)


def _check_numbers(config: BalanceConfig) -> None:
    counts = {key: getattr(config, key) for key in AT_LEAST_ONE}
    counts |= {"data.max_prompt_tokens": config.data.max_prompt_tokens}
    counts |= {"rollout.max_new_tokens": config.rollout.max_new_tokens}
    for key, value in counts.items():
        if value < 1:
            raise UserError(f"{key}={value} must be at least 1")
    if config.threads is not None and config.threads < 1:
        raise UserError(f"threads={config.threads} must be at least 1, or null for one per core")
    if not config.rollout.temperature > 0:
        raise UserError(f"rollout.temperature={config.rollout.temperature} must be above 0, or all rollouts are one")
    if not 0 <= config.seed < 2**32:
        raise UserError(f"seed={config.seed} must lie between 0 and {2**32 - 1}")


def _check_names(config: BalanceConfig) -> None:
    if not config.out:
        raise UserError("out=null: no file to write; give out=FILE.jsonl")
    for (key, path), suffix in zip(config.files.items(), (".jsonl", ".png"), strict=True):
        if path.suffix != suffix:
            raise UserError(f"{key}={path}: unknown suffix {path.suffix or 'none'}; give a {suffix} file")
        if config.data.path and os.path.realpath(path) == os.path.realpath(Path(config.data.path).expanduser()):
            raise UserError(f"{key}={path}: these are the rows of data.path; give another file")
        if path.exists() and not (config.overwrite and path.is_file()):
            raise UserError(f"{key}={path}: exists already; give another file, or overwrite=true")


def check_folders(config: BalanceConfig) -> None:
    """Raises UserError where the files cannot be written, before hours of work."""
    for key, path in config.files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise UserError(f"{key}={path}: {error.strerror}; give a file in a folder to write in") from error
