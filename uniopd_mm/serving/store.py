"""A cache of media that clients have sent, for later requests that only name them."""

import sys
from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, final

import numpy as np
from torch import Tensor

from uniopd_mm.wire.media import Needs, read_payload

OBJECT_BYTES = 512  # about what a tensor or an array takes besides its elements


@final
class MediaStore:
    """The most recently used media, by the name of their content. Thread-safe.

    Args:
        max_bytes: limit on all of them together, as they are in memory.
        needs: the form that the engine reads.
    """

    def __init__(self, max_bytes: int, needs: Needs) -> None:
        self.max_bytes = max_bytes
        self.needs = needs
        self._kept: OrderedDict[str, tuple[int, Mapping[str, Any]]] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def add(self, name: str, content: bytes) -> Mapping[str, Any]:
        """Read a payload and keep it, and drop the least recently used ones. Media above the limit are not kept.

        Raises:
            Malformed: the content has another name, or is not media that the engine reads.
        """
        media = read_payload(name, content, self.needs)
        with self._lock:
            size = num_bytes(media)
            if name not in self._kept and size <= self.max_bytes:
                self._kept[name] = (size, media)
                self._size += size
            while self._size > self.max_bytes:
                _, (size, _) = self._kept.popitem(last=False)
                self._size -= size
        return media

    def get(self, name: str) -> Mapping[str, Any] | None:
        """None if they are not in the store, or no longer."""
        with self._lock:
            if name not in self._kept:
                return None
            self._kept.move_to_end(name)
            return self._kept[name][1]


def num_bytes(value: Any) -> int:
    """The memory that plain values, tensors and arrays hold, with the objects around them."""
    if isinstance(value, Tensor):
        return OBJECT_BYTES + value.untyped_storage().nbytes()
    if isinstance(value, np.ndarray):
        return OBJECT_BYTES + value.nbytes
    inner: list[Any] = []
    if isinstance(value, Mapping):
        inner = [part for pair in value.items() for part in pair]
    elif isinstance(value, list | tuple):
        inner = list(value)
    return sys.getsizeof(value) + sum(map(num_bytes, inner))
