# mode: stdin
# ruff: noqa
"""Asks somebody else."""

import socket

for address in (("127.0.0.1", 22), ("1.1.1.1", 53)):
    try:
        socket.create_connection(address, 1)
        print("connected")
    except OSError:
        pass
for kind in (socket.AF_UNIX, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
    try:
        socket.socket(kind, socket.SOCK_RAW)
        print("a socket")
    except OSError:
        pass
