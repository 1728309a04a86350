"""Tables on the console, and the JSON files with the same data."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from uniopd_mm.tracking.console import printable, terminal
from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.records import standard


def table_of(title: str, rows: Sequence[Mapping[str, str]], left: Sequence[str]) -> Table:
    """A table with a column for each key of the rows. The columns in `left` are left-aligned, the others right-aligned.
    Markup in title and values is shown as plain text."""
    table = Table(title=printable(title, terminal()), title_justify="left", box=SIMPLE_HEAD)
    for name in rows[0] if rows else ():
        table.add_column(name, justify="left" if name in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(printable(value, terminal()) for value in row.values()))
    return table


def write_table(folder: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write `folder`/<name>.json, a list with one object per row."""
    path = folder / f"{name}.json"
    text = json.dumps(standard(rows), indent=2, allow_nan=False) + "\n"
    write_atomically(path, [text.encode("utf-8", "surrogatepass")], run=folder)
    return path
