"""tensorboard/: the values of each step as scalars, for `tensorboard --logdir runs`. Left out: rollouts."""

from pathlib import Path
from typing import final

from torch.utils.tensorboard import SummaryWriter

from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.files import writing
from uniopd_mm.tracking.records import StepMetrics


@final
class TensorBoardTracker(Tracker):
    """Scalars named as in metrics.jsonl, with timing under "timing/". TensorBoard stores them as float32.

    On resume, steps after `resume_step` are purged, since the run repeats them.
    """

    def __init__(self, folder: Path, resume_step: int | None = None) -> None:
        self._folder = folder
        self._path = folder / "tensorboard"
        purge_step = None if resume_step is None else resume_step + 1
        with writing(self._path, folder):
            self._writer = SummaryWriter(str(self._path), purge_step=purge_step)

    def log_step(self, metrics: StepMetrics) -> None:
        timing = {f"timing/{name}": value for name, value in metrics.timing.items()}
        with writing(self._path, self._folder):
            for name, value in {**metrics.values, **timing}.items():
                self._writer.add_scalar(name, value, metrics.step)
            self._writer.flush()

    def close(self) -> None:
        with writing(self._path, self._folder):
            self._writer.close()
