"""Running jobs in tests: composing as the command does, and the whole command in a process of its own.

Processes are forked from a server that has imported everything, so that one costs a second where `python -m` costs
eight; what runs in them is the command's `main` with its own argv, streams and working folder. They draw no charts
unless they are told to: the report's forty take longer than the rest of a small run.
"""

import importlib
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from uniopd_mm.cli.command import composed as command_config
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.tracking import page
from uniopd_mm.train import COMMAND

TIMEOUT = 300.0  # seconds
FORKED = multiprocessing.get_context("forkserver")
PRELOADED = [
    "uniopd_mm.train",
    "uniopd_mm.balance",
    "uniopd_mm.assembly",
    "uniopd_mm.run.balancing",
    "uniopd_mm.run.plan",
    "uniopd_mm.tracking.report",
    "job_parts",
    "preloaded",
    "uniopd_mm.processors.tiny",
    "uniopd_mm.tasks.video_qa",
    "hydra.main",
]
PRELOADED += ["uniopd_mm.processors.qwen_vl", "uniopd_mm.tasks.synthetic.video_questions", "jinja2.sandbox"]
PRELOADED += [
    f"transformers.models.qwen3_vl.{part}_qwen3_vl" for part in ("modeling", "processing", "video_processing")
]


def serve() -> None:
    """Start the server. It takes its module path from the environment alone, whatever `sys.path` is here."""
    FORKED.set_forkserver_preload(PRELOADED)
    with pytest.MonkeyPatch.context() as patch:
        here = Path(__file__).resolve().parent
        patch.setenv("PYTHONPATH", os.pathsep.join([str(here), str(here.parents[1])]))
        forkserver.ensure_running()


@dataclass(frozen=True)
class Finished:
    """A command that ended."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Command:
    """A command that runs; `wait` for its end or `kill` it."""

    process: ForkServerProcess
    folder: Path

    def wait(self) -> Finished:
        self.process.join(TIMEOUT)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"still running after {TIMEOUT} s:\n{self._text('out')}\n{self._text('err')}")
        return Finished(self.process.exitcode, self._text("out"), self._text("err"))

    def kill_when(self, due: Callable[[], bool], later: float = 0.0) -> bool:
        """SIGKILL as soon as `due`, or `later` seconds after it; False where the command ended before."""
        deadline = time.monotonic() + TIMEOUT
        while not due() and self.process.exitcode is None and time.monotonic() < deadline:
            time.sleep(0.0002)
        time.sleep(later)
        self.process.kill()
        self.process.join(TIMEOUT)
        return self.process.exitcode == -signal.SIGKILL

    def _text(self, name: str) -> str:
        return (self.folder / f".{name}").read_text(encoding="utf-8")


def start(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    command: str = "train",
    *,
    charts: bool = False,
    target: Callable[..., None] | None = None,
) -> Command:
    """Start `python -m uniopd_mm.<command> ARGUMENTS` in `folder`, as `target` calls it: by default `execute`."""
    folder.mkdir(parents=True, exist_ok=True)
    chosen = {"UNIOPD_MM_CACHE": os.environ["UNIOPD_MM_CACHE"], **(environment or {})}
    process = FORKED.Process(target=target or execute, args=(command, list(arguments), str(folder), chosen, charts))
    process.start()
    return Command(process, folder)


def run(
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str] | None = None,
    command: str = "train",
    *,
    charts: bool = False,
    target: Callable[..., None] | None = None,
) -> Finished:
    """The same, to its end."""
    return start(arguments, folder, environment, command, charts=charts, target=target).wait()


def execute(command: str, arguments: list[str], folder: str, environment: dict[str, str], charts: bool) -> None:
    """The command, in a process of its own."""
    if not charts:
        page.svg = lambda chart: ""
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell lets what it runs beside it ignore the signal
    os.chdir(folder)
    sys.path.insert(0, folder)  # as `python -m` does
    for descriptor, name in ((1, ".out"), (2, ".err")):
        os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), descriptor)
    sys.argv = [command, *arguments]
    importlib.import_module(f"uniopd_mm.{command}").main()


def composed(*overrides: str) -> TrainConfig:
    """What the command composes from these arguments."""
    return command_config(COMMAND, overrides)


def measured(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without what the clock says."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: value for name, value in line.items() if name != "timing"} for line in lines]


def summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))


def weights(folder: Path, step: int) -> bytes:
    return (folder / "checkpoints" / f"step_{step}" / "student" / "model.safetensors").read_bytes()


def rollouts(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "rollouts").iterdir()}
