"""Unpacks zip and tar archives into the cache folder: members of a zip one by one, a tar whole, as it has no index.

A file appears under its name only when it is complete, even if other processes unpack the same file or this process is
killed. No member's name can lead outside the cache folder. Sizes that an archive claims are checked before and while it
is unpacked. Left out: links, devices and sparse files.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader, RawIOBase
from pathlib import Path, PurePosixPath
from typing import IO, Any, final

from uniopd_mm.runtime.cache import made_cache_folder
from uniopd_mm.types import BadSample, UserError

_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error)
_UNSUPPORTED = (NotImplementedError, RuntimeError, UnicodeError)  # such as an unknown compression or a password
_PART = re.compile(r"(?P<whole>.+\.(?:tar\.(?:gz|xz|bz2)|tgz|tar))(?:\.(?:part[._-]?)?(?P<part>[a-z]{2}|[0-9]+))?")
_CHUNK = 1 << 20  # bytes copied at a time
_FREE_BYTES, _MAX_RATIO = 1 << 26, 200  # an archive may become 64 MB, or 200 times as long


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A file in a zip. `size` is its unpacked length in bytes as the zip claims it, `packed` what it takes there."""

    archive: Path
    name: str
    size: int
    packed: int


def zip_members(archive: Path) -> tuple[Member, ...]:
    """All files of a zip with a safe name.

    Raises:
        BadSample: the zip is damaged.
    """
    with _explained(archive):
        return tuple(
            Member(archive=archive, name=info.filename, size=info.file_size, packed=info.compress_size)
            for info in _opened_zip(archive).infolist()
            if not info.is_dir() and is_safe(info.filename)
        )


def unpacked_member(member: Member) -> str:
    """The absolute path of a zip's member, unpacked now or earlier.

    Raises:
        BadSample: the archive is damaged, or its format is not supported.
        UserError: there is no room for it.
    """
    digest = hashlib.sha256(member.name.encode("utf-8", "replace")).hexdigest()[:16]
    target = _place_of([member.archive]) / f"{digest}-{PurePosixPath(member.name).name[-80:]}"
    if target.is_file():
        return str(target)
    what = f"{member.archive}: {member.name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{digest}.{os.getpid()}.{os.urandom(4).hex()}.partial")
    with _explained(what):
        _check_claim(member.size, member.packed, what)
        _check_room(target.parent, member.size, what)
        try:
            with _opened_zip(member.archive).open(member.name) as content:
                _copy(content, partial, member.size, what)
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    return str(target)


def _opened_zip(archive: Path) -> zipfile.ZipFile:
    state = archive.stat()
    return _kept_zip(archive, (state.st_size, state.st_mtime_ns), os.getpid())


@lru_cache(maxsize=64)
def _kept_zip(archive: Path, state: tuple[int, int], process: int) -> zipfile.ZipFile:
    """The zip, kept open, because reading the names of 100,000 members takes longer than unpacking one. Threads share
    it. Processes do not, because a forked one would move its parent's position in the file."""
    return zipfile.ZipFile(archive)


