"""Runs programs on this machine, isolated as strictly as the machine allows.

    namespaces  The warden makes process, network, mount and IPC namespaces. The program sees no other process, has no
                network, and sees only the interpreter's library and an empty folder in memory. No process outlives
                it, because the kernel ends a process namespace with its first process.
    bubblewrap  The same view, made by `bwrap`, for users who may not make namespaces but have a `bwrap` that may.
                Left-over processes are found and ended.
    rlimits     No namespaces. Under root, the program runs as a separate user. Landlock (Linux 5.13) refuses access to
                every file except the library and the folder, which is on the machine's disk and is removed afterwards.
                A program that knows a file's path can still see its size. Left-over processes are found and ended.
    weak        As rlimits, without Landlock, so only under root. A program can use every file that all users of the
                machine can. It may find the expected answers there: a wrong program can be graded right. Never used
                without `allow_weak`.

At every level, CPU time, sleep, memory, output and files are limited. The program gets neither the grader's environment
nor its file descriptors, and has no capabilities. A seccomp filter (x86-64 and AArch64) allows the system calls that
Python and numpy need, so no sockets, signals to others, priorities, tracing and, with `Limits.processes=1`, no other
processes. A level is used only if a test program fails to write, read, signal and connect on this machine. No level
hides the clock and the processor, or protects against a bug in the kernel.
"""

import contextlib
import functools
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Any, final

import uniopd_mm
from uniopd_mm.tasks.sandbox.channel import Channel
from uniopd_mm.tasks.sandbox.cores import cores_of_this_rank
from uniopd_mm.tasks.sandbox.limits import Limits, Run, SandboxFault
from uniopd_mm.tasks.sandbox.probe import check_apart
from uniopd_mm.types import UserError


class Level(StrEnum):
    """How programs are isolated, strictest first."""

    NAMESPACES = "namespaces"
    BUBBLEWRAP = "bubblewrap"
    RLIMITS = "rlimits"
    WEAK = "weak"


_WEAKNESS = "programs can then read every file that all users of this machine can, such as the expected answers"
_START = "import sys; sys.path.insert(0, sys.argv[1]); from uniopd_mm.tasks.sandbox.inside.warden import main; main()"
_CODE = "/code"  # where bubblewrap mounts the warden's source


