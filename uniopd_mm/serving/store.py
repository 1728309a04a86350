"""A cache of media that clients have sent, for later requests that only name them."""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, final

from uniopd_mm.wire.media import Needs, read_payload


@final
class MediaStore:
    """The most recently used media, by the name of their content. Thread-safe.

    Args:
        max_bytes: limit on all of them together.
        needs: the form that the engine reads.
    """

    def __init__(self, max_bytes: int, needs: Needs) -> None:
        self.max_bytes = max_bytes
        self.needs = needs
        self._kept: OrderedDict[str, tuple[int, Mapping[str, Any]]] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def add(self, name: str, content: bytes) -> Mapping[str, Any]:
        """Read a payload and keep it, and drop the least recently used ones. A payload above the limit is not kept.

        Raises:
            Malformed: the content has another name, or is not media that the engine reads.
        """
        media = read_payload(name, content, self.needs)
        with self._lock:
            if name not in self._kept and len(content) <= self.max_bytes:
                self._kept[name] = (len(content), media)
                self._size += len(content)
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
