# mode: stdin
# ruff: noqa
"""Prints without end."""

while True:
    print("7" * 1000)
