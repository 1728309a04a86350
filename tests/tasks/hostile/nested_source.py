# mode: stdin
# ruff: noqa
"""Is too much for the compiler."""

print(eval("(" * 100000 + ")" * 100000))
