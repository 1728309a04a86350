"""One process at a time for a folder or file: a lock of the operating system, which ends with its process however that
ends.

A POSIX record lock (`fcntl.lockf`), which belongs to one process: unlike those of filelock (`flock`), a child that
outlives a killed process does not keep it. The file names its holder, so that a refusal can. Leaves out: threads of one
process, which do not exclude each other.
"""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from uniopd_mm.types import UserError

TAKEN = (errno.EACCES, errno.EAGAIN)
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextmanager
def locked(path: Path, refusal: str) -> Iterator[bool]:
    """Hold the lock `path` in the block: True, or False on a file system without locks. The file is created for it, and
    removed after it.

    Raises:
        UserError: another process holds it; the error is `refusal` with the holder in place of {holder}.
        OSError: the file cannot be created.
    """
    descriptor, held = _acquired(path, refusal)
    try:
        yield held
    finally:
        if _is_at(path, descriptor):
            path.unlink()
        os.close(descriptor)


def _acquired(path: Path, refusal: str) -> tuple[int, bool]:
    """The descriptor of the file, and whether it is locked. Opened anew where its holder removed it meanwhile."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        try:
            held = _lock(descriptor, refusal)
            if _is_at(path, descriptor):
                _sign(path, descriptor)
                return descriptor, held
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _lock(descriptor: int, refusal: str) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in TAKEN:
            holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace").strip() or "unknown process"
            raise UserError(refusal.replace("{holder}", holder)) from None
        if error.errno not in WITHOUT_LOCKS:
            raise
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _sign(path: Path, descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    except OSError as error:  # a full disk
        path.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
