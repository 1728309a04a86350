"""What the sweep and its worker processes say to each other, over a `multiprocessing.connection.Connection`.

The sweep sends one `Opening`, then one `Job` at a time; the worker answers a job with any number of `Asked` and then
`Finished` or `Failed`. A worker that is gone answers with the end of the connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from uniopd_mm.config.parts import VLLMOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """How a worker loads its model. `engine` is "hf" or "vllm", `processor` a component's node."""

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
    """The model is loaded; its own settings, as they are shown."""

    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """So many questions have been answered since the last report, of so many."""

    questions: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """The job's files are written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """Why nothing came of the job, or of loading the model."""

    reason: str
