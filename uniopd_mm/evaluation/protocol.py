"""Messages between a sweep and its worker processes, sent over a `multiprocessing.connection.Connection`.

The sweep sends one `ModelSpec`, which the worker answers with `Ready` or `Failed`. Then it sends one `Job` at a time.
The worker answers a job with any number of `ProgressReport`s, followed by `Finished` or `Failed`. If a worker dies, the
connection ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uniopd_mm.config.parts import VLLMOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelSpec:
    """The model that a worker loads. `engine` is "hf" or "vllm", `processor` a component's node."""

    path: str
    engine: str
    dtype: str | None
    options: VLLMOptions
    processor: Mapping[str, Any]
    seed: int
    prompts_per_chunk: int | None
    max_batch_size: int
    data_root: Path | None
    run: Path | None
    threads: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """The model is loaded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressReport:
    """Number of questions answered since the last report, and the total number."""

    num_answered: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """The job's files are written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """Why the job, or loading the model, failed."""

    reason: str
