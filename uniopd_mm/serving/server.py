"""The server process: HTTP in its own thread, the engine in the calling thread, and a graceful shutdown.

The engine stays in the main thread, which GPU libraries and signal handlers expect.
"""

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
from uniopd_mm.serving.patience import http_protocol
from uniopd_mm.serving.service import Loaded, SamplingLimits, Service
from uniopd_mm.serving.store import MediaStore
from uniopd_mm.serving.worker import Worker
from uniopd_mm.types import UserError

SHUTDOWN_SECONDS = 30  # for clients to read their last replies
KEEP_ALIVE_SECONDS = 75  # longer than a client keeps an idle connection


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerOptions:
    """Where and how to serve. Without a `token`, every client is accepted. Port 0 chooses a free port. A client has
    `receive_seconds` to send the head of a request, and as long for its body (see `Endpoints`)."""

    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = None
    max_queue: int = 256
    batch_tokens: int = 16384
    max_request_mb: int = 1024
    media_cache_mb: int = 2048
    max_samples: int = 128
    max_new_tokens: int = 32768
    receive_seconds: float = 30.0

    @property
    def limits(self) -> SamplingLimits:
        return SamplingLimits(max_samples=self.max_samples, max_new_tokens=self.max_new_tokens)


def run_server(options: ServerOptions, load: Callable[[], Loaded], announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, finish the queued requests, and return.

    Args:
        load: loads the teacher; meanwhile /health already reports that it is loading.
        announce: called with "serving NAME at URL" when the server is ready.

    Raises:
        UserError: the address cannot be used, or `load` raises it.
    """
    jobs = Jobs(options.max_queue, options.batch_tokens)
    metrics = Metrics(waiting=jobs.__len__)
    endpoints = Endpoints(
        jobs,
        metrics,
        max_request=options.max_request_mb << 20,
        receive_seconds=options.receive_seconds,
        token=options.token,
    )
    listener = listen(options.host, options.port)
    with _http(endpoints, listener), _drain_on_signals(jobs, endpoints):
        loaded = load()
        store = MediaStore(options.media_cache_mb << 20, loaded.info.needs)
        endpoints.service = Service(
            info=loaded.info,
            check=loaded.check,
            limits=options.limits,
            vocabulary=loaded.vocabulary,
            jobs=jobs,
            store=store,
            metrics=metrics,
        )
        announce(f"serving {loaded.info.name} at {address(listener)}")
        Worker(scorer=loaded.scorer, engine=loaded.engine, jobs=jobs, metrics=metrics).run()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at that address. Raises UserError if it cannot."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, OverflowError) as error:
        raise UserError(f"server.host={host}: {error}; use an address of this machine, such as 127.0.0.1") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(target)
    except (OSError, OverflowError) as error:
        listener.close()
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise UserError(
            f"server.port={port}: {reason} at {host}; use another port, or server.port=0 for any free one"
        ) from error
    listener.listen(128)  # now, so that a second server at the same port fails before it loads anything
    return listener


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _http(endpoints: Endpoints, listener: socket.socket) -> Iterator[None]:
    """Serve HTTP during the block, and until its open requests have a reply."""
    config = uvicorn.Config(
        endpoints.app(),
        http=http_protocol(endpoints.receive_seconds),
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(2 * SHUTDOWN_SECONDS)


@contextmanager
def _drain_on_signals(jobs: Jobs, endpoints: Endpoints) -> Iterator[None]:
    """The first SIGTERM or SIGINT drains the queue. A second one, or one during loading, exits at once."""
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
