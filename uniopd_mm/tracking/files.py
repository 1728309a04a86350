"""Writing files so that a killed process leaves no damaged file and a full disk gives a one-line error.

Left out: locking, since one process writes a run; and syncing the folder itself: after a power cut, the previous
version of a replaced file may be back.
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
    """Turn "no space left" and "quota exceeded" errors into a UserError that names `path` and what to do: resume the
    run folder `run`, or run the same command again if it is None."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        again = f"resume with resume={run}" if run else "run the same command again"
        raise UserError(f"{path}: no space left on the device; free some space, then {again}") from error


def write_durably(file: FileIO, data: bytes) -> None:
    """Write all of `data` to an unbuffered file and sync it to the disk.

    The file is unbuffered because closing a buffered one would retry a failed write, and fail again.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def write_atomically(path: Path, chunks: Iterable[bytes], *, run: Path | None) -> None:
    """Write the chunks to `path`, replacing it atomically: readers see the old file or the complete new one.

    Raises:
        UserError: the disk is full; `path` is unchanged.
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
