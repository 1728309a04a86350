"""Which benchmarks a run asks its student, told before anything is loaded, and without lmms-eval's import."""

from collections.abc import Sequence
from importlib.util import find_spec

from uniopd_mm.evaluation.choice import chosen_tasks
from uniopd_mm.evaluation.records import SuiteTask
from uniopd_mm.types import UserError

INSTALL = "in a checkout `python3 tools/setup.py --extra eval` installs it; elsewhere pip install 'uniopd-mm[eval]'"


def live_tasks(names: Sequence[str]) -> tuple[SuiteTask, ...]:
    """The tasks of `benchmarks.tasks`, none where that is empty.

    Raises:
        UserError: one of ours that is not there, one given twice, or lmms-eval is not installed.
    """
    if not names:
        return ()
    try:
        tasks = chosen_tasks((), names)
    except UserError as error:
        raise UserError(f"benchmarks.{error}") from error
    if find_spec("lmms_eval") is None:
        raise UserError(f"benchmarks.tasks=[{','.join(names)}]: lmms-eval is not installed; {INSTALL}")
    return tasks
