# mode: stdin
# ruff: noqa
"""Starts processes and never waits for them."""

import os, time

for _ in range(8):
    if os.fork() == 0:
        os._exit(0)
if os.fork() == 0:
    time.sleep(1000)
