# mode: call
# ruff: noqa
"""Closes every descriptor there may be."""

import os

os.closerange(0, 1024)


def add(a, b):
    return a + b
