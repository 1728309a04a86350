"""Event loops of asyncio without sockets, which the filter of system calls refuses: they wake up by a pipe.

`wake_by_pipes` costs nothing until a program imports asyncio.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, final

_MODULE = "asyncio.selector_events"


def wake_by_pipes() -> None:
    """From now on, event loops use pipes where they would use a pair of sockets."""
    sys.meta_path.insert(0, _Finder())


@final
class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != _MODULE:
            return None
        found = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, found), None)
        if spec is not None and spec.loader is not None:
            spec.loader = _Patching(spec.loader)
        return spec


@final
class _Patching(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        module.BaseSelectorEventLoop._make_self_pipe = _make_self_pipe


def _make_self_pipe(loop: Any) -> None:
    """What `BaseSelectorEventLoop` does, with the two ends of a pipe."""
    loop._ssock, loop._csock = map(_End, os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
    loop._internal_fds += 1
    loop._add_reader(loop._ssock.fileno(), loop._read_from_self)


@final
class _End:
    """One end of a pipe, with the methods of a socket that event loops use."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def recv(self, size: int) -> bytes:
        return os.read(self._descriptor, size)

    def send(self, content: bytes) -> int:
        return os.write(self._descriptor, content)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
