"""The typed schema of `configs/evaluate.yaml`: every key of `python -m uniopd_mm.evaluate`, and what cannot work."""

import os
import shutil
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from omegaconf import MISSING

from uniopd_mm.config.components import check_component
from uniopd_mm.config.parts import VLLMOptions, documented
from uniopd_mm.types import UserError

ROOM = 8_000_000  # bytes, of a small benchmark's files


class SweepEngine(StrEnum):
    """What runs the models: transformers, or vLLM; `auto` is vLLM where it is installed."""

    auto = "auto"
    hf = "hf"
    vllm = "vllm"


@dataclass
class SuiteConfig:
    """A list of benchmarks with what is published of them."""

    name: str = documented("name in file names", "")
    title: str = documented("name in tables", "")
    tasks: list[Any] = documented("each {task, title, domain, metric, scale, paper: {student, opd, uni_opd}}", [])


@dataclass
class EvaluateConfig:
    """All of `python -m uniopd_mm.evaluate`."""

    suite: SuiteConfig = documented("the benchmarks", MISSING)
    tasks: list[str] = documented("only these of the suite, or any tasks of lmms-eval by name; []: the whole suite", [])
    checkpoints: list[str] = documented("folders, runs (their newest step) or hub names; the first is the baseline", [])
    out: str = documented("folder of the results; the same command continues there", "evaluations/${suite.name}")
    data_root: str | None = documented("folder with the benchmarks' files as DIR/OWNER/NAME/...; null: the hub", None)
    offline: bool = documented("use no network; name what is neither in data_root nor in the hub's cache", False)
    engine: SweepEngine = documented("auto, hf or vllm; auto: vllm where it is installed", SweepEngine.auto)
    dtype: str | None = documented("float32 or bfloat16; null: bfloat16 on a GPU, float32 on a CPU", None)
    processor: dict[str, Any] = documented("component: how prompts are made, with thinking and media budgets")
    vllm: VLLMOptions = field(default_factory=lambda: VLLMOptions(gpu_memory_utilization=0.9))
    max_batch_size: int = documented("sequences that engine=hf generates at a time", 64)
    prompts_per_chunk: int | None = documented("questions encoded at a time; null: what suits the engine", None)
    gpus: int | None = documented(
        "GPUs to use, one model on each (or on vllm.tensor_parallel_size of them); null: all", None
    )
    limit: int | None = documented("questions of each benchmark, from the front; null: all, as published", None)
    num_samples: int | None = documented("responses to each question; null: the benchmark's own number", None)
    max_new_tokens: int | None = documented("tokens of a response; null: the benchmark's own limit", None)
    task_minutes: float | None = documented("give up one benchmark after this many minutes; null: never", None)
    threads: int | None = documented("CPU threads of each model; null: one per core", None)
    seed: int = documented("seed of sampling", 0)
    dry_run: bool = documented("show what would be done and what it needs, then stop; also --dry-run", False)


def validate(config: EvaluateConfig) -> None:
    """Refuse values that cannot work.

    Raises:
        UserError: names the key, its value and the remedy.
    """
    for key in ("max_batch_size", "prompts_per_chunk", "gpus", "limit", "num_samples", "max_new_tokens", "threads"):
        value = getattr(config, key)
        if value is not None and value < 1:
            raise UserError(f"{key}={value} must be at least 1, or null where --help allows it")
    if config.task_minutes is not None and not config.task_minutes > 0:
        raise UserError(f"task_minutes={config.task_minutes} must be above 0, or null for no limit")
    if config.dtype not in (None, "float32", "bfloat16"):
        raise UserError(f"dtype={config.dtype}: choose float32 or bfloat16, or null for what suits the machine")
    if not 0 <= config.seed < 2**32:
        raise UserError(f"seed={config.seed} must lie between 0 and {2**32 - 1}")
    if config.data_root is not None and not Path(config.data_root).expanduser().is_dir():
        raise UserError(f"data_root={config.data_root}: no such folder; give one that holds OWNER/NAME/... or null")
    check_component(config.processor, "processor")
    check_out(Path(config.out).expanduser())


def check_out(out: Path) -> None:
    """Raises UserError where results cannot be written, before hours of work."""
    folder = existing(out)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(f"out={out}: {folder} is no folder to write in; give another")
    check_room(out)


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not path.exists():
        path = path.parent
    return path


def check_room(folder: Path) -> None:
    """Raises UserError where a job's files would not fit, before hours of work: a full disk does not free itself."""
    free = shutil.disk_usage(existing(folder)).free
    if free < ROOM:
        raise UserError(
            f"{folder}: {free / 1e6:,.1f} MB free, and results need {ROOM / 1e6:,.0f}; free some and give the same "
            "command again"
        )
