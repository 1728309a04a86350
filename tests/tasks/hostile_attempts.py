"""Short programs that try one thing they must not do, and solve their problem only if they could.

So a false "right" is an escape. `CALLS` ask the kernel, `FILES` use files outside of the program's folder, which the
level `weak` does not prevent, and `VALUES` are answers that are hard to read. Longer programs are in `hostile/`.
"""

import platform

_PRELUDE = """
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
big, ints, zeros = ctypes.c_ulong, (ctypes.c_int * 64)(), ctypes.create_string_buffer(4096)
def kernel(number, *arguments):
    numbers = (a if isinstance(a, int) else ctypes.addressof(a) for a in arguments)
    return libc.syscall(ctypes.c_long(number), *map(big, numbers)) >= 0
def calls(name, *arguments):
    return getattr(libc, name)(*arguments) >= 0
open("own", "w").write("x" * 9000)
own = os.open("own", os.O_RDWR)
reader, writer = os.pipe()
"""
_SOLVED = "\nif attempt():\n    print(sum(map(int, input().split())))\n"

CALLS = {
    "lower its priority": "os.nice(5)",
    "setpriority": "calls('setpriority', 0, 0, 5)",
    "setpriority of its user": "calls('setpriority', 2, 0, 5)",
    "scheduler": "calls('sched_setscheduler', 0, 3, ints)",
    "scheduler idle": "os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0)) is None",
    "sched_setparam": "calls('sched_setparam', 0, ints)",
    "affinity": "os.sched_setaffinity(0, os.sched_getaffinity(0)) is None",
    "socket pair": "calls('socketpair', 1, 1, 0, ints)",
    "internet": "calls('socket', 2, 1, 0)",
    "packets": "calls('socket', 17, 3, 0)",
    "local socket": "calls('socket', 1, 1, 0)",
    "netlink": "calls('socket', 16, 3, 0)",
    "owner of a descriptor": "calls('fcntl', reader, 8, os.getppid())",
    "signal of a descriptor": "calls('fcntl', reader, 10, 9)",
    "extended owner": "calls('fcntl', reader, 15, ints)",
    "lease": "calls('fcntl', own, 1024, 0)",
    "notes on a folder": "calls('fcntl', os.open('.', 0), 1026, 2)",
    "larger pipes": "calls('fcntl', reader, 1031, 1 << 20)",
    "input of a terminal": "calls('ioctl', 0, 0x5412, zeros)",
    "clone of a file": "calls('ioctl', own, 0x40049409, own)",
    "flags of a file": "calls('ioctl', own, 0x40086602, ints)",
    "shared memory": "calls('shmget', 0, 1 << 20, 0o1600)",
    "semaphores": "calls('semget', 0, 8, 0o1600)",
    "messages": "calls('msgget', 0, 0o1600)",
    "file in memory": "calls('memfd_create', b'x', 0)",
    "reserve space": "os.posix_fallocate(own, 0, 1 << 20) is None and not libc.fallocate(own, 0, 0, big(1 << 20))",
    "splice": "libc.splice(own, ctypes.byref(ctypes.c_long(0)), writer, None, big(10), 0) > 0",
    "tee": "libc.tee(reader, writer, big(10), 2) == 0",
    "copy_file_range": "os.copy_file_range(own, own, 10, 0, 5000) > 0",
    "trace": "calls('ptrace', 0, 0, 0, 0)",
    "memory of the parent": "libc.process_vm_readv(os.getppid(), zeros, big(0), zeros, big(0), big(0)) >= 0",
    "limits of the parent": "os.getppid() > 0 and calls('prlimit', os.getppid(), 7, None, zeros)",
    "signal to the parent": "os.kill(os.getppid(), 0) is None",
    "signal to all": "os.kill(-1, 0) is None",
    "signal to its group": "os.killpg(0, 0) is None",
    "stop itself": "os.kill(os.getpid(), signal.SIGSTOP) is None",
    "stop itself by thread": "calls('tgkill', os.getpid(), libc.gettid(), 19)",
    "queue a signal": "calls('sigqueue', os.getpid(), 18, None)",
    "fork": "os.fork() >= 0",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {}) > 0",
    "run another": "os.execv('/bin/true', ['true'])",
    "new session": "os.setsid() >= 0",
    "new group": "os.setpgid(0, 0) is None",
    "become root": "calls('setuid', 0) and os.getuid() != 65534",
    "groups": "calls('setgroups', 1, ints)",
    "new user namespace": "calls('unshare', 0x10000000)",
    "new file namespace": "calls('unshare', 0x20000)",
    "enter a namespace": "calls('setns', reader, 0)",
    "mount": "calls('mount', b'none', b'.', b'tmpfs', 0, None)",
    "unmount": "calls('umount2', b'/', 2)",
    "new root": "calls('chroot', b'.')",
    "death signal": "calls('prctl', 1, 0, 0, 0, 0)",
    "undumpable": "calls('prctl', 4, 0, 0, 0, 0)",
    "adopt orphans": "calls('prctl', 36, 1, 0, 0, 0)",
    "timer slack": "calls('prctl', 29, 1 << 30, 0, 0, 0)",
    "its own filter": "calls('prctl', 22, 1, 0, 0, 0)",
    "personality": "calls('personality', 0x0040000)",
    "host name": "calls('sethostname', b'hostile', 7)",
    "clock": "calls('settimeofday', zeros, None)",
    "lock memory": "calls('mlock', zeros, big(4096))",
    "watch files": "calls('inotify_init')",
    "mode of a file": "os.chmod('own', 0o4755) is None",
    "device": "os.mknod('device', 0o20666, os.makedev(1, 3)) is None",
    "named pipe": "os.mkfifo('fifo') is None",
    "times of a file": "os.utime('own') is None",
    "swap": "calls('swapon', b'own', 0)",
    "accounts": "calls('acct', b'own')",
    "restart": "calls('reboot', 0x1234567)",
    "ports": "calls('iopl', 3)",
}
if platform.machine() == "x86_64":
    CALLS |= {
        "asynchronous input": "kernel(206, 8, zeros)",
        "io_uring": "kernel(425, 8, zeros)",
        "priority of input": "kernel(251, 1, 0, 3 << 13)",
        "clone3": "kernel(435, zeros, 88)",
        "clone with namespaces": "kernel(56, 0x10000011, 0, 0, 0, 0)",
        "keys": "kernel(250, 0, -1 & 0xffffffff, 1)",
        "programs in the kernel": "kernel(321, 0, zeros, 64)",
        "events of the processor": "kernel(298, zeros, 0, -1 & 0xffffffff, -1 & 0xffffffff, 0)",
        "page faults": "kernel(323, 0)",
        "handles of files": "kernel(303, -100 & 0xffffffff, zeros, zeros, ints, 0)",
        "another process by descriptor": "kernel(434, os.getppid(), 0)",
        "scheduler with attributes": "kernel(314, 0, ints, 0)",
        "x32 calls": "kernel(0x40000000 | 39)",
        "policy of memory": "kernel(238, 1, ints, 8)",
        "secret memory": "kernel(447, 0)",
        "log of the kernel": "kernel(103, 3, zeros, 100)",
    }
