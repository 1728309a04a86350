"""A disk that fills up: exit status 2 with one line, earlier checkpoints stay, and freeing space is enough to go on."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_parts import measured, run, weights
from transformers import AutoModelForImageTextToText

from uniopd_mm.learner.checkpoint import complete_steps
from uniopd_mm.tracking.jsonl import JsonlTracker
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.types import UserError


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "none", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"a small file system needs root and mount: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_costs_one_step(tiny_disk: Path, tmp_path: Path, small: list[str]) -> None:
    arguments = [*small, f"run.root={tiny_disk}", "trainer.steps=3", "trainer.keep_checkpoints=9"]
    whole = run([*small, "trainer.steps=3", "trainer.keep_checkpoints=9"], tmp_path)
    assert whole.status == 0
    size = sum(path.stat().st_size for path in (tmp_path / "runs/small/checkpoints/step_1").rglob("*"))
    free = os.statvfs(tiny_disk)
    filler = tiny_disk / "filler"
    filler.write_bytes(bytes(free.f_bavail * free.f_bsize - int(1.6 * size)))
    finished = run(arguments, tmp_path)
    assert finished.status == 2
    (line,) = finished.err.splitlines()
    folder = tiny_disk / "small"
    assert str(folder) in line and f"resume={folder}" in line and "free" in line
    assert complete_steps(folder) == [1]
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    assert {name for name in names if not name.startswith("best")} == {"step_1"}
    assert not [name for name in names if name.endswith(".partial")]
    for name in ("step_1", "best"):
        AutoModelForImageTextToText.from_pretrained(folder / "checkpoints" / name / "student")
    filler.unlink()
    assert run([f"resume={folder}"], tmp_path).status == 0
    assert measured(folder) == measured(tmp_path / "runs" / "small")
    assert weights(folder, 3) == weights(tmp_path / "runs" / "small", 3)


@pytest.mark.parametrize("room", [0, 4096, 8192, 16384, 65536])
def test_a_full_disk_is_one_line_wherever_it_is_met(
    room: int, tiny_disk: Path, tmp_path: Path, small: list[str]
) -> None:
    """With no room at all, room for config.yaml, and room for all but a checkpoint."""
    free = os.statvfs(tiny_disk)
    (tiny_disk / "filler").write_bytes(bytes(free.f_bavail * free.f_bsize - room))
    finished = run([*small, f"run.root={tiny_disk}", "tracking.tensorboard=true"], tmp_path)
    assert finished.status == 2, finished
    assert len(finished.err.splitlines()) == 1, finished.err
    assert str(tiny_disk) in finished.err


def test_a_cache_on_a_full_disk_is_one_line(tiny_disk: Path, tmp_path: Path, small: list[str]) -> None:
    free = os.statvfs(tiny_disk)
    (tiny_disk / "filler").write_bytes(bytes(free.f_bavail * free.f_bsize - 16384))
    finished = run(small, tmp_path, {"UNIOPD_MM_CACHE": str(tiny_disk)})
    assert finished.status == 2, finished
    (line,) = finished.err.splitlines()
    assert "space" in line
    assert not list(tiny_disk.rglob("rows.jsonl"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_metrics_that_cannot_be_written_stop_the_run(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    tracker = JsonlTracker(tmp_path)
    with pytest.raises(UserError, match=r"metrics\.jsonl: no space left"):
        tracker.log_step(StepMetrics(step=1, values={"loss": 1.0}))
    tracker.close()