@final
class LocalSandbox:
    """A Sandbox on this machine.

    Args:
        level: the level to use; None for the strictest that works.
        allow_weak: whether the level `weak` may be used.
        max_running: how many programs run at the same time; by default one for each of this rank's cores.
        packages: installed packages that programs can import besides the standard library.
    """

    def __init__(
        self,
        *,
        level: str | None = None,
        allow_weak: bool = False,
        max_running: int | None = None,
        packages: Sequence[str] = ("numpy",),
    ) -> None:
        if level is not None and level not in list(Level):
            raise UserError(f"task.sandbox.level={level}: no such level; choose from {', '.join(Level)}")
        if max_running is not None and max_running < 1:
            raise UserError(f"task.sandbox.max_running={max_running}: must be 1 or more")
        if level == Level.WEAK and not allow_weak:
            raise UserError(f"task.sandbox.level=weak: {_WEAKNESS}; to accept that, set task.sandbox.allow_weak=true")
        usable = (one for one in Level if allow_weak or one is not Level.WEAK)
        self._wanted = tuple(usable) if level is None else (Level(level),)
        self._free = threading.BoundedSemaphore(max_running or cores_of_this_rank())
        self._packages = tuple(_package_folder(name) for name in packages)
        self._level: Level | None = None
        self._choosing = threading.Lock()

    @property
    def level(self) -> str:
        """The level in use; the module's docstring says what it guarantees.

        Raises:
            UserError: no level works on this machine.
        """
        with self._choosing:
            if self._level is None:
                self._level = self._strongest()
            return self._level.value

    def runs(self, source: str, inputs: Iterable[str], limits: Limits) -> Generator[Run, None, None]:
        """See `Sandbox.runs`. Waits for a free core, and occupies it until the generator is closed."""
        level = Level(self.level)
        if level is Level.BUBBLEWRAP and os.geteuid() == 0 and limits.processes > 1:
            raise SandboxFault("bubblewrap under root: the kernel does not count root's processes; allow only one")
        with self._free:
            yield from self._runs(level, source, inputs, limits)

    def _strongest(self) -> Level:
        reasons = []
        for level in self._wanted:
            try:
                check_apart(functools.partial(self._first_run, level), reading=level is Level.WEAK)
            except SandboxFault as fault:
                reasons.append(f"{level} ({fault})")
            else:
                return level
        raise UserError(
            f"task.sandbox: programs cannot be isolated on this machine: {'; '.join(reasons)}; install bubblewrap, "
            f"run under Linux 5.13 or later, use a remote sandbox, or set task.sandbox.allow_weak=true: {_WEAKNESS}"
        )

    def _first_run(self, level: Level, source: str) -> Run:
        with contextlib.closing(self._runs(level, source, [""], Limits())) as runs:
            return next(runs)

    def _runs(self, level: Level, source: str, inputs: Iterable[str], limits: Limits) -> Generator[Run, None, None]:
        folder = _made_folder()
        try:
            limited = asdict(limits) | {"longest_seconds": limits.longest_seconds}
            job = self._job(level, folder) | {"source": source, "limits": limited}
            with Channel(self._command(level, folder, limits), job) as channel:
                for text in inputs:
                    yield channel.ask(text, limits)
        except OSError as error:
            raise SandboxFault(f"the sandbox cannot start: {error}") from error
        finally:
            _remove(folder)

    def _job(self, level: Level, folder: str) -> dict[str, Any]:
        parents = [str(package.parent) for package in self._packages]
        return {
            "level": level,
            "folder": "/box" if level is Level.BUBBLEWRAP else folder,
            "readable": self._readable(),
            "libraries": list(dict.fromkeys([*_standard_library(), *parents])),
        }

    def _readable(self) -> list[str]:
        """What a program may read: shared libraries, the standard library and the packages."""
        shared = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache"]
        packages = [str(path) for package in self._packages for path in (package, Path(f"{package}.libs"))]
        wanted = [*shared, os.path.join(sys.base_prefix, "lib"), *_standard_library(), *packages]
        return list(dict.fromkeys(path for path in wanted if os.path.exists(path)))

    def _command(self, level: Level, folder: str, limits: Limits) -> list[str]:
        python = os.path.realpath(sys.executable)
        code = Path(uniopd_mm.__file__).parent
        start = [python, "-I", "-S", "-X", "utf8", "-c", _START]
        if level is not Level.BUBBLEWRAP:
            return [*start, str(code.parent)]
        shown = [python, *self._readable()]
        binds = [part for path in shown for part in ("--ro-bind", path, path)]
        for name in ("__init__.py", "tasks/__init__.py", "tasks/sandbox"):
            binds += ["--ro-bind", str((code / name).resolve()), f"{_CODE}/uniopd_mm/{name}"]
        options = ["--unshare-all", "--die-with-parent", "--new-session", "--proc", "/proc", "--dev", "/dev"]
        bwrap = shutil.which("bwrap") or "bwrap"
        box = [*(["--size", str(limits.file_bytes)] if _sizes_folders(bwrap) else []), "--tmpfs", "/box"]
        return [bwrap, *options, *box, *binds, "--remount-ro", "/dev", "--remount-ro", "/", "--", *start, _CODE]


@functools.cache
def _sizes_folders(bwrap: str) -> bool:
    """Whether this bubblewrap can limit the size of a folder in memory; where it cannot, the warden watches it."""
    return "--size" in subprocess.run([bwrap, "--help"], capture_output=True, text=True, check=False).stdout


def _made_folder() -> str:
    """A folder of our user. Other users can pass through it to the program's folder, but cannot list it."""
    try:
        folder = tempfile.mkdtemp(prefix=f"uniopd-sandbox-{os.getpid()}-")
        os.chmod(folder, 0o711)
    except OSError as error:
        raise SandboxFault(f"the sandbox cannot start: {error}") from error
    return folder


def _standard_library() -> list[str]:
    library = os.path.dirname(os.path.realpath(os.__file__))
    return [library, os.path.join(library, "lib-dynload")]


def _package_folder(name: str) -> Path:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"task.sandbox.packages: there is no installed package {name}; install it or leave it out")
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def _remove(folder: str) -> None:
    """Remove the folder, even if rmtree fails: folders may be nested a thousand deep or closed to their owner."""
    try:
        shutil.rmtree(folder)
    except (OSError, RecursionError):
        for command in (["chmod", "-R", "u+rwX"], ["rm", "-rf"]):
            subprocess.run([*command, folder], capture_output=True, check=False)
