"""metrics.jsonl: one line per step, synced to the disk before the next step begins.

A resumed run first drops the lines of steps it will repeat and any incomplete last line. In the end the file equals
that of an uninterrupted run, except for `timing`.
"""

import json
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import final

from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.files import write_durably, writing
from uniopd_mm.tracking.records import StepMetrics, json_line
from uniopd_mm.types import UserError

FILE_NAME = "metrics.jsonl"


@final
class JsonlTracker(Tracker):
    """Appends to `folder`/metrics.jsonl. `resume_step` is the last step to keep; None starts a new file.

    Raises:
        UserError: a new run would overwrite old metrics, a line cannot be parsed on resume, or the disk is full.
    """

    def __init__(self, folder: Path, resume_step: int | None = None) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        with writing(self._path, folder):
            folder.mkdir(parents=True, exist_ok=True)
            if resume_step is None:
                _refuse_to_overwrite(self._path)
            elif self._path.exists():
                _drop_after(self._path, resume_step)
            self._file = FileIO(self._path, "ab")

    def log_step(self, metrics: StepMetrics) -> None:
        with writing(self._path, self._folder):
            write_durably(self._file, json_line(metrics.to_json()))

    def close(self) -> None:
        self._file.close()


def read_metrics(folder: Path) -> list[StepMetrics]:
    """The steps in `folder`/metrics.jsonl, without an incomplete last line.

    Raises:
        UserError: a complete line cannot be parsed.
        FileNotFoundError: the file does not exist.
    """
    return [metrics for _, metrics in _read(folder / FILE_NAME)]


def _read(path: Path) -> Iterator[tuple[int, StepMetrics]]:
    """For each complete line, the byte offset of its end and its metrics."""
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return
            end += len(line)
            yield end, _parse(line, f"{path}:{number}")


def _parse(line: bytes, where: str) -> StepMetrics:
    try:
        return StepMetrics.from_json(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{where}: not the metrics of a step ({error}); delete this line") from error


def _drop_after(path: Path, step: int) -> None:
    kept = max((end for end, metrics in _read(path) if metrics.step <= step), default=0)
    if kept != path.stat().st_size:
        os.truncate(path, kept)


def _refuse_to_overwrite(path: Path) -> None:
    if path.exists() and path.stat().st_size > 0:
        remedy = f"choose another run.name, or continue the run with resume={path.parent}"
        raise UserError(f"{path}: this folder already holds a run; {remedy}")
