# mode: stdin
# ruff: noqa
"""Leaves a process behind in a session of its own."""

import os, signal, time

if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, 64)
        time.sleep(1000)
    os._exit(0)
print("done")
