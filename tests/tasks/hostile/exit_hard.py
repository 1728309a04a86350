# mode: call
# ruff: noqa
"""Ends the process before anything can be reported."""

import os

os._exit(0)
