"""The sinks together: all see everything, and all are closed even when one fails."""

from pathlib import Path

import pytest
from tracking_trajectories import make_trajectory

from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.base import CompositeTracker, Tracker
from uniopd_mm.tracking.build import TrackingOptions, open_tracker
from uniopd_mm.tracking.jsonl import read_metrics
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.tracking.rollouts import newest_rollouts


class Recorder(Tracker):
    def __init__(self, name: str, calls: list[str], fails: bool = False) -> None:
        self.name, self.calls, self.fails = name, calls, fails

    def log_step(self, metrics: StepMetrics) -> None:
        self.calls.append(f"{self.name} {metrics.step}")

    def close(self) -> None:
        self.calls.append(f"{self.name} closed")
        if self.fails:
            raise OSError(self.name)


def test_every_sink_is_closed_even_when_one_fails() -> None:
    calls: list[str] = []
    tracker = CompositeTracker([Recorder("a", calls), Recorder("b", calls, fails=True), Recorder("c", calls)])
    tracker.log_step(StepMetrics(step=3, values={}))
    tracker.log_rollouts(3, [], lambda ids: [])
    with pytest.raises(OSError, match="b"):
        tracker.close()
    assert calls == ["a 3", "b 3", "c 3", "c closed", "b closed", "a closed"]


def test_a_run_interrupted_and_resumed_leaves_the_files_of_one_run(tmp_path: Path) -> None:
    options = TrackingOptions(rollouts_every=2)
    for resume_step, steps in ((None, range(6)), (3, range(4, 9))):
        tracker = open_tracker(tmp_path, options, world=World(), total_steps=8, resume_step=resume_step)
        for step in steps:
            tracker.log_step(StepMetrics(step=step, values={"loss": float(step)}))
            tracker.log_rollouts(step, [make_trajectory([0], [-1.0], [-1.0])], lambda ids: ["a"])
        tracker.close()
    assert [metrics.step for metrics in read_metrics(tmp_path)] == list(range(9))
    assert newest_rollouts(tmp_path) == (8, tmp_path / "rollouts/step_8.jsonl")
    assert (tmp_path / "tensorboard").is_dir()


def test_all_but_the_metrics_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = TrackingOptions(rollouts_every=0, tensorboard=False, progress=False)
    tracker = open_tracker(tmp_path, options, world=World(), total_steps=1)
    tracker.log_step(StepMetrics(step=1, values={}))
    tracker.log_rollouts(1, [], lambda ids: [])
    tracker.close()
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]
    assert capsys.readouterr().out == ""