def tars(files: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """(name of the tar, its files in order) for every tar among the names, whole or in parts ("x.tar.part.aa")."""
    found: dict[str, list[str]] = {}
    for file in files:
        if match := _PART.fullmatch(file):
            found.setdefault(match["whole"], []).append(file)
    return [(whole, tuple(sorted(parts, key=_number))) for whole, parts in sorted(found.items())]


def unpacked_tar(parts: Sequence[Path]) -> Path:
    """The folder with a tar's files, unpacked now or earlier. If several processes need it, one unpacks and the others
    wait.

    Raises:
        BadSample: the tar is damaged, or a part is missing.
        UserError: there is no room for it.
    """
    folder = _place_of(parts)
    if folder.is_dir():
        return folder
    what = str(parts[0])
    numbers = [_number(part.name) for part in parts]
    if numbers[0] > 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise BadSample(f"{what}: one or more of its parts are missing; download them again")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _explained(what), _locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.is_dir():
            _unpack_tar(parts, folder, what)
    return folder


def is_safe(name: str) -> bool:
    """Whether a member's name stays below the folder that it is joined to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and not set(name) & set("\\\0")


def _unpack_tar(parts: Sequence[Path], folder: Path, what: str) -> None:
    """Unpack a tar, under the lock. First removes what a killed process left half unpacked."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    packed = sum(part.stat().st_size for part in parts)
    _check_room(folder.parent, packed, what)
    partial.mkdir()
    claimed = 0
    try:
        with BufferedReader(_Joined(parts), _CHUNK) as stream, tarfile.open(fileobj=stream, mode="r|*") as opened:
            for member in opened:
                plain = member.isreg() and not member.issparse() and is_safe(member.name)
                content = opened.extractfile(member) if plain else None
                if content is not None:
                    claimed += member.size
                    _check_claim(claimed, packed, what)
                    _check_room(partial, member.size, what)
                    target = partial / member.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _copy(content, target, member.size, what)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@final
class _Joined(RawIOBase):
    """The bytes of several files, one after the other."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._left = list(files)
        self._open: IO[bytes] | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._open is not None or self._left:
            self._open = self._open or self._left.pop(0).open("rb", buffering=0)
            content = self._open.read(len(buffer))
            if content:
                buffer[: len(content)] = content
                return len(content)
            self.close_part()
        return 0

    def close_part(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def close(self) -> None:
        self.close_part()
        super().close()


def _number(file: str) -> int:
    """The number of a part, counted from 0 or 1: 0 for "aa", 1 for "ab"; 0 for a whole file."""
    match = _PART.fullmatch(file)
    part = match["part"] if match else None
    if part is None:
        return 0
    if part.isdigit():
        return int(part)
    number = 0
    for letter in part:
        number = 26 * number + ord(letter) - ord("a")
    return number


def _place_of(files: Sequence[Path]) -> Path:
    """The folder where these files are unpacked. It depends on their paths, sizes and times of change."""
    facts = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    digest = hashlib.sha256(repr(facts).encode("utf-8", "replace")).hexdigest()[:24]
    return made_cache_folder("benchmarks") / digest


def _copy(content: IO[bytes], target: Path, size: int, what: str) -> None:
    """Copy a file whose archive claims this many bytes. Raises BadSample if it has more."""
    left = size
    with target.open("wb") as written:
        while part := content.read(min(_CHUNK, left + 1)):
            left -= len(part)
            if left < 0:
                raise BadSample(f"{what}: has more than the {size} bytes that its archive claims; download it again")
            written.write(part)


def _check_claim(size: int, packed: int, what: str) -> None:
    """Refuse a bomb before anything is unpacked: a few bytes that claim to become very many. Media are compressed
    already, and text becomes about ten times as long."""
    if size > _FREE_BYTES + _MAX_RATIO * packed:
        raise BadSample(
            f"{what}: {packed} bytes claim to become {size}; if you trust it, unpack it next to the archive yourself"
        )


def _check_room(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(_no_room(what, f"{needed / 1e9:.1f} GB are needed, but only {free / 1e9:.1f} GB are free"))


def _no_room(what: str, reason: str) -> str:
    return f"{what}: cannot be unpacked in {made_cache_folder('benchmarks')} ({reason}); name a folder with more room \
as UNIOPD_MM_CACHE"


@contextmanager
def _explained(what: object) -> Iterator[None]:
    """Turns errors with an archive into errors that name it."""
    try:
        yield
    except _DAMAGED as error:
        raise BadSample(f"{what}: damaged ({error}); download it again") from error
    except _UNSUPPORTED as error:
        raise BadSample(f"{what}: cannot be unpacked ({error}); unpack it next to the archive yourself") from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(_no_room(str(what), reason)) from error
        raise UserError(
            f"{what}: cannot be unpacked in {made_cache_folder('benchmarks')} ({reason}); check both"
        ) from error


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """A lock held by one process or thread at a time, and released if its holder dies."""
    with file.open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
