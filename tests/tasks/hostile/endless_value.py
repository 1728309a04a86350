# mode: call
# ruff: noqa
"""Returns a list that holds itself."""


def add(a, b):
    result = []
    result.append(result)
    return result
