"""Tests whether a way of running programs isolates them on this machine, by trying to break out."""

import os
import socket
import tempfile
from collections.abc import Callable

from uniopd_mm.tasks.sandbox.limits import Run, SandboxFault, Status

_ATTEMPTS = """
import os, socket, threading
def write(): open({path!r}, "a").close()
def remove(): os.unlink({path!r})
def signal(): os.kill({pid}, 0)
def connect(): socket.create_connection(("127.0.0.1", {port}), 1).close()
for attempt in (write, remove, signal, connect):
    try:
        attempt()
        print("allowed to", attempt.__name__)
    except OSError:
        pass
open("own", "w").write("x")
thread = threading.Thread(target=print, args=("alive",))
thread.start()
thread.join()
"""


def check_apart(run: Callable[[str], Run]) -> None:
    """Run a program that tries to write and remove a file of ours, to signal this process and to connect to it.

    Raises:
        SandboxFault: it succeeded, or failed to do what every program may do (write in its folder, start a thread).
    """
    with tempfile.NamedTemporaryFile() as file, socket.create_server(("127.0.0.1", 0)) as server:
        source = _ATTEMPTS.format(path=file.name, pid=os.getpid(), port=server.getsockname()[1])
        result = run(source)
        if result.status is Status.OK and result.stdout == "alive\n":
            return
    last_line = (result.stdout + result.stderr).strip().rpartition("\n")[2]
    raise SandboxFault(f"a test program: {result.status}, {last_line[:200]}")
