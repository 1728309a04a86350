# mode: stdin
# ruff: noqa
"""Leaves memory behind that belongs to no process."""

from multiprocessing import shared_memory

memory = shared_memory.SharedMemory(name="uniopd-hostile", create=True, size=1 << 24)
memory.buf[0] = 1
import os

os._exit(0)
