# mode: stdin
# ruff: noqa
"""Makes a file larger than the disk."""

with open("huge", "wb") as file:
    file.truncate(1 << 40)
    file.seek(1 << 39)
    file.write(b"x")
