# mode: call
# ruff: noqa
"""Returns a number that takes long to write."""


def add(a, b):
    return 1 << (1 << 26)
