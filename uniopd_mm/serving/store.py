"""Media that clients have sent, kept for the next request that only names them."""

from collections import OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, final

from uniopd_mm.wire.media import Needs, read_payload


@final
class MediaStore:
    """The media used last, by the name of their content; safe in several threads.

    Args:
        max_bytes: of all kept together.
        needs: the form that the engine reads.
    """

    def __init__(self, max_bytes: int, needs: Needs) -> None:
        self.max_bytes = max_bytes
        self.needs = needs
        self._kept: OrderedDict[str, tuple[int, Mapping[str, Any]]] = OrderedDict()
        self._size = 0
        self._lock = Lock()

    def add(self, name: str, content: bytes) -> Mapping[str, Any]:
        """Keep a payload, and let go of those that were used longest ago. One larger than everything is not kept.

        Raises:
            Malformed: the content has another name, or is no media that the engine reads.
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
        """None where they are not, or no longer, here."""
        with self._lock:
            if name not in self._kept:
                return None
            self._kept.move_to_end(name)
            return self._kept[name][1]
