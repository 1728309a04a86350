"""Values that take long to find out: each once, whoever asks at the same time, and kept for what was asked last."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, final

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class _Place(Generic[Found]):
    """Room for one value; the lock is held by whoever finds it out."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.found: tuple[Found] | None = None


@final
class Remembered(Generic[Key, Found]):
    """The values of the `size` keys that were asked for last. Safe to use from several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._places: OrderedDict[Key, _Place[Found]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, find: Callable[[], Found]) -> Found:
        """The key's value, found out where it is not known. What `find` raises is raised, and it is called again next
        time."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            if len(self._places) > self._size:
                self._places.popitem(last=False)
        with place.lock:
            if place.found is None:
                place.found = (find(),)
            return place.found[0]
