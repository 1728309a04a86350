# mode: stdin
# ruff: noqa
"""Runs for ever and listens to nobody."""

import signal

for number in range(1, 64):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
