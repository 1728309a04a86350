# mode: call
# ruff: noqa
"""Returns what cannot be compared: not a number, text that is no Unicode, a number no float holds."""

values = [10**400, float("nan"), "\ud800"]


def add(a, b):
    return values[a % 3]
