"""metrics.jsonl: resuming gives the bytes of an uninterrupted run, and neither a kill nor a full disk breaks it."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from uniopd_mm.tracking.jsonl import JsonlTracker, read_metrics
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.types import UserError


def log(folder: Path, steps: range, resume_step: int | None = None) -> bytes:
    tracker = JsonlTracker(folder, resume_step)
    for step in steps:
        tracker.log_step(StepMetrics(step=step, values={"loss": 1 / (step + 3)}))
    tracker.close()
    return (folder / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("resume_step", [0, 1, 4, 7, 9])
def test_a_resumed_file_equals_an_uninterrupted_one(tmp_path: Path, resume_step: int) -> None:
    whole = log(tmp_path / "whole", range(10))
    log(tmp_path / "parts", range(8))
    assert log(tmp_path / "parts", range(min(resume_step, 7) + 1, 10), resume_step) == whole


@pytest.mark.parametrize("tail", [b'{"step": 3, "lo', b"{", b'{"step": 3, "loss": 0.5, "timing": {}}', b"\x00\x00"])
def test_a_half_written_line_is_dropped(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(log(tmp_path, range(3)) + tail)
    assert [metrics.step for metrics in read_metrics(tmp_path)] == [0, 1, 2]
    assert log(tmp_path, range(3, 5), resume_step=2) == log(tmp_path / "whole", range(5))


def test_each_step_is_on_the_disk_when_log_step_returns(tmp_path: Path) -> None:
    tracker = JsonlTracker(tmp_path)
    for step in range(3):
        tracker.log_step(StepMetrics(step=step, values={}))
        assert len(read_metrics(tmp_path)) == step + 1
    tracker.close()


def test_a_new_run_does_not_write_over_an_old_one(tmp_path: Path) -> None:
    before = log(tmp_path, range(2))
    with pytest.raises(UserError, match=re.escape(f"resume={tmp_path}")):
        JsonlTracker(tmp_path)
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_a_whole_line_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    log(tmp_path, range(2))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"loss": 3}\n')
    with pytest.raises(UserError, match=r"metrics\.jsonl:3: not the metrics of a step"):
        JsonlTracker(tmp_path, 1)


def test_a_full_disk_is_one_line_that_names_file_and_remedy(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").symlink_to("/dev/full")
    tracker = JsonlTracker(tmp_path)
    with pytest.raises(UserError) as caught:
        tracker.log_step(StepMetrics(step=1, values={"loss": 0.5}))
    tracker.close()
    path = tmp_path / "metrics.jsonl"
    remedy = f"free some space, then resume with resume={tmp_path}"
    assert str(caught.value) == f"{path}: no space left on the device; {remedy}"


WRITER = """
import sys
from pathlib import Path
from uniopd_mm.tracking.jsonl import JsonlTracker
from uniopd_mm.tracking.records import StepMetrics

tracker = JsonlTracker(Path(sys.argv[1]))
for step in range(3):
    tracker.log_step(StepMetrics(step=step, values={"loss": 1 / (step + 3)}))
print("ready", flush=True)
tracker.log_step(StepMetrics(step=3, values={"x" * 60_000_000: 0.5}))
tracker.log_step(StepMetrics(step=4, values={"x" * 60_000_000: 0.5}))
"""


def test_sigkill_in_the_middle_of_a_line_leaves_a_file_to_resume_from(tmp_path: Path) -> None:
    """The fourth line has 60 MB, and the writer is killed as soon as its first bytes are in the file."""
    path = tmp_path / "metrics.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"ready\n"
        before = path.stat().st_size
        while path.stat().st_size == before:
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
    assert writer.returncode == -signal.SIGKILL
    assert path.stat().st_size > before
    assert [metrics.step for metrics in read_metrics(tmp_path)][:3] == [0, 1, 2]
    assert log(tmp_path, range(3, 6), resume_step=2) == log(tmp_path / "whole", range(6))
