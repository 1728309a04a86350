"""How a process gives up its rights: its view of the machine, its user, its capabilities, its limits.

The warden calls `enter_namespaces` once and `fork_apart` for each run. The forked child calls `enter_folder`,
`set_limits` and `drop_rights`, in this order, before it runs the program. None of these can be undone.
"""

import contextlib
import os
import resource
import signal
import sys
import types
from collections.abc import Mapping, Sequence

from uniopd_mm.tasks.sandbox.inside import kernel
from uniopd_mm.tasks.sandbox.inside.filters import file_rules, refuse_calls
from uniopd_mm.tasks.sandbox.inside.looks import open_processes

NOBODY = 65534
BOX = "/box"  # the program's folder, if the program has its own file system
_USER_IDS = range(61184, 65520)  # the range that systemd reserves for dynamic users
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_MAX_THREADS = 32
_MAX_OPEN_FILES = 64
_STACK_BYTES = 64 << 20


def enter_namespaces(root: str, readable: Sequence[str]) -> tuple[int, int | None]:
    """Continue as process 1 of new namespaces: no network, no other processes, and a read-only file system with nothing
    but `readable`. It is built in `root`, an empty folder.

    The calling process waits for its successor, which continues in its place. If either ends, so does the other, and
    the kernel ends everything in the namespaces. Returns a descriptor of the process namespace, for `fork_apart`, and
    one of its folder of processes, None if this machine forbids that.
    """
    outer_user, outer_group = os.geteuid(), os.getegid()
    flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWPID | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    if outer_user == 0:
        kernel.unshare(flags)
    else:
        kernel.unshare(flags | kernel.CLONE_NEWUSER)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{NOBODY} {outer_user} 1")
        _write("/proc/self/gid_map", f"{NOBODY} {outer_group} 1")
    _leave_to_successor()
    descriptor = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    processes = _build_root(root, readable)
    return descriptor, processes


def _leave_to_successor() -> None:
    """Fork. The child continues; the parent waits for it. If either ends, so does the other."""
    if successor := os.fork():
        os.closerange(0, 3)
        _, status = os.waitpid(successor, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    kernel.die_with_parent(signal.SIGKILL)


def _build_root(root: str, readable: Sequence[str]) -> int | None:
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("none", root, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, "mode=755,size=1m")
    os.umask(0o022)
    processes = _hidden_processes(root + BOX)
    for path in (*readable, *_DEVICES):
        _bind(path, root + path)
    kernel.make_read_only(root)
    kernel.pivot_root(root)
    return processes


def _hidden_processes(folder: str) -> int | None:
    """Make `folder`. A descriptor of /proc, which is mounted nowhere: only this process can use it."""
    os.mkdir(folder)
    try:
        kernel.mount("proc", folder, "proc", kernel.MS_NOSUID | kernel.MS_NODEV)
    except OSError:
        return None
    processes = open_processes(folder)
    kernel.unmount(folder)
    return processes


def _bind(source: str, target: str) -> None:
    if not os.path.exists(source):
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _write(target, "")
    kernel.mount(source, target, flags=kernel.MS_BIND | kernel.MS_REC)


def fork_apart(namespace: int) -> int:
    """`os.fork`, with the child as process 1 of a new process namespace. `namespace` is this process's own."""
    kernel.unshare(kernel.CLONE_NEWPID)
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            kernel.setns(namespace, kernel.CLONE_NEWPID)
    return pid


def enter_folder(folder: str, *, own_file_system: bool, file_bytes: int, user: int | None) -> None:
    """Make the program's empty folder and change to it."""
    if own_file_system:
        kernel.unshare(kernel.CLONE_NEWNS)
        owner = f",uid={user},gid={user}" if user is not None else ""
        options = f"mode=700,size={file_bytes},nr_inodes=4096{owner}"
        kernel.mount("none", folder, "tmpfs", kernel.MS_NOSUID | kernel.MS_NODEV, options)
    else:
        os.mkdir(folder, 0o700)
        if user is not None:
            os.chown(folder, user, user)
    os.chdir(folder)


def own_user(seed: int) -> int | None:
    """Under root, a user id for the program that is probably unused; None under any other user."""
    return _USER_IDS[seed % len(_USER_IDS)] if os.geteuid() == 0 else None


def drop_rights(folder: str, *, files: Sequence[Sequence[str]] | None, user: int | None, processes: bool) -> None:
    """After this, only the folder can be written, and of `files` the first can be read and the names in the second
    listed, if the kernel has Landlock or the file system is read-only. Without `files`, Landlock is left out."""
    rules = None
    if files is not None:
        readable, listed = files
        rules = file_rules(folder=folder, readable=readable, listed=listed, devices=_DEVICES)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        kernel.own_proc_folder()
    kernel.drop_capabilities()
    kernel.forbid_new_privileges()
    if rules is not None:
        kernel.landlock_enforce(rules)
        os.close(rules)
    refuse_calls(processes=processes)


def set_limits(limits: Mapping[str, int], *, shared_user: bool) -> None:
    """Set the limits of this process and of each process it starts. The kernel counts processes by user. If other
    processes run as the same user (`shared_user`), their number is added to the limit."""
    tasks = max(_MAX_THREADS, limits["processes"]) + (_count_tasks() if shared_user else 0)
    cpu = limits["cpu_seconds"]
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_NPROC, tasks, tasks),
        (resource.RLIMIT_NOFILE, _MAX_OPEN_FILES, _MAX_OPEN_FILES),
        (resource.RLIMIT_STACK, _STACK_BYTES, _STACK_BYTES),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        most = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (soft, hard) if most == resource.RLIM_INFINITY else (min(soft, most), min(hard, most)))


def _count_tasks() -> int:
    """The number of threads of this user on the machine."""
    count = 0
    for entry in os.scandir("/proc"):
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == os.geteuid():
                count += len(os.listdir(f"/proc/{entry.name}/task"))
    return count


def set_libraries(folders: Sequence[str], *, by_descriptor: bool) -> None:
    """Import from these folders only. `by_descriptor` opens them first, for a user who may not enter the folders above
    them: root's interpreter may be installed below /root."""
    names = {folder: folder for folder in folders if os.path.isdir(folder)}
    if by_descriptor:
        names = {folder: f"/proc/self/fd/{os.open(folder, os.O_PATH | os.O_DIRECTORY)}" for folder in names}
    sys.path[:] = names.values()
    sys.path_importer_cache.clear()
    for module in list(sys.modules.values()):
        if isinstance(module, types.ModuleType) and "__path__" in vars(module):
            module.__path__ = [_renamed(path, names) for path in module.__path__]


def _renamed(path: str, names: Mapping[str, str]) -> str:
    for folder, name in names.items():
        if path.startswith(f"{folder}/"):
            return name + path.removeprefix(folder)
    return path


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def purge_modules(prefix: str) -> None:
    """Forget the sandbox's own modules, so that a program does not see them."""
    for name in [name for name in sys.modules if name == prefix or name.startswith(f"{prefix}.")]:
        del sys.modules[name]
