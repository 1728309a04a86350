"""Jobs of two processes: started as a launcher does, and compared with those of one."""

import hashlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from job_parts import TIMEOUT, Finished, execute, measured, start, summary
from safetensors.torch import load_file
from torch import Tensor

from uniopd_mm.inference import available
from uniopd_mm.tasks.video_qa import VideoQaTask
from uniopd_mm.types import Corpus, Outcome, Sample

STEPS = 3
HERE = Path(__file__).resolve().parent


class HashedTask:
    """Questions about videos with outcomes of every kind, which an untrained student never reaches: they depend on the
    question's id and the response alone. Some questions are always answered wrong."""

    def __init__(self, **named: Any) -> None:
        self._task = VideoQaTask(**named)
        self.domain = self._task.domain

    def samples(self, split: str) -> Corpus:
        return self._task.samples(split)

    def grade(self, sample: Sample, response: str) -> Outcome:
        digest = hashlib.sha256(f"{sample.sample_id}/{response}".encode()).digest()[0]
        if hashlib.sha256(sample.sample_id.encode()).digest()[0] % 3 == 0:
            return Outcome(correct=False, reward=0.0, reason="always")
        if digest % 7 == 0:
            return Outcome(correct=None, reward=0.0, reason="nobody knows")
        return Outcome(correct=digest % 2 == 0, reward=float(digest % 2 == 0), reason="")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def environment(rank: int, size: int, port: int) -> dict[str, str]:
    """What `accelerate launch` gives each of its processes."""
    named = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_PORT": port}
    return {**{name: str(value) for name, value in named.items()}, "MASTER_ADDR": "127.0.0.1"}


def run_two(arguments: Sequence[str], folder: Path) -> list[Finished]:
    """The command in two processes, to their end; the first works in `folder`."""
    port = free_port()
    places = [folder, folder / "second"]
    commands = [start(arguments, place, environment(rank, 2, port)) for rank, place in enumerate(places)]
    try:
        return [command.wait() for command in commands]
    finally:
        for command in commands:  # one that waits for another that failed
            command.process.kill()


def execute_without_vllm(*arguments: Any) -> None:
    """As where it is not installed."""
    installed = available.find_spec
    available.find_spec = lambda name, package=None: None if name == "vllm" else installed(name, package)
    execute(*arguments)


def launch(arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """`accelerate launch --num_processes 2`. With --cpu it would start one process, whatever their number."""
    flags = ["--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    flags += ["--dynamo_backend", "no", "--main_process_port", str(free_port())]
    chosen = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    chosen["PYTHONPATH"] = os.pathsep.join([str(HERE), str(HERE.parents[1])])
    return subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *flags, "-m", "uniopd_mm.train", *arguments],
        cwd=folder,
        env={**os.environ, **chosen},
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )


def in_folder(folder: Path) -> list[str]:
    """Where a run lives, whichever folder its processes work in."""
    return [f"run.root={folder / 'runs'}", "run.name=own"]


def lines(folder: Path, step: int) -> list[dict[str, Any]]:
    """A step's rollouts."""
    path = folder / "rollouts" / f"step_{step}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def assert_same_run(folder: Path, wanted: Path, steps: int = STEPS) -> None:
    """All that two runs measured and wrote: floats but for rounding, everything else exactly."""
    assert [line["step"] for line in measured(folder)] == list(range(1, steps + 1))
    for line, other in zip(measured(folder), measured(wanted), strict=True):
        assert line == {name: nearly(value, rel=1e-5, abs=1e-6) for name, value in other.items()}
    for step in range(1, steps + 1):
        for line, other in zip(lines(folder, step), lines(wanted, step), strict=True):
            assert line == {name: nearly(value, rel=1e-5, abs=1e-5) for name, value in other.items()}
    said = [{name: value for name, value in summary(each).items() if name != "seconds"} for each in (folder, wanted)]
    assert said[0] == said[1]
    assert_same_weights(folder, wanted, steps)


def nearly(value: Any, **tolerance: float) -> Any:
    floats = isinstance(value, float) or (isinstance(value, list) and any(isinstance(entry, float) for entry in value))
    return pytest.approx(value, **tolerance) if floats else value


def student(folder: Path, step: int) -> dict[str, Tensor]:
    return load_file(folder / "checkpoints" / f"step_{step}" / "student" / "model.safetensors")


def assert_same_weights(folder: Path, wanted: Path, step: int) -> None:
    """AdamW makes a whole step of a gradient that is a rounding error: what all weights moved by is compared."""
    first, ours, theirs = student(wanted, 1), student(folder, step), student(wanted, step)
    moved = torch.cat([(theirs[name] - first[name]).flatten() for name in theirs]).norm()
    apart = torch.cat([(theirs[name] - ours[name]).flatten() for name in theirs])
    assert moved > 0
    assert apart.norm() < 1e-3 * moved and apart.abs().max() < 1e-5
