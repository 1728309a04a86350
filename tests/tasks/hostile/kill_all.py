# mode: stdin
# ruff: noqa
"""Ends whatever it may signal."""

import os, signal

for pid in (-1, 0, os.getppid(), 1, *range(2, 5000)):
    if pid != os.getpid():
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass
