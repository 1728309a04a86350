# mode: asserts
# ruff: noqa
"""Raises what ends loops quietly."""


def add(a, b):
    raise StopIteration
