# mode: stdin
# ruff: noqa
"""Wants more and more, and bears refusals."""

data = []
size = 1 << 28
while True:
    try:
        data.append(bytearray(size))
    except MemoryError:
        size = max(1, size // 2)
