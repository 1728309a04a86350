"""Tests whether a way of running programs isolates them on this machine, by trying to break out."""

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator

from uniopd_mm.tasks.sandbox.limits import Run, SandboxFault, Status

_ATTEMPTS = """
import os, socket, threading
def write(): open({path!r}, "a").close()
def remove(): os.unlink({path!r})
def signal(): os.kill({pid}, 0)
def connect(): socket.create_connection(("127.0.0.1", {port}), 1).close()
def read_files_of_others(): open({others!r}).close()
for attempt in (write, remove, signal, connect, read_files_of_others):
    try:
        attempt()
        print("allowed to", attempt.__name__.replace("_", " "))
    except OSError:
        pass
open("own", "w").write("x")
thread = threading.Thread(target=print, args=("alive",))
thread.start()
thread.join()
"""
_READ = "allowed to read files of others\n"
_OTHERS = "/etc/passwd"  # a file that every user may read, and no program needs


def check_apart(run: Callable[[str], Run], *, reading: bool = False) -> None:
    """Run a program that tries to write and remove a file of ours, to signal this process, to connect to it and to read
    a file that every user may read, which is only allowed if `reading` is.

    Raises:
        SandboxFault: it succeeded, or failed to do what every program may do (write in its folder, start a thread), or
            this machine cannot run the test.
    """
    try:
        with tempfile.NamedTemporaryFile() as file, _listening() as port:
            result = run(_ATTEMPTS.format(path=file.name, pid=os.getpid(), port=port, others=_OTHERS))
    except (OSError, ValueError, RuntimeError) as error:  # no folder for the file, no process, no thread
        raise SandboxFault(f"a test program: {type(error).__name__} {error}") from error
    said = result.stdout.replace(_READ, "") if reading else result.stdout
    if result.status is Status.OK and said == "alive\n":
        return
    last_line = (said + result.stderr).strip().partition("\n")[0]
    raise SandboxFault(f"a test program: {result.status}, {last_line[:200]}")


@contextlib.contextmanager
def _listening() -> Iterator[int]:
    """A port of this machine that can be connected to; 0 if there is none, so nothing to reach."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        except OSError:
            yield 0
        else:
            yield server.getsockname()[1]
