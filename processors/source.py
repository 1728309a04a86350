"""Locates a media file: a path, a file:// URI, a base64 data URI, or encoded bytes.

Nothing is fetched over a network: training reads local files, so that a slow server cannot stall it.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from uniopd_mm.types import BadSample

MAX_NAME_LENGTH = 300


@dataclass(frozen=True, kw_only=True, slots=True)
class Encoded:
    """An encoded image or video; `name` identifies it in messages."""

    name: str
    content: Path | bytes


def locate(source: Any) -> Encoded:
    """Find what `source` refers to, and check that it exists and is not empty.

    Raises:
        BadSample: "<name>: <reason>"; it cannot be read, or the kind of reference is unknown.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return _not_empty(Encoded(name=f"<{len(source)} bytes>", content=bytes(source)))
    if isinstance(source, str) and source.startswith("data:"):
        return _not_empty(_from_data_uri(source))
    if isinstance(source, str) and source.startswith(("http://", "https://")):
        raise BadSample(f"{source}: remote media are not fetched; download the file and give its path")
    if isinstance(source, str | Path):
        text = str(source)
        return _not_empty(_from_path(Path(unquote(text[len("file://") :]) if text.startswith("file://") else text)))
    raise BadSample(f"{type(source).__name__}: not a path, a data URI, bytes or an image")


def reject_unknown(options: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Raises BadSample listing the choices if an option is not in `known`."""
    if unknown := sorted(set(options) - set(known)):
        raise BadSample(f"unknown option {unknown[0]!r}; choose from {', '.join(known)}")


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Prefix the reason of a BadSample raised inside with the name."""
    try:
        yield
    except BadSample as reason:
        raise BadSample(f"{name}: {reason}") from reason


def _from_data_uri(uri: str) -> Encoded:
    header, _, payload = uri.partition(",")
    name = f"{header[:40]},<{len(payload)} characters>"
    if not header.endswith(";base64"):
        raise BadSample(f"{name}: a data URI must be base64")
    try:
        return Encoded(name=name, content=base64.b64decode(payload, validate=True))
    except binascii.Error as error:
        raise BadSample(f"{name}: broken base64 ({error})") from error


def _from_path(path: Path) -> Encoded:
    name = str(path)
    name = name if len(name) <= MAX_NAME_LENGTH else f"{name[:MAX_NAME_LENGTH]}..."
    try:
        if not path.exists():
            raise BadSample(f"{name}: no such file")
        if not path.is_file():
            raise BadSample(f"{name}: not a file")
        with path.open("rb"):
            return Encoded(name=name, content=path)
    except OSError as error:
        raise BadSample(f"{name}: {error.strerror}") from error


def _not_empty(encoded: Encoded) -> Encoded:
    content = encoded.content
    if (content.stat().st_size if isinstance(content, Path) else len(content)) == 0:
        raise BadSample(f"{encoded.name}: the file is empty (0 bytes)")
    return encoded
