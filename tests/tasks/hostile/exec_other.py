# mode: stdin
# ruff: noqa
"""Becomes another program."""

import os

os.execv("/bin/sh", ["sh", "-c", "sleep 1000 & echo 7"])
