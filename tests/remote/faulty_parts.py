"""A proxy in front of a real server that does to its answers what networks and dying servers do, by a seed."""

import random
import socket
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Lock, Thread
from typing import Any

import httpx

from uniopd_mm.wire.codec import pack, unpack


class Fault(StrEnum):
    NONE = "none"
    DROP = "drop"  # the connection ends before the server is asked
    DROP_LATE = "drop late"  # or after it, before its answer
    DELAY = "delay"
    ERROR = "error"
    UNAVAILABLE = "unavailable"
    TRUNCATE = "truncate"
    GARBLE = "garble"
    WRONG_IDS = "wrong ids"
    SHUFFLE = "shuffle"
    SILENCE = "silence"
    DRIP = "drip"
    BOMB = "bomb"  # few bytes of gzip that become BOMB_BYTES
    FLOOD = "flood"  # a reply without an end


HELD = 600.0  # seconds for which a silent or dripping server holds up those that wait
BOMB_BYTES = 1 << 28
LASTING = (Fault.SILENCE, Fault.DRIP, Fault.BOMB, Fault.FLOOD)
SOME = tuple(fault for fault in Fault if fault not in (Fault.NONE, *LASTING))


@dataclass
class Faults:
    """What happens to each POST: one of `kinds` with this probability, else nothing. `sizes` are of what was posted."""

    kinds: tuple[Fault, ...]
    probability: float
    seed: int = 0
    seen: dict[Fault, int] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    _lock: Any = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def next(self) -> Fault:
        with self._lock:
            chosen = self._random.choice(self.kinds) if self._random.random() < self.probability else Fault.NONE
            self.seen[chosen] = self.seen.get(chosen, 0) + 1
            return chosen


def proxy(target: str, faults: Faults) -> str:
    """Start one; its address. Only POSTs have faults."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError, httpx.HTTPError):
                _exchange(self, target, faults)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    server = Server(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def _exchange(handler: StreamRequestHandler, target: str, faults: Faults) -> None:
    method, path, headers, content = _read(handler)
    fault = faults.next() if method == "POST" else Fault.NONE
    if method == "POST":
        faults.sizes.append(len(content))
    if fault is Fault.DROP:
        return
    if fault is Fault.SILENCE:
        time.sleep(HELD)
    if fault is Fault.DRIP:
        return _drip(handler.connection)
    if fault is Fault.BOMB:
        return _write(handler, 200, _bomb(), encoding="gzip")
    if fault is Fault.FLOOD:
        return _flood(handler.connection)
    if fault is Fault.ERROR:
        return _write(handler, 500, b'{"error": "something broke"}')
    if fault is Fault.UNAVAILABLE:
        return _write(handler, 503, b"nobody is here")
    answer = httpx.request(method, target + path, content=content, headers=headers, timeout=60)
    if fault is Fault.DROP_LATE:
        return None
    if fault is Fault.DELAY:
        time.sleep(0.2)
    said = answer.content
    if fault is Fault.TRUNCATE:
        return _write(handler, 200, said[: len(said) // 2], length=len(said))
    return _write(handler, answer.status_code, altered(said, fault) if answer.status_code == 200 else said, answer)


def altered(content: bytes, fault: Fault) -> bytes:
    """Scores of other tokens, answers to others, or bytes that got damaged; all but the last in a valid payload."""
    if fault is Fault.GARBLE:
        at = len(content) // 2
        return content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :]
    if fault not in (Fault.WRONG_IDS, Fault.SHUFFLE):
        return content
    reply = unpack(content)
    if fault is Fault.SHUFFLE:
        reply["answers"] = reply["answers"][1:] + reply["answers"][:1]
    for answer in reply["answers"] if fault is Fault.WRONG_IDS else ():
        answer["token_ids"] = answer["token_ids"].roll(1) + 1
    return pack(reply)


def _read(handler: StreamRequestHandler) -> tuple[str, str, dict[str, str], bytes]:
    method, path, _ = handler.rfile.readline().decode().split()
    headers: dict[str, str] = {}
    while line := handler.rfile.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    content = handler.rfile.read(int(headers.pop("content-length", "0")))
    headers.pop("host", None), headers.pop("connection", None)
    return method, path, headers, content


def _write(
    handler: StreamRequestHandler,
    status: int,
    content: bytes,
    answer: httpx.Response | None = None,
    length: int | None = None,
    encoding: str | None = None,
) -> None:
    kept = {} if answer is None else {name: answer.headers[name] for name in ("retry-after",) if name in answer.headers}
    lines = [
        f"HTTP/1.1 {status} x",
        f"content-length: {len(content) if length is None else length}",
        "connection: close",
    ]
    lines += [] if encoding is None else [f"content-encoding: {encoding}"]
    lines += [f"{name}: {value}" for name, value in kept.items()]
    handler.wfile.write("\r\n".join([*lines, "", ""]).encode() + content)


@cache
def _bomb() -> bytes:
    packer = zlib.compressobj(1, wbits=31)
    parts = [packer.compress(bytes(1 << 20)) for _ in range(BOMB_BYTES >> 20)]
    return b"".join([*parts, packer.flush()])


def _flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.sendall(bytes(1 << 20))


def _drip(connection: socket.socket) -> None:
    """One byte after the other, without an end."""
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    for _ in range(int(HELD * 10)):
        connection.sendall(b"x")
        time.sleep(0.1)