FILES = {
    "users": "open('/etc/passwd').read()",
    "users by link": "os.symlink('/etc/passwd', 'link') or open('link').read()",
    "users by hard link": "os.link('/etc/passwd', 'hard') or open('hard').read()",
    "users by many dots": "open('../' * 30 + 'etc/passwd').read()",
    "users by descriptor": "os.open('etc/passwd', 0, dir_fd=os.open('/', os.O_PATH))",
    "machine": "open('/etc/hostname').read()",
    "folders above": "any('uniopd-sandbox' in name for name in os.listdir('..'))",
    "home of root": "os.listdir('/root')",
    "temporary files": "open('/tmp/uniopd-hostile-attempt', 'w').write('x')",
    "temporary files of others": "open('/var/tmp/uniopd-hostile-attempt', 'w').write('x')",
    "shared memory files": "open('/dev/shm/uniopd-hostile-attempt', 'w').write('x')",
    "moved out": "os.rename('own', '/tmp/uniopd-hostile-moved') is None",
    "library": "open(os.__file__, 'a').write('x')",
    "library removed": "os.unlink(os.__file__) is None",
    "environment of the parent": "open(f'/proc/{os.getppid()}/environ').read()",
    "memory of the parent": "open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
    "descriptors of the parent": "os.listdir(f'/proc/{os.getppid()}/fd')",
    "first process": "open('/proc/1/maps').read()",
    "memory of the machine": "open('/dev/mem', 'rb').read(1)",
    "disk": "open('/dev/vda', 'rb').read(1)",
    "terminal": "open('/dev/tty', 'w').write('x')",
    "settings of the kernel": "open('/proc/sys/kernel/core_pattern', 'w').write('x')",
    "control groups": "os.mkdir('/sys/fs/cgroup/uniopd-hostile') is None",
}
VALUES = {
    "colliding set": "set(i * (2**61 - 1) for i in range(60_000))",
    "colliding keys": "{i * (2**61 - 1): 0 for i in range(60_000)}",
    "a million lists": "[[] for _ in range(1_500_000)]",
    "many tuples": "[() for _ in range(200_000)]",
    "a long text": "'\\ud800' * 2_000_000",
    "digits": "[10**4000] * 3000",
}


def attempting(attempt: str) -> str:
    return f"{_PRELUDE}def attempt():\n    return {attempt}\n{_SOLVED}"


def answering(value: str) -> str:
    return f"def add(a, b):\n    return {value}"
