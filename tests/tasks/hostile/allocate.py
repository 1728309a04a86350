# mode: stdin
# ruff: noqa
"""Wants 100 GB."""

data = bytearray(100 << 30)
print(len(data))
