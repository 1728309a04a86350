# mode: stdin
# ruff: noqa
"""Nests folders deeper than a path can be long."""

import os

for _ in range(3000):
    os.mkdir("a" * 50)
    os.chdir("a" * 50)
os.mkdir("closed", 0)
