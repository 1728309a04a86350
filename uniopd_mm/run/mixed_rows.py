"""Rows of several tasks in one file: each names its `task` (and `metric`), and holds its columns under `row`."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from uniopd_mm.config.grade import GradeConfig
from uniopd_mm.run.regrading import line_of, source_of
from uniopd_mm.types import Skip

ROW = "row"
NAME = re.compile(r"\w+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """The rows of one task and metric, in a file of their own. `places` says where each of its lines comes from."""

    task: str
    metric: str | None
    path: Path
    places: tuple[str, ...]

    def skipped(self, reason: str) -> list[Skip]:
        """All rows, for one reason."""
        return [Skip(where=place, reason=reason) for place in self.places]

    def at_their_places(self, skips: Iterable[Skip]) -> list[Skip]:
        """Skips of lines of this file, where the user has them."""
        return [replace(skip, where=self.places[int(skip.where.rpartition(":")[2]) - 1]) for skip in skips]


def parts_of(config: GradeConfig, folder: Path) -> tuple[list[Part], list[Skip]]:
    """The rows of each task and metric, written to files in `folder`, and those that name no task or have no row."""
    lines: dict[tuple[str, str | None], list[tuple[str, bytes]]] = defaultdict(list)
    skipped: list[Skip] = []
    for raw in source_of(config, ()).raw_rows():
        reason = _fault(raw.content, config)
        if reason or not isinstance(raw.content, Mapping):
            skipped.append(Skip(where=raw.where, reason=reason))
            continue
        row = raw.content
        own = {name: row[name] for name in ("id", config.response_column, config.expected_column) if name in row}
        lines[row["task"], row.get("metric")].append((raw.where, line_of({**row[ROW], **own})))
    parts = []
    for number, ((task, metric), found) in enumerate(lines.items()):
        path = folder / f"{number}.jsonl"
        path.write_bytes(b"".join(line for _, line in found))
        parts.append(Part(task=task, metric=metric, path=path, places=tuple(place for place, _ in found)))
    return parts, skipped


def _fault(row: Any, config: GradeConfig) -> str:
    """Why a row cannot be given to a task, or ""."""
    if not isinstance(row, Mapping):
        return str(row)
    if not isinstance(row.get(ROW), Mapping) or "task" not in row:
        return f"mixed=true needs the columns task, {ROW} and {config.response_column}"
    names = [row["task"], *([row["metric"]] if row.get("metric") is not None else [])]
    bad = next((name for name in names if not isinstance(name, str) or not NAME.fullmatch(name)), None)
    return "" if bad is None else f"task or metric {bad!r}: no such name"
