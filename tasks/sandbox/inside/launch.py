"""From the fork to the program's first line: streams, folder, rights and limits of one run."""

import atexit
import os
import signal
import sys
import threading
import types
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from uniopd_mm.tasks.sandbox.inside import confine, loops


class Launch(NamedTuple):
    """What all runs of one program share.

    `apart` says whether this process makes namespaces for each run. The program runs as `user`, or as the user of this
    process if that is None. If it is `weak`, no rules of files apply. (Not a dataclass: importing `dataclasses` takes
    as long as everything else that a warden does.)
    """

    source: str
    apart: bool
    folder: str
    readable: Sequence[str]
    libraries: Sequence[str]
    limits: Mapping[str, Any]
    user: int | None
    weak: bool

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> "Launch":
        apart = job["level"] == "namespaces"
        only_user = job["level"] == "bubblewrap"  # its namespace has only one user
        return cls(
            source=job["source"],
            apart=apart,
            folder=confine.BOX if apart else os.path.join(job["folder"], "box"),
            readable=job["readable"],
            libraries=job["libraries"],
            limits=job["limits"],
            user=None if only_user else confine.own_user(os.getpid()),
            weak=job["level"] == "weak",
        )

    def numbered(self, number: int) -> "Launch":
        """The launch of one run. Folders on the machine's disk stay until the warden ends, so each run gets its own."""
        return self if self.apart else self._replace(folder=f"{self.folder}-{number}")

    def run_program(self) -> NoReturn:
        """Run the program as `__main__` of this process, and end as an interpreter does, but without clearing every
        module: in a forked process, that would copy all their memory and take longer than most programs."""
        loops.wake_by_pipes()
        confine.purge_modules("uniopd_mm")
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        sys.argv = ["program.py"]
        sys.set_int_max_str_digits(0)  # CPU time is limited, and programs may print long numbers
        code = 0
        try:
            exec(compile(self.source, "program.py", "exec"), main.__dict__)
        except SystemExit as end:
            code = _exit_code(end.code)
        except BaseException as error:  # noqa: BLE001 - the program's own, whatever it is
            sys.__excepthook__(type(error), error, error.__traceback__)
            code = 1
        os._exit(code | _finish())


def _exit_code(value: object) -> int:
    """The exit code that Python would give. A text is printed and counts as an error."""
    if value is None or isinstance(value, int):
        return (value or 0) & 0xFF
    print(value, file=sys.stderr)
    return 1


def _finish() -> int:
    """Wait for threads, run the exit handlers and flush the output. Returns 0, or 1 if that fails."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - the program may have replaced any of these
        return 1
    return 0


def fork_program(launch: Launch, text: bytes, namespace: int | None) -> tuple[int, tuple[int, int]]:
    """Fork the process of a program. Returns the child's id and the reading ends of its stdout and stderr; in the
    child, 0 as the id, and the child is ready to run the program.

    Raises:
        OSError: the child could not give up its rights, and has ended.
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
        os.environ.pop("PWD", None)  # set by bubblewrap
        os.environ.update(HOME=launch.folder, TMPDIR=launch.folder)
        _close_others(report)
        confine.set_libraries(launch.libraries, by_descriptor=user is not None and not launch.apart)
        confine.set_limits(launch.limits, shared_user=user is None and not launch.apart)
        confine.drop_rights(
            launch.folder,
            files=None if launch.weak else (launch.readable, launch.libraries),
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


def _file_of(text: bytes) -> int:
    """A file in memory with this text. A pipe would have to be filled while the program runs."""
    descriptor = os.memfd_create("stdin")
    view = memoryview(text)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _close(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
