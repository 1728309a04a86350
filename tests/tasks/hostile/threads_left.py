# mode: stdin
# ruff: noqa
"""Leaves a thread running."""

import threading


def spin():
    while True:
        pass


threading.Thread(target=spin).start()
