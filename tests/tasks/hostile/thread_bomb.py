# mode: stdin
# ruff: noqa
"""Starts threads without end."""

import threading, time

while True:
    try:
        threading.Thread(target=time.sleep, args=(1000,)).start()
    except RuntimeError:
        pass
