"""A file of a judge's verdicts, which threads and processes share."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from uniopd_mm.types import UserError


@final
class Verdicts:
    """Rewards in [0, 1] by key. One that cannot be read or written counts as missing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with self._open() as database:
                database.execute("CREATE TABLE IF NOT EXISTS rewards (key TEXT PRIMARY KEY, reward REAL NOT NULL)")
        except sqlite3.Error as error:
            raise UserError(f"{path}: {error}; delete this file, or name another cache in UNIOPD_MM_CACHE") from error

    def find(self, key: str) -> float | None:
        try:
            with self._open() as database:
                row = database.execute("SELECT reward FROM rewards WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error:
            return None
        return float(row[0]) if row else None

    def keep(self, key: str, reward: float) -> None:
        try:
            with self._open() as database:
                database.execute("INSERT OR REPLACE INTO rewards VALUES (?, ?)", (key, reward))
        except sqlite3.Error:
            return

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        database = sqlite3.connect(self._path, timeout=10)
        try:
            with database:  # a transaction
                yield database
        finally:
            database.close()
