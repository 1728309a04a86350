"""Writing a run's files so that a kill leaves no wrong file and a full disk is one line with its remedy.

Left out: locking (one process writes a run), and syncing the folder itself, without which a power cut, but no kill,
may bring the previous version of a renamed file back.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from uniopd_mm.types import UserError

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def writing(path: Path, run: Path | None) -> Iterator[None]:
    """Turn "no space left" and "quota exceeded" from the block into a UserError that names `path` and how to go on:
    with the run `run`, or with the same command."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        remedy = f"free some and resume with resume={run}" if run else "free some and give the same command again"
        raise UserError(f"{path}: no space left on the device; {remedy}") from error


def write_durably(file: FileIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered file and force it to the disk.

    Unbuffered, because a buffer that could not be flushed is tried again, and fails again, when the file is closed.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def write_atomically(path: Path, chunks: Iterable[bytes], *, run: Path | None) -> None:
    """Replace `path` by the chunks, in one step: readers see the old file or the whole new one.

    Raises:
        UserError: the disk is full; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path, run):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with FileIO(temporary, "wb") as file:
                write_durably(file, b"".join(chunks))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
