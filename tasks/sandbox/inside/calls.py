"""The system calls that a program may make, by their numbers on (x86-64, AArch64); None if there is no such call.

They are what CPython, numpy and the C library need. Everything else is refused, also calls that future kernels add:
sockets, other processes' memory and signals, priorities, namespaces, mounts, keys, io_uring, memory that no limit
counts, space on the disk that is reserved at once, changes to files that Landlock does not cover. `filters` says which
arguments are allowed to the calls in `CHECKED`.
"""

Numbers = dict[str, tuple[int | None, int | None]]

ALLOWED: Numbers = {
    # memory
    **{"brk": (12, 214), "mmap": (9, 222), "munmap": (11, 215), "mremap": (25, 216), "mprotect": (10, 226)},
    **{"madvise": (28, 233), "mincore": (27, 232), "msync": (26, 227), "membarrier": (324, 283)},
    # files that are open
    **{"read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67)},
    **{"pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70), "preadv2": (327, 286)},
    **{"pwritev2": (328, 287), "close": (3, 57), "close_range": (436, 436), "lseek": (8, 62), "dup": (32, 23)},
    **{"dup2": (33, None), "dup3": (292, 24), "pipe": (22, None), "pipe2": (293, 59), "flock": (73, 32)},
    **{"fsync": (74, 82), "fdatasync": (75, 83), "ftruncate": (77, 46), "sendfile": (40, 71)},
    **{"fadvise64": (221, 223), "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72)},
    **{"epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None)},
    **{"epoll_pwait": (281, 22), "eventfd": (284, None), "eventfd2": (290, 19), "timerfd_create": (283, 85)},
    **{"timerfd_settime": (286, 86), "timerfd_gettime": (287, 87)},
    # files by name, which Landlock or the mounts restrict
    **{"open": (2, None), "openat": (257, 56), "creat": (85, None), "stat": (4, None), "fstat": (5, 80)},
    **{"lstat": (6, None), "newfstatat": (262, 79), "statx": (332, 291), "statfs": (137, 43), "fstatfs": (138, 44)},
    **{"access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439), "readlink": (89, None)},
    **{"readlinkat": (267, 78), "getdents": (78, None), "getdents64": (217, 61), "getcwd": (79, 17)},
    **{"chdir": (80, 49), "fchdir": (81, 50), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276)},
    **{"mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None), "unlinkat": (263, 35)},
    **{"link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "umask": (95, 166)},
    **{"getxattr": (191, 8), "lgetxattr": (192, 9), "fgetxattr": (193, 10), "listxattr": (194, 11)},
    **{"llistxattr": (195, 12), "flistxattr": (196, 13)},
    # threads and signals
    **{"futex": (202, 98), "set_robust_list": (273, 99), "get_robust_list": (274, 100), "rseq": (334, 293)},
    **{"set_tid_address": (218, 96), "gettid": (186, 178), "sched_yield": (24, 124), "sched_getaffinity": (204, 123)},
    **{"sched_getparam": (143, 121), "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125)},
    **{"sched_get_priority_min": (147, 126), "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135)},
    **{"rt_sigreturn": (15, 139), "rt_sigpending": (127, 136), "rt_sigtimedwait": (128, 137)},
    **{"rt_sigsuspend": (130, 133), "sigaltstack": (131, 132), "pause": (34, None), "restart_syscall": (219, 128)},
    **{"exit": (60, 93), "exit_group": (231, 94), "wait4": (61, 260), "waitid": (247, 95)},
    # time
    **{"clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115)},
    **{"nanosleep": (35, 101), "gettimeofday": (96, 169), "time": (201, None), "times": (100, 153)},
    **{"alarm": (37, None), "getitimer": (36, 102), "setitimer": (38, 103)},
    # information
    **{"getpid": (39, 172), "getppid": (110, 173), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176)},
    **{"getegid": (108, 177), "getresuid": (118, 148), "getresgid": (120, 150), "getgroups": (115, 158)},
    **{"getpgrp": (111, None), "getpgid": (121, 155), "getsid": (124, 156), "getpriority": (140, 141)},
    **{"uname": (63, 160), "sysinfo": (99, 179), "getrusage": (98, 165), "getrlimit": (97, 163)},
    **{"setrlimit": (160, 164), "getcpu": (309, 168), "getrandom": (318, 278), "arch_prctl": (158, None)},
}
PROCESSES: Numbers = {"fork": (57, None), "vfork": (58, None), "execve": (59, 221)}
CHECKED: Numbers = {
    **{"clone": (56, 220), "clone3": (435, 435), "kill": (62, 129), "tgkill": (234, 131), "prlimit64": (302, 261)},
    **{"fcntl": (72, 25), "ioctl": (16, 29), "prctl": (157, 167)},
}
