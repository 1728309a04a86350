"""A cache for values that take long to compute: each is computed once, even if several threads need it at once."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar, final

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class _Place(Generic[Found]):
    """The place of one value. The thread that computes it holds the lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.found: tuple[Found] | None = None


@final
class Remembered(Generic[Key, Found]):
    """The values of the `size` most recently used keys. Safe to use from several threads."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._places: OrderedDict[Key, _Place[Found]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, find: Callable[[], Found]) -> Found:
        """The key's value, computed by `find` if it is not known. If `find` raises, so does this, and the next call
        tries again."""
        with self._lock:
            place = self._places.setdefault(key, _Place())
            self._places.move_to_end(key)
            if len(self._places) > self._size:
                self._places.popitem(last=False)
        with place.lock:
            if place.found is None:
                place.found = (find(),)
            return place.found[0]
