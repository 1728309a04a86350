# mode: stdin
# ruff: noqa
"""Looks for secrets in the environment of every process."""

import glob

for name in glob.glob("/proc/*/environ") + ["/proc/1/environ", "/proc/self/environ"]:
    try:
        print(open(name, "rb").read())
    except OSError:
        pass
