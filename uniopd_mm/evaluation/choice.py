"""Chooses the tasks to evaluate: those of a suite, or any others by their names in lmms-eval."""

import difflib
from collections.abc import Sequence

from uniopd_mm.evaluation.library import our_tasks, task_metadata
from uniopd_mm.evaluation.records import SuiteTask
from uniopd_mm.types import UserError

OURS = "uniopd_"


def chosen_tasks(suite: Sequence[SuiteTask], names: Sequence[str]) -> tuple[SuiteTask, ...]:
    """The named tasks; the whole suite if no names are given.

    A name is a task of the suite, one of ours, or one of lmms-eval's own. For the last kind, NAME:METRIC or
    NAME:METRIC:FULL_MARK chooses the metric that counts, and its full mark (1 or 100).

    Raises:
        UserError: an unknown task of ours, an invalid full mark, or a name given twice.
    """
    known = {task.task: task for task in suite}
    chosen = [known.get(name) or _other(name) for name in names] if names else list(suite)
    for index, task in enumerate(chosen):
        _check_ours(task.task)
        if task.task in {other.task for other in chosen[:index]}:
            raise UserError(f"tasks: {task.task} is given twice; remove one")
    return tuple(chosen)


def _other(text: str) -> SuiteTask:
    name, _, rest = text.partition(":")
    metric, _, mark = rest.partition(":")
    if mark not in ("", "1", "100"):
        raise UserError(f"tasks: {text}: the full mark of {metric} must be 1 or 100, not {mark}")
    title = str(task_metadata(name)["title"]) if name in our_tasks() else name
    return SuiteTask(task=name, title=title, domain="other", metric=metric or "score", scale=float(mark or 100))


def _check_ours(name: str) -> None:
    if name.startswith(OURS) and name not in our_tasks():
        near = difflib.get_close_matches(name, our_tasks(), n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(our_tasks())}"
        raise UserError(f"tasks: {name}: no such task; {hint}")
