"""TensorBoard's own reader finds the values, also after a resume."""

from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.tracking.tensorboard import TensorBoardTracker


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def step(number: int, scale: float = 1.0) -> StepMetrics:
    return StepMetrics(step=number, values={"eval/accuracy": number / 7 * scale}, timing={"seconds": 0.5})


def test_values_are_read_back_while_the_run_goes_on(tmp_path: Path) -> None:
    tracker = TensorBoardTracker(tmp_path)
    for number in range(4):
        tracker.log_step(step(number))
    expected = [(number, float(np.float32(number / 7))) for number in range(4)]
    assert scalars(tmp_path, "eval/accuracy") == expected
    assert scalars(tmp_path, "timing/seconds") == [(number, 0.5) for number in range(4)]
    tracker.close()


def test_resuming_forgets_the_steps_that_are_repeated(tmp_path: Path) -> None:
    first = TensorBoardTracker(tmp_path)
    for number in range(6):
        first.log_step(step(number, scale=100.0))
    first.close()
    second = TensorBoardTracker(tmp_path, 2)
    for number in range(3, 5):
        second.log_step(step(number))
    second.close()
    values = scalars(tmp_path, "eval/accuracy")
    assert [number for number, _ in values] == [0, 1, 2, 3, 4]
    assert [value > 1 for _, value in values] == [False, True, True, False, False]
