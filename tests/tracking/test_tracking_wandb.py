"""W&B is loaded only when asked for, says what to install, and stays offline."""

import importlib.util
import subprocess
import sys
import time
from pathlib import Path

import pytest

from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.build import TrackingOptions, open_tracker
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.tracking.wandb import WandbTracker
from uniopd_mm.types import UserError


def test_importing_the_sinks_does_not_load_it() -> None:
    code = "import sys, uniopd_mm.tracking.build, uniopd_mm.tracking.wandb; sys.exit('wandb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_package_is_named_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # Python's way to make an import fail
    with pytest.raises(UserError, match=r"wandb is not installed; run pip install 'uniopd-mm\[wandb\]'"):
        open_tracker(tmp_path / "run", TrackingOptions(wandb=True), world=World(), total_steps=1)
    assert not (tmp_path / "run").exists()


def test_an_unknown_mode_lists_the_modes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="wandb_mode=onlin: unknown mode; choose one of offline, online, disabled"):
        WandbTracker(tmp_path, mode="onlin")


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is an extra")
def test_an_offline_run_and_its_resume_share_an_id(tmp_path: Path) -> None:
    for resume_step, number in ((None, 1), (1, 2)):
        tracker = WandbTracker(tmp_path, resume_step, config={"seed": 0})
        tracker.log_step(StepMetrics(step=number, values={"eval/accuracy": 0.5}))
        tracker.close()
    run_id = (tmp_path / "wandb" / "run_id").read_text()
    files = list(tmp_path.glob(f"wandb/offline-run-*-{run_id}*/run-{run_id}.wandb"))
    assert len(files) == 2
    # W&B's own process writes the last bytes a moment after finish() has returned.
    deadline = time.monotonic() + 300
    while not all(b"eval/accuracy" in file.read_bytes() for file in files):
        assert time.monotonic() < deadline, {file: file.stat().st_size for file in files}
        time.sleep(0.05)
