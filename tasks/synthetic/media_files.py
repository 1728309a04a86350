"""Synthetic sets with media: each split is a folder of files below the user's cache folder, drawn on first use."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from uniopd_mm.runtime.cache import made_cache_folder


def split_folder(name: str, version: int, made_of: str, split: str) -> Path:
    """The folder of a written split. Another `version`, or another `made_of` (the set's options), is another folder."""
    digest = hashlib.sha256(f"{version} {made_of}".encode()).hexdigest()[:12]
    return made_cache_folder("data", f"{name}_{digest}", split)


def drawn_rows(folder: Path, count: int, draw: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the split in `folder`. On first use, `draw` writes the media of each problem and returns its row.

    The index is written last: if it is there, so are all media. Two processes that need a split at once draw it once.
    """
    with FileLock(folder.with_suffix(".lock")):
        index = folder / "rows.jsonl"
        if not index.exists():
            rows = [draw(number) for number in range(count)]
            partial = index.with_suffix(".partial")
            partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            partial.replace(index)
        return [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]
