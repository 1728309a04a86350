"""Linux system calls that Python's `os` lacks, made with ctypes. Each raises OSError with the call's name."""

import ctypes
import os
import struct

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 4096, 16384, 1 << 18
MNT_DETACH = 2

_MOUNT_SETATTR = 442  # the same number on every architecture
_MOUNT_ATTR_RDONLY, _MOUNT_ATTR_NOSUID = 1, 2
_AT_RECURSIVE = 0x8000
_AT_FDCWD = -100

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_CAPABILITIES_V3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int, call: str) -> int:
    """The result of a system call. Raises OSError if it failed."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{call}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    """Move this process to new namespaces; with CLONE_NEWPID, its next child."""
    checked(_libc.unshare(flags), "unshare")


def setns(descriptor: int, flags: int) -> None:
    checked(_libc.setns(descriptor, flags), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    texts = (os.fsencode(text) for text in (source, target, kind))
    checked(_libc.mount(*texts, ctypes.c_ulong(flags), os.fsencode(data)), f"mount {kind or source} on {target}")


def unmount(path: str) -> None:
    """Descriptors of what was mounted there stay usable."""
    checked(_libc.umount2(os.fsencode(path), MNT_DETACH), f"umount2 {path}")


def make_read_only(path: str) -> None:
    """Make the mount at `path` and all mounts below it read-only, permanently."""
    attributes = struct.pack("QQQQ", _MOUNT_ATTR_RDONLY | _MOUNT_ATTR_NOSUID, 0, 0, 0)
    arguments = (_AT_FDCWD, os.fsencode(path), _AT_RECURSIVE, attributes, ctypes.c_size_t(len(attributes)))
    checked(_libc.syscall(_MOUNT_SETATTR, *arguments), "mount_setattr")


def pivot_root(path: str) -> None:
    """Make the mount at `path` the root, and detach the old root."""
    os.chdir(path)
    checked(_libc.pivot_root(b".", b"."), "pivot_root")
    checked(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


def adopt_orphans() -> None:
    """From now on, descendants whose parent has ended become children of this process, in whatever session they are."""
    checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")


def die_with_parent(signal_number: int) -> None:
    checked(_libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0), "prctl")


def forbid_new_privileges() -> None:
    checked(_libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")


def own_proc_folder() -> None:
    """Let this process use /proc/self again, which changing the user prevents."""
    checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl")


def drop_capabilities() -> None:
    header = struct.pack("Ii", _CAPABILITIES_V3, 0)
    checked(_libc.capset(header, bytes(24)), "capset")


def set_seccomp_filter(instructions: bytes) -> None:
    """Install a filter of classic BPF instructions, 8 bytes each."""
    pr_set_seccomp, filter_mode = 22, 2
    buffer = ctypes.create_string_buffer(instructions, len(instructions))
    program = struct.pack("HxxxxxxP", len(instructions) // 8, ctypes.addressof(buffer))
    checked(_libc.prctl(pr_set_seccomp, filter_mode, program, 0, 0), "seccomp")


def landlock_version() -> int:
    """The version of Landlock, 0 if the kernel has none."""
    return max(0, _libc.syscall(444, None, ctypes.c_size_t(0), 1))


def landlock_ruleset(attributes: bytes) -> int:
    """A descriptor of a new ruleset."""
    return checked(_libc.syscall(444, attributes, ctypes.c_size_t(len(attributes)), 0), "landlock_create_ruleset")


def landlock_allow(ruleset: int, path: str, access: int) -> None:
    """Allow `access` beneath a path that exists."""
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        checked(_libc.syscall(445, ruleset, 1, struct.pack("=Qi", access, descriptor), 0), f"landlock_add_rule {path}")
    finally:
        os.close(descriptor)


def landlock_enforce(ruleset: int) -> None:
    checked(_libc.syscall(446, ruleset, 0), "landlock_restrict_self")
