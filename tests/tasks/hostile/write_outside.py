# mode: stdin
# ruff: noqa
"""Writes wherever it can."""

import os

for folder in ("/", "/tmp", "/var/tmp", "/dev/shm", "/root", "/home", "/etc", "/work", "/usr/lib", "..", "/proc/self"):
    try:
        open(os.path.join(folder, "uniopd-hostile"), "w").write("was here")
        print("wrote in", folder)
    except OSError:
        pass
