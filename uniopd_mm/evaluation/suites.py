"""Reads a suite (configs/suite), the benchmarks to evaluate together, from its configuration into records."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from uniopd_mm.evaluation.records import Paper, SuiteTask
from uniopd_mm.types import UserError

_KEYS = tuple(field.name for field in fields(SuiteTask))
_FIGURES = tuple(field.name for field in fields(Paper))


def suite_tasks(tasks: Sequence[Mapping[str, Any]]) -> tuple[SuiteTask, ...]:
    """The benchmarks of `suite.tasks`, in their order. The default `title` is the task's name, the default `domain`
    "other".

    Raises:
        UserError: an entry has no name, an unknown key or a value of the wrong type, or a task is listed twice.
    """
    entries = tuple(_task(f"suite.tasks[{index}]", entry) for index, entry in enumerate(tasks))
    names = [entry.task for entry in entries]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise UserError(f"suite.tasks[{index}].task: {name!r} is also suite.tasks[{names.index(name)}]; remove one")
    if not entries:
        raise UserError("suite.tasks: []; name at least one task, as in 'suite.tasks=[{task: uniopd_aime24}]'")
    return entries


def _task(key: str, entry: Any) -> SuiteTask:
    if not isinstance(entry, Mapping):
        raise UserError(f"{key}: {entry!r}; write {{task: {entry}}}")
    _check_keys(key, entry, _KEYS)
    name = _text(f"{key}.task", entry.get("task"))
    return SuiteTask(
        task=name,
        title=_text(f"{key}.title", entry.get("title", name)),
        domain=_text(f"{key}.domain", entry.get("domain", "other")),
        metric=_text(f"{key}.metric", entry.get("metric", "score")),
        scale=_scale(f"{key}.scale", entry.get("scale", 100.0)),
        paper=_paper(f"{key}.paper", entry.get("paper")),
    )


def _check_keys(key: str, entry: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in entry:
        if name not in known:
            raise UserError(f"{key}.{name}: unknown key; choose from {', '.join(known)}")


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{key}: {value!r}; must be a text")
    return value


def _scale(key: str, value: Any) -> float:
    """The metric's full mark."""
    if not _is_number(value) or value not in (1, 100):
        raise UserError(f"{key}: {value!r}; the metric's full mark must be 1 or 100")
    return float(value)


def _paper(key: str, figures: Any) -> Paper:
    if figures is None:
        return Paper()
    if not isinstance(figures, Mapping):
        raise UserError(f"{key}: {figures!r}; write {{{': 0.0, '.join(_FIGURES)}: 0.0}}")
    _check_keys(key, figures, _FIGURES)
    return Paper(**{name: _figure(f"{key}.{name}", value) for name, value in figures.items()})


def _figure(key: str, value: Any) -> float | None:
    if value is not None and not (_is_number(value) and 0 <= value <= 100):
        raise UserError(f"{key}: {value!r}; must be a figure from 0 to 100, or null for none")
    return None if value is None else float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
