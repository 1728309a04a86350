# mode: stdin
# ruff: noqa
"""Asks the kernel itself."""

import ctypes, os

libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(1, 0, 0, 0, 0)
libc.prctl(36, 0, 0, 0, 0)
for name, arguments in {
    "unshare": (0x10000000,),
    "kill": (-1, 9),
    "ptrace": (16, os.getppid(), 0, 0),
    "setuid": (0,),
    "chroot": (b".",),
    "mount": (b"none", b"/", b"tmpfs", 0, 0),
    "reboot": (0x1234567,),
    "swapoff": (b"/",),
    "sethostname": (b"hostile", 7),
    "memfd_create": (b"x", 0),
    "socket": (2, 1, 0),
}.items():
    if getattr(libc, name)(*arguments) >= 0:
        print("allowed:", name)
ctypes.string_at(0)
