"""Which system calls a program may make (seccomp), and which files it may use (Landlock).

Neither the program nor any process it starts can lift these filters. There is no seccomp filter for architectures other
than x86-64 and AArch64, and no Landlock in kernels before 5.13.
"""

import errno
import os
import struct
from collections.abc import Iterable, Sequence

from uniopd_mm.tasks.sandbox.inside import calls, kernel

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_PROBED = 424  # from here on, libraries try a call and use an older one if the kernel does not know it

_CLONE_THREAD = 0x10000
_CLONE_BAD = 0x7E02A000  # new namespaces, a parent or a tracer of one's choice
_STOP_SIGNALS = (19, 23)  # SIGSTOP to SIGTTOU: a stopped program would look like one without a processor
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)  # copies, flags, locks; no owner, signal, lease or pipe size
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # is it a terminal, how much is there, flags
_PRCTL = (15, 16, 23, 0x53564D41)  # names of threads and memory

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data


def refuse_calls(*, processes: bool) -> None:
    """Install the filter in this process. It can then signal only itself and, without `processes`, start only threads.

    Does nothing on an unknown architecture. Raises OSError if the kernel has no seccomp.
    """
    if os.uname().machine not in _ARCHITECTURES:
        return
    column, architecture = _ARCHITECTURES[os.uname().machine]
    allowed = {**calls.ALLOWED, **(calls.PROCESSES if processes else {})}
    number = {name: numbers[column] or 0 for name, numbers in calls.CHECKED.items()}
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_JUMP_EQUAL, architecture, 1, 0),
        _refuse(errno.EPERM),
        _step(_LOAD, _NUMBER),
        *_allow_each(numbers[column] for numbers in allowed.values()),
        *_signal_to(number["kill"], os.getpid(), place=1),
        *_signal_to(number["tgkill"], os.getpid(), place=2),
        *_one_of(number["prlimit64"], 0, (0,)),
        *_one_of(number["fcntl"], 1, _FCNTL),
        *_one_of(number["ioctl"], 1, _IOCTL, otherwise=errno.ENOTTY),
        *_one_of(number["prctl"], 0, _PRCTL),
        *_clone(number["clone"], threads_only=not processes),
        _step(_JUMP_AT_LEAST, _PROBED, 0, 1),  # also clone3, whose flags a filter cannot read
        _refuse(errno.ENOSYS),
        _refuse(errno.EPERM),
    ]
    kernel.set_seccomp_filter(b"".join(code))


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", operation, if_true, if_false, value)


def _refuse(code: int) -> bytes:
    return _step(_RETURN, _REFUSE | code)


def _allow_each(numbers: Iterable[int | None]) -> list[bytes]:
    known = [number for number in numbers if number is not None]
    return [part for number in known for part in (_step(_JUMP_EQUAL, number, 0, 1), _step(_RETURN, _ALLOW))]


def _argument(place: int) -> bytes:
    """Load the lower half of an argument; the kernel ignores the upper half of those that are checked."""
    return _step(_LOAD, _ARGUMENTS + 8 * place)


def _one_of(number: int, place: int, values: Sequence[int], otherwise: int = errno.EPERM) -> list[bytes]:
    """Decide a call: allow it if an argument is one of `values`."""
    left = range(len(values), 0, -1)
    compared = [_step(_JUMP_EQUAL, value, to_allow, 0) for value, to_allow in zip(values, left, strict=True)]
    decided = [_argument(place), *compared, _refuse(otherwise), _step(_RETURN, _ALLOW)]
    return [_step(_JUMP_EQUAL, number, 0, len(decided)), *decided]


def _signal_to(number: int, pid: int, *, place: int) -> list[bytes]:
    """Decide a call: allow it if it sends this process a signal that does not stop it."""
    first, after = _STOP_SIGNALS
    decided = [
        _argument(0),
        _step(_JUMP_EQUAL, pid, 0, 3),
        _argument(place),
        _step(_JUMP_AT_LEAST, first, 0, 2),
        _step(_JUMP_AT_LEAST, after, 1, 0),
        _refuse(errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return [_step(_JUMP_EQUAL, number, 0, len(decided)), *decided]


def _clone(number: int, *, threads_only: bool) -> list[bytes]:
    """Decide a call: allow new threads and, unless `threads_only`, new processes in the same namespaces."""
    decided = [
        _argument(0),
        _step(_JUMP_ANY_BIT, _CLONE_BAD, 1, 0),
        _step(_JUMP_ANY_BIT, _CLONE_THREAD, 1, 0) if threads_only else _step(_JUMP_ANY_BIT, 0, 0, 1),
        _refuse(errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]
    return [_step(_JUMP_EQUAL, number, 0, len(decided)), *decided]


# Bits of LANDLOCK_ACCESS_FS_*.
_EXECUTE, _WRITE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_FIRST_VERSION = (1 << 13) - 1
_REFER, _TRUNCATE = 1 << 13, 1 << 14  # versions 2 and 3


def file_rules(*, folder: str, readable: Sequence[str], listed: Sequence[str], devices: Sequence[str]) -> int | None:
    """A ruleset for `kernel.landlock_enforce`, None if the kernel has no Landlock. It refuses all files except those
    below these paths: the program's folder, `readable`, folders whose file names are `listed`, and devices."""
    version = kernel.landlock_version()
    if not version:
        return None
    handled = _FIRST_VERSION | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)
    network = 3 if version >= 4 else 0
    scoped = 3 if version >= 6 else 0  # abstract sockets and signals stay inside
    sizes = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = kernel.landlock_ruleset(struct.pack("QQQ", handled, network, scoped)[:sizes])
    kernel.landlock_allow(ruleset, folder, handled)
    for path in readable:
        if os.path.exists(path):
            names = _READ_DIR if os.path.isdir(path) else 0
            kernel.landlock_allow(ruleset, path, _READ_FILE | _EXECUTE | names)
    for path in listed:
        if os.path.isdir(path):
            kernel.landlock_allow(ruleset, path, _READ_DIR)
    for path in devices:
        if os.path.exists(path):
            kernel.landlock_allow(ruleset, path, _READ_FILE | _WRITE)
    return ruleset
