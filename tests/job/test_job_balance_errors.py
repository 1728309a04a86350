"""What the user of the balancing command can mend, and its configuration."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from balance_parts import lay_out, row, write
from job_parts import run

from uniopd_mm.balance import COMMAND
from uniopd_mm.cli.command import composed
from uniopd_mm.cli.help import help_text
from uniopd_mm.config.balance import BalanceConfig, validate
from uniopd_mm.types import Sample


@pytest.fixture
def student(tmp_path: Path, checkpoint: str, samples: tuple[Sample, ...]) -> list[str]:
    """Arguments for the untrained student and the task that grades its noise."""
    return lay_out(tmp_path, checkpoint, samples)


MISTAKES = {
    "out=null": ["out=null", "out=FILE.jsonl"],
    "out=rows.parquet": ["out=rows.parquet", ".jsonl"],
    "out=./in.jsonl": ["out=in.jsonl", "data.path"],
    "out=there.jsonl": ["out=there.jsonl", "exists already", "overwrite=true"],
    "out=/proc/1/nowhere/out.jsonl": ["out=/proc/1/nowhere/out.jsonl", "give a file in a folder to write in"],
    "histogram=bars.jpg": ["histogram=bars.jpg", ".png"],
    "num_rollouts=0": ["num_rollouts=0", "at least 1"],
    "num_bins=0": ["num_bins=0", "at least 1"],
    "max_repeat=0": ["max_repeat=0", "at least 1"],
    "prompts_per_chunk=0": ["prompts_per_chunk=0", "at least 1"],
    "threads=0": ["threads=0", "at least 1"],
    "seed=-1": ["seed=-1", "between 0"],
    "rollout.temperature=0": ["rollout.temperature=0.0", "above 0"],
    "rollout.num_samples=4": ["rollout.num_samples=4", "num_rollouts"],
    "trainer.steps=3": ["trainer.steps=3", "balancing trains nothing"],
    "num_rolouts=3": ["num_rolouts=3", "no such key", "num_rollouts"],
    "data.path=missing.jsonl": ["data.path=missing.jsonl", "no such file"],
    "model.path=no/such/folder": ["model.path=no/such/folder"],
    "+task.colums={}": ["task.colums={}", "no such parameter"],
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake: str, tmp_path: Path, student: list[str]) -> None:
    own_task = [] if "colums" not in mistake else ["task._target_=uniopd_mm.tasks.video_qa.VideoQaTask"]
    (tmp_path / "there.jsonl").touch()
    arguments = [*student, *own_task, *write(tmp_path, row(0, split="train")), mistake]
    finished = run(arguments, tmp_path, command="balance")
    assert finished.status == 2, finished
    (line,) = finished.err.splitlines()
    for text in MISTAKES[mistake]:
        assert text in line
    assert not (tmp_path / "balanced" / "out.jsonl").exists()


def test_rows_of_which_none_can_be_measured_are_refused(tmp_path: Path, student: list[str]) -> None:
    rows = [row(0, split="train", video="clips/text.mp4")]
    finished = run([*student, *write(tmp_path, *rows)], tmp_path, command="balance")
    assert finished.status == 2
    (line,) = finished.err.splitlines()
    assert "no pass rate could be measured" in line and "in.jsonl:1" in line


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system needs root and mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder: Path, room: int) -> None:
    (folder / "filler").write_bytes(bytes(65536 - room))


@pytest.mark.parametrize("place", ["cache", "out"])
def test_a_full_disk_is_one_line(place: str, tiny_disk: Path, tmp_path: Path, student: list[str]) -> None:
    arguments = [*student, *write(tmp_path, *(row(number, split="train") for number in range(3)))]
    (tiny_disk / "pass_rates").mkdir()
    fill(tiny_disk, 0)
    environment = {"UNIOPD_MM_CACHE": str(tiny_disk if place == "cache" else tmp_path / "cache")}
    if place == "out":
        arguments += [f"out={tiny_disk}/out.jsonl"]
    finished = run(arguments, tmp_path, environment, command="balance")
    assert finished.status == 2, finished
    (line,) = finished.err.splitlines()
    assert str(tiny_disk) in line and "o space left" in line
    assert not [path for path in tiny_disk.iterdir() if path.name not in ("filler", "pass_rates")]


@pytest.mark.parametrize("model", ["tiny", "qwen3_vl_2b", "qwen2_5_vl_3b"])
def test_every_model_composes(model: str) -> None:
    config = composed(COMMAND, [f"model={model}", "out=out.jsonl"])
    validate(config)
    assert config.model.name == model


def test_help_lists_every_key(tmp_path: Path) -> None:
    finished = run(["--help"], tmp_path, command="balance")
    assert (finished.status, finished.err) == (0, "")
    assert finished.out.strip() == help_text(BalanceConfig, "balance", COMMAND.summary)
    assert max(map(len, finished.out.splitlines())) <= 160


def test_the_real_command_says_nothing_else(tmp_path: Path) -> None:
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "uniopd_mm.balance", "num_bins=0", "out=out.jsonl"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": root}, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: num_bins=0 must be at least 1\n"
