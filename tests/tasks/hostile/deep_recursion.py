# mode: stdin
# ruff: noqa
"""Goes down until the stack ends."""

import sys

sys.setrecursionlimit(10**9)


class Deep:
    def __repr__(self):
        return repr(self)


print(repr(Deep()))
