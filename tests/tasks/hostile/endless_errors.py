# mode: stdin
# ruff: noqa
"""Writes errors without end."""

import sys

while True:
    sys.stderr.write("7" * 1000)
