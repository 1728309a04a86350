"""A process that serves: HTTP in a thread of its own, the engine in the thread that calls, an orderly end.

The main thread keeps the engine, because libraries of GPUs and signals' handlers both want it.
"""

import ipaddress
import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread, current_thread, main_thread
from types import FrameType

import uvicorn

from uniopd_mm.serving.app import Endpoints
from uniopd_mm.serving.jobs import Jobs
from uniopd_mm.serving.metrics import Metrics
from uniopd_mm.serving.service import Loaded, Service
from uniopd_mm.serving.store import MediaStore
from uniopd_mm.serving.worker import Worker
from uniopd_mm.types import UserError

GOODBYE_SECONDS = 30  # for clients to read their last answers
KEEP_ALIVE_SECONDS = 75  # longer than a client keeps a connection that it does not use


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """Where and how to serve; `token` None lets everybody ask. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None
    max_queue: int = 256
    batch_tokens: int = 16384
    max_request_mb: int = 1024
    media_cache_mb: int = 2048


def run_server(options: ServerOptions, load: Callable[[], Loaded], announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, finish what waits, and return.

    Args:
        load: makes the teacher, while /health already answers that it is being loaded.
        announce: is given "serving NAME at URL" when it is ready.

    Raises:
        UserError: the address cannot be had, or what `load` raises.
    """
    jobs = Jobs(options.max_queue, options.batch_tokens)
    metrics = Metrics(waiting=jobs.__len__)
    endpoints = Endpoints(jobs, metrics, max_request=options.max_request_mb << 20, token=options.token)
    place = bound(options.host, options.port)
    with _http(endpoints, place), _ended_by_signals(jobs, endpoints):
        loaded = load()
        store = MediaStore(options.media_cache_mb << 20, loaded.info.needs)
        endpoints.service = Service(
            info=loaded.info, vocabulary=loaded.vocabulary, jobs=jobs, store=store, metrics=metrics
        )
        announce(f"serving {loaded.info.name} at {address(place)}")
        Worker(scorer=loaded.scorer, writer=loaded.writer, jobs=jobs, metrics=metrics).run()


def bound(host: str, port: int) -> socket.socket:
    """A socket at that address. Raises UserError where it cannot be had."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, OverflowError) as error:
        raise UserError(f"server.host={host}: {error}; give an address of this machine, as 127.0.0.1") from error
    own = socket.socket(family, kind, protocol)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        own.bind(place)
    except (OSError, OverflowError) as error:
        own.close()
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise UserError(
            f"server.port={port}: {reason} at {host}; give another, or server.port=0 for any that is free"
        ) from error
    own.listen(128)  # now, so that a second server at the same port is refused before it loads anything
    return own


def address(place: socket.socket) -> str:
    host, port = place.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _http(endpoints: Endpoints, place: socket.socket) -> Iterator[None]:
    """Answer HTTP during the block, and until what was asked in it is answered."""
    config = uvicorn.Config(
        endpoints.app(),
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GOODBYE_SECONDS,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [place]}, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(2 * GOODBYE_SECONDS)


@contextmanager
def _ended_by_signals(jobs: Jobs, endpoints: Endpoints) -> Iterator[None]:
    """The first SIGTERM or SIGINT lets the queue drain; a second one ends at once, as does one during loading."""
    if current_thread() is not main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if jobs.draining or endpoints.service is None:
            raise SystemExit(0 if endpoints.service is None else 128 + number)
        jobs.draining = True

    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
