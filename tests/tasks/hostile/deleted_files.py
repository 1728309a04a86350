# mode: stdin
# ruff: noqa
"""Fills the disk with files that have no name."""

import os

files = []
for _ in range(1000):
    try:
        file = open("x", "wb")
        os.unlink("x")
        file.write(os.urandom(1 << 20) * 15)
        file.flush()
        files.append(file)
    except OSError:
        pass
