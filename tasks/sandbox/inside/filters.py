"""Which system calls a program may not make (seccomp), and which files it may use (Landlock).

Neither the program nor any process it starts can lift these filters. There is no seccomp filter for architectures other
than x86-64 and AArch64, and no Landlock in kernels before 5.13.
"""

import errno
import os
import struct
from collections.abc import Iterable, Sequence

from uniopd_mm.tasks.sandbox.inside import kernel

# Numbers on (x86-64, AArch64); None if there is no such call.
_FORBIDDEN: dict[str, tuple[int | None, int | None]] = {
    # the network, and objects that outlive a process
    **{"socket": (41, 198), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180)},
    # other processes
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "tkill": (200, 130)},
    **{"pidfd_send_signal": (424, 424), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240)},
    **{"kcmp": (312, 272), "pidfd_getfd": (438, 438)},
    # powerful interfaces of the kernel
    **{"unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41)},
    **{"chroot": (161, 51), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282)},
    **{"keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "io_uring_setup": (425, 425)},
    **{"open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsmount": (432, 432)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    # memory that no limit counts
    **{"memfd_create": (319, 279), "memfd_secret": (447, 447)},
    # changes to files that Landlock does not cover
    **{"chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452), "chown": (92, None)},
    **{"fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "setxattr": (188, 5), "lsetxattr": (189, 6)},
    **{"fsetxattr": (190, 7), "setxattrat": (463, 463), "truncate": (76, 45), "utimensat": (280, 88)},
    **{"utime": (132, None), "utimes": (235, None), "futimesat": (261, None)},
}
_NEW_PROCESS: dict[str, tuple[int | None, int | None]] = {
    **{"fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281)},
}
_CLONE, _CLONE3, _KILL, _TGKILL, _PRLIMIT = (56, 220), (435, 435), (62, 129), (234, 131), (302, 261)
_CLONE_THREAD = 0x10000
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000

_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data


def refuse_calls(*, processes: bool) -> None:
    """Install the filter in this process. It can then signal only itself and, without `processes`, start only threads.

    Does nothing on an unknown architecture. Raises OSError if the kernel has no seccomp.
    """
    if os.uname().machine not in _ARCHITECTURES:
        return
    column, architecture = _ARCHITECTURES[os.uname().machine]
    refused = {**_FORBIDDEN, **({} if processes else _NEW_PROCESS)}
    code = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_JUMP_EQUAL, architecture, 1, 0),
        _refuse(errno.EPERM),
        _step(_LOAD, _NUMBER),
        *([_step(_JUMP_AT_LEAST, _X32, 0, 1), _refuse(errno.EPERM)] if column == 0 else []),
        *_refuse_each(numbers[column] for numbers in refused.values()),
        *_only_argument(_KILL[column], os.getpid()),
        *_only_argument(_TGKILL[column], os.getpid()),
        *_only_argument(_PRLIMIT[column], 0),
        *([] if processes else _threads_only(column)),
        _step(_RETURN, _ALLOW),
    ]
    kernel.set_seccomp_filter(b"".join(code))


def _step(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", operation, if_true, if_false, value)


def _refuse(code: int) -> bytes:
    return _step(_RETURN, _REFUSE | code)


def _refuse_each(numbers: Iterable[int | None]) -> list[bytes]:
    known = [number for number in numbers if number is not None]
    return [part for number in known for part in (_step(_JUMP_EQUAL, number, 0, 1), _refuse(errno.EPERM))]


def _only_argument(number: int, value: int) -> list[bytes]:
    """Refuse a call unless its first argument is `value`."""
    return [
        _step(_JUMP_EQUAL, number, 0, 4),
        _step(_LOAD, _FIRST_ARGUMENT),
        _step(_JUMP_EQUAL, value, 1, 0),
        _refuse(errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]


def _threads_only(column: int) -> list[bytes]:
    """Allow new threads but no new processes. A filter cannot read clone3's flags, which are in memory. If clone3 is
    reported as missing, libc uses clone instead."""
    return [
        *(_step(_JUMP_EQUAL, _CLONE3[column], 0, 1), _refuse(errno.ENOSYS)),
        *(_step(_JUMP_EQUAL, _CLONE[column], 0, 3), _step(_LOAD, _FIRST_ARGUMENT)),
        *(_step(_JUMP_ANY_BIT, _CLONE_THREAD, 1, 0), _refuse(errno.EPERM)),
    ]


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
