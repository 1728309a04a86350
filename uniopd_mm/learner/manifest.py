"""The manifest of a checkpoint: size and SHA-256 of every file, written last.

    {"format": 3, "files": {"student/config.json": {"bytes": 1234, "sha256": "9f86..."}, ...}, "sha256": "60c1..."}

The last entry is the SHA-256 of the others, so that a damaged manifest is told from a damaged file. Leaves out: who
wrote a checkpoint. Whoever can write a folder can write its manifest (docs/security.md).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"

Inode = tuple[int, int]
"""Device and number of a file, which all its hard links share."""


class Damaged(Exception):
    """A file is not as it was written. The message names it and says why."""


def seal(folder: Path, format_number: int, known: Mapping[Inode, str] | None = None) -> None:
    """Write the manifest of a folder, with all files flushed to the disk. Files in `known` are not read again."""
    files = {}
    for name in _names(folder):
        path = folder / name
        stat = path.stat()
        digest = (known or {}).get((stat.st_dev, stat.st_ino)) or _sha256(path)
        files[name] = {"bytes": stat.st_size, "sha256": digest}
        sync(path)
    record: dict[str, Any] = {"format": format_number, "files": files}
    (folder / MANIFEST).write_bytes(_text(record))
    for path in (folder / MANIFEST, *(path for path in folder.rglob("*") if path.is_dir()), folder):
        sync(path)


def sealed_format(folder: Path) -> int:
    """The format number in a manifest.

    Raises:
        Damaged: the manifest is missing or damaged.
    """
    return int(_read(folder)["format"])


def check_files(folder: Path) -> None:
    """Compare a folder with its manifest; reads every file once. Files whose name starts with a dot are ignored.

    Raises:
        Damaged: a file is missing, has another length or content, or is not in the manifest.
    """
    listed, found = _read(folder)["files"], set(_names(folder))
    for name in sorted(found ^ listed.keys()):
        raise Damaged(f"{folder / name}: {'missing' if name in listed else f'not in {MANIFEST}'}")
    for name, entry in listed.items():
        path = folder / name
        if path.is_symlink():
            raise Damaged(f"{path}: a link in place of the file")
        try:
            if (size := path.stat().st_size) != entry["bytes"]:
                raise Damaged(f"{path}: {size} bytes, {entry['bytes']} were written")
            if _sha256(path) != entry["sha256"]:
                raise Damaged(f"{path}: its content has changed (SHA-256)")
        except OSError as error:
            raise Damaged(f"{path}: {error.strerror}") from error


def digests_by_inode(folder: Path) -> dict[Inode, str]:
    """The digests of a sealed folder, for hard links to its files; empty where it has no manifest."""
    try:
        files = _read(folder)["files"]
        stats = {name: (folder / name).stat() for name in files}
    except (Damaged, OSError):
        return {}
    return {(stat.st_dev, stat.st_ino): files[name]["sha256"] for name, stat in stats.items()}


def sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(folder: Path) -> Iterator[str]:
    """Everything below a folder but the manifest, links to folders included, and none of them followed."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from (f"{path.name}/{name}" for name in _names(path))
        elif not path.name.startswith(".") and path.name != MANIFEST:
            yield path.name


def _read(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        content = path.read_bytes()
        record = json.loads(content)
        record.pop("sha256")
    except FileNotFoundError:
        raise Damaged(f"{path}: missing") from None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Damaged(f"{path}: not a manifest ({type(error).__name__})") from error
    if content != _text(record):
        raise Damaged(f"{path}: its content has changed (SHA-256)")
    if not _is_manifest(record):
        raise Damaged(f"{path}: not a manifest")
    return record


def _is_manifest(record: Mapping[str, Any]) -> bool:
    files = record.get("files")
    return isinstance(record.get("format"), int) and isinstance(files, dict) and all(map(_is_entry, files.values()))


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.keys() == {"bytes", "sha256"}


def _text(record: Mapping[str, Any]) -> bytes:
    """The file for a record: with its own digest, and to the byte, so that any other byte is damage."""
    digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
    return json.dumps({**record, "sha256": digest}, indent=1).encode() + b"\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
