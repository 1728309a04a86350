"""Checks the benchmarks of a training run before anything is loaded, without importing lmms-eval."""

from collections.abc import Sequence

from uniopd_mm.evaluation.available import require_installed
from uniopd_mm.evaluation.choice import chosen_tasks
from uniopd_mm.evaluation.records import SuiteTask
from uniopd_mm.types import UserError


def live_tasks(names: Sequence[str]) -> tuple[SuiteTask, ...]:
    """The tasks of `benchmarks.tasks`; empty if there are none.

    Raises:
        UserError: an unknown task of ours, a task given twice, or lmms-eval is not installed.
    """
    if not names:
        return ()
    try:
        tasks = chosen_tasks((), names)
    except UserError as error:
        raise UserError(f"benchmarks.{error}") from error
    try:
        require_installed()
    except UserError as error:
        raise UserError(f"benchmarks.tasks=[{','.join(names)}]: {error}") from error
    return tasks
