"""From the fork to the program's first line: streams, folder, rights and limits of one run."""

import os
import signal
import sys
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from uniopd_mm.tasks.sandbox.inside import confine


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch:
    """What the runs of one program have in common. `apart` says whether this process makes namespaces for each;
    `user` is who the program runs as, None for whoever runs this process."""

    source: str
    apart: bool
    folder: str
    readable: Sequence[str]
    libraries: Sequence[str]
    limits: Mapping[str, Any]
    user: int | None

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> "Launch":
        apart = job["level"] == "namespaces"
        only_user = job["level"] == "bubblewrap"  # its namespace knows one user
        return cls(
            source=job["source"],
            apart=apart,
            folder=confine.BOX if apart else os.path.join(job["folder"], "box"),
            readable=job["readable"],
            libraries=job["libraries"],
            limits=job["limits"],
            user=None if only_user else confine.own_user(os.getpid()),
        )

    def numbered(self, number: int) -> "Launch":
        """Folders on the machine's own disk stay until the warden has ended, so each run has another one."""
        return self if self.apart else replace(self, folder=f"{self.folder}-{number}")

    def run_program(self) -> None:
        """Run the program as `__main__` of this process; its exceptions and exits are the process's own."""
        confine.purge_modules("uniopd_mm")
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        sys.argv = ["program.py"]
        exec(compile(self.source, "program.py", "exec"), main.__dict__)


def fork_program(launch: Launch, text: str, namespace: int | None) -> tuple[int, tuple[int, int]]:
    """In this process: the child's id and the reading ends of its stdout and stderr. In the child: 0, when all that
    is left to do is to run the program.

    Raises:
        OSError: the child could not take its rights from itself; it has ended.
    """
    stdin = _file_of(text)
    (out_reader, out), (err_reader, err), (report_reader, report) = os.pipe(), os.pipe(), os.pipe()
    ours, theirs = (out_reader, err_reader, report_reader), (stdin, out, err, report)
    pid = os.fork() if namespace is None else confine.fork_apart(namespace)
    if pid == 0:
        _become_program(launch, theirs)
        return 0, (-1, -1)
    _close(theirs)
    problem = os.read(report_reader, 1000)
    os.close(report_reader)
    if problem:
        os.waitpid(pid, 0)
        _close(ours[:2])
        raise OSError(problem.decode("utf-8", "replace"))
    return pid, (out_reader, err_reader)


def _become_program(launch: Launch, streams: tuple[int, int, int, int]) -> None:
    report = streams[3]
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for target, stream in enumerate(streams[:3]):
            os.dup2(stream, target)
        user = launch.user
        confine.enter_folder(
            launch.folder, own_file_system=launch.apart, file_bytes=launch.limits["file_bytes"], user=user
        )
        os.environ.update(HOME=launch.folder, TMPDIR=launch.folder)
        _close_others(report)
        confine.set_libraries(launch.libraries, by_descriptor=user is not None and not launch.apart)
        confine.set_limits(launch.limits, shared_user=user is None and not launch.apart)
        confine.drop_rights(
            launch.folder,
            readable=launch.readable,
            listed=launch.libraries,
            user=user,
            processes=launch.limits["processes"] > 1,
        )
    except OSError as error:
        os.write(report, str(error).encode()[:1000])
        os._exit(1)
    os.close(report)


def _close_others(report: int) -> None:
    os.closerange(3, report)
    os.closerange(report + 1, os.sysconf("SC_OPEN_MAX"))


def _file_of(text: str) -> int:
    """A file in memory to read from: a pipe would have to be fed while the program runs."""
    descriptor = os.memfd_create("stdin")
    view = memoryview(text.encode("utf-8", "replace"))
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
