"""A document of a benchmark as plain values, by which lmms-eval's log identifies it."""

import hashlib
from collections.abc import Mapping
from typing import Any


def identified(value: Any) -> Any:
    """The document with a digest in the place of each value that JSON does not have, such as pictures and bytes.

    lmms-eval hashes what `Instance.doc` holds, which it leaves empty: without this, all samples have the hash of null.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(name): identified(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [identified(item) for item in value]
    return f"{type(value).__name__} {hashlib.sha256(_content(value)).hexdigest()}"


def _content(value: Any) -> bytes:
    """Bytes are themselves; pictures, arrays and tensors give theirs; of anything else, its text."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    pixels = getattr(value, "tobytes", None)
    return pixels() + str(getattr(value, "size", "")).encode() if callable(pixels) else str(value).encode()
