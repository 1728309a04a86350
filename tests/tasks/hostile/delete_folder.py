# mode: stdin
# ruff: noqa
"""Takes its own folder away."""

import os, shutil

shutil.rmtree(os.getcwd(), ignore_errors=True)
os.chdir("/")
try:
    os.rmdir(os.environ["HOME"])
except OSError:
    pass
