# mode: stdin
# ruff: noqa
"""Ends well without an answer."""

import sys

sys.exit(0)
