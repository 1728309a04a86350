"""The servers of one remote teacher: which one gets a request, retries, deadlines and circuit breakers.

All network traffic runs in one event loop in its own thread. There a deadline can cancel anything, even a server that
sends one byte a second. Leaves out the content of requests (requests.py).
"""

import asyncio
import math
import random
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from threading import Thread
from time import monotonic
from typing import Any, TypeVar, final

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from uniopd_mm.config.parts import RemoteOptions
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.teachers.breaker import Breaker
from uniopd_mm.teachers.requests import (
    MAX_NOTICE,
    Busy,
    HttpReply,
    HttpRequest,
    MediaNames,
    MissingMedia,
    Refused,
    RemoteRequest,
    Transient,
)
from uniopd_mm.wire import DEADLINE_HEADER, HEALTH

Result = TypeVar("Result")
CONNECT_SECONDS = 10.0
PROBE_SECONDS = 5.0
IDLE_SECONDS = 30.0  # we close idle connections before the server does, which could hit a request on its way
BACKOFF, MAX_BACKOFF = 0.1, 5.0
MAX_REMEMBERED = 1 << 16  # media names per server


@final
class Server:
    """One address and its state. Only the pool's event loop touches it."""

    def __init__(self, url: str, options: RemoteOptions) -> None:
        self.url = url.rstrip("/")
        self.breaker = Breaker(options.breaker_failures, options.breaker_seconds)
        self.slots = asyncio.Semaphore(options.parallel)
        self.probing = asyncio.Lock()
        self.in_flight = 0
        self.num_requests = 0
        self._media: OrderedDict[str, None] = OrderedDict()

    def known(self, names: Sequence[str]) -> frozenset[str]:
        """The media among these that the server was sent and has not reported missing."""
        return frozenset(name for name in names if name in self._media)

    def remember(self, names: Sequence[str]) -> None:
        for name in names:
            self._media[name] = None
            self._media.move_to_end(name)
        while len(self._media) > MAX_REMEMBERED:
            self._media.popitem(last=False)

    def forget(self, names: MediaNames) -> None:
        for name in names:
            self._media.pop(name, None)


@final
class Pool:
    """Runs requests, several at a time.

    Args:
        headers: sent with every request, such as the bearer token.
    """

    def __init__(self, urls: Sequence[str], options: RemoteOptions, headers: Mapping[str, bytes]) -> None:
        self.options = options
        self.servers = [Server(url, options) for url in urls]
        self._slots = asyncio.Semaphore(options.parallel * len(self.servers))
        self._client = httpx.AsyncClient(
            headers=[(b"accept-encoding", b"identity"), *((name.encode(), value) for name, value in headers.items())],
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=IDLE_SECONDS),
            trust_env=False,  # no proxy between a run and its own servers
        )
        self._probes: set[asyncio.Task[bool]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="teachers", daemon=True)
        self._thread.start()

    def send(self, request: RemoteRequest[Result], seconds: float | None = None) -> "Future[Result]":
        """Start a request, which may take `seconds` (None: the deadline of the options). Its future raises Refused if
        there is no result. Call it from any thread."""
        seconds = self.options.deadline if seconds is None else seconds
        return asyncio.run_coroutine_threadsafe(self._run(request, seconds), self._loop)

    def get(self, server: Server, path: str, seconds: float, max_reply: int) -> "Future[HttpReply]":
        """Start one GET at one server. Its future raises Transient. Call it from any thread."""
        return asyncio.run_coroutine_threadsafe(self._http(server, "GET", path, seconds, max_reply), self._loop)

    def skip_server(self, server: Server) -> None:
        """Send it nothing until a probe finds it healthy. Call it from any thread."""
        for _ in range(self.options.breaker_failures):
            self._loop.call_soon_threadsafe(server.breaker.record_failure)

    def close(self) -> None:
        """Close all connections. Send nothing afterwards."""
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result(PROBE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PROBE_SECONDS)

    async def _run(self, request: RemoteRequest[Result], seconds: float) -> Result:
        """The deadline starts with the slot, so a request loses no time while it waits for one."""
        errors: list[str] = []
        async with self._slots:
            deadline = monotonic() + seconds
            try:
                async with asyncio.timeout(seconds):
                    return await self._retry(request, deadline, errors)
            except TimeoutError:
                last = f"; {errors[-1]}" if errors else ""
                raise Refused(f"no reply within {seconds:g} s{last}") from None
            except Transient as error:
                reason, splittable = f"{error} (the last of {self.options.attempts} attempts)", error.splittable
            except Refused as error:
                reason, splittable = str(error), error.splittable
            raise Refused(reason, splittable=splittable, seconds_left=deadline - monotonic())

    async def _retry(self, request: RemoteRequest[Result], deadline: float, errors: list[str]) -> Result:
        """Raises Refused, or Transient after the last attempt. Adds what failed on the way to `errors`."""
        failed: Server | None = None
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(self.options.attempts),
            wait=wait_random_exponential(multiplier=BACKOFF, max=MAX_BACKOFF),
            retry=retry_if_exception_type(Transient),
            reraise=True,
        ):
            with attempt:
                is_last = attempt.retry_state.attempt_number == self.options.attempts
                failed = server = await self._choose_server(request.media, avoid=failed)
                return await self._attempt(server, request, deadline, errors, is_last)
        raise AssertionError("tenacity returns or raises")

    async def _attempt(
        self, server: Server, request: RemoteRequest[Result], deadline: float, errors: list[str], is_last: bool
    ) -> Result:
        """One attempt, repeated while servers are busy. Unless it is the last, a server gets half of the time left, so
        that one that never replies leaves time for another."""
        busy: set[Server] = set()
        while True:
            remaining = deadline - monotonic()
            try:
                return await self._send_to(server, request, remaining if is_last else remaining / 2)
            except Busy as error:
                errors.append(f"{server.url}: {error}")
                busy.add(server)
                server = await self._choose_server(request.media, avoid=server)
                if server in busy:  # all others are busy too
                    await asyncio.sleep(error.seconds * random.uniform(0.5, 1.0))
            except Transient as error:
                errors.append(str(error))
                raise

    async def _send_to(self, server: Server, request: RemoteRequest[Result], seconds: float) -> Result:
        server.in_flight += 1
        server.num_requests += 1
        try:
            async with server.slots:
                result = await self._exchange(server, request, seconds)
        except Transient as error:
            if not error.splittable:  # then the request may be at fault, not the server
                server.breaker.record_failure()
            raise Transient(f"{server.url}: {error}", splittable=error.splittable) from error
        except Refused as error:
            raise Refused(f"{server.url}: {error}", splittable=error.splittable) from error
        finally:
            server.in_flight -= 1
        server.breaker.record_success()
        server.remember(request.media)
        return result

    async def _exchange(self, server: Server, request: RemoteRequest[Result], seconds: float) -> Result:
        """Send the media that the server lacks; if it has dropped others, send the request again with all media."""
        for known in (server.known(request.media), frozenset[str]()):
            http_request = await asyncio.to_thread(request.build, known)
            reply = await self._http(server, "POST", http_request.path, seconds, request.max_reply, http_request)
            try:
                return await asyncio.to_thread(request.parse, reply, known)
            except MissingMedia as missing:
                server.forget(missing.names)
            except (Transient, Busy, Refused):
                raise
            except Exception as error:  # a server may reply anything
                raise Transient(f"undecodable reply: {type(error).__name__}: {error}") from error
        raise Transient("reports media missing that were just sent")

    async def _http(
        self,
        server: Server,
        method: str,
        path: str,
        seconds: float,
        max_reply: int,
        request: HttpRequest | None = None,
    ) -> HttpReply:
        """Raises Transient if there is no complete reply in time, or it has more than `max_reply` bytes."""
        headers = {DEADLINE_HEADER: f"{max(seconds, 0.001):.3f}"}
        content = b""
        if request is not None:
            headers["content-type"], content = request.content_type, request.content
        try:
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, server.url + path, content=content, headers=headers) as response,
            ):
                received = await _received(response, max_reply)
        except TimeoutError:
            raise Transient(f"no reply within {seconds:.1f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Transient(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        return HttpReply(status=response.status_code, content=received, retry_after=_retry_after(response))

    async def _choose_server(self, media: Sequence[str], avoid: Server | None) -> Server:
        """Of the healthy servers with a free slot, the one that has most of the media, and of these the least busy one;
        `avoid` only if there is no other. Raises Transient if none is healthy even after a probe."""
        healthy = [server for server in self.servers if not server.breaker.is_open]
        if not healthy:
            return await self._recovered_server()
        self._start_probes()
        others = [server for server in healthy if server is not avoid] or healthy
        return min(others, key=lambda server: self._preference(server, media))

    def _preference(self, server: Server, media: Sequence[str]) -> tuple[Any, ...]:
        full = server.in_flight >= self.options.parallel
        return full, -len(server.known(media)), server.in_flight, server.num_requests

    async def _recovered_server(self) -> Server:
        """Wait for the server that may be probed first. Raises Transient if it is still unhealthy."""
        server = min(self.servers, key=lambda server: server.breaker.seconds_left)
        await asyncio.sleep(server.breaker.seconds_left)
        if await self._probe(server):
            return server
        raise Transient(f"{server.url}: skipped after repeated failures, and still not healthy")

    def _start_probes(self) -> None:
        """Probe, in the background, the servers that were skipped long enough."""
        for server in self.servers:
            if server.breaker.is_open and not server.breaker.seconds_left and not server.probing.locked():
                probe = asyncio.ensure_future(self._probe(server))
                self._probes.add(probe)
                probe.add_done_callback(self._probes.discard)

    async def _probe(self, server: Server) -> bool:
        """Whether the server is healthy. Of several tasks at a time, one sends the probe."""
        async with server.probing:
            if not server.breaker.is_open or server.breaker.seconds_left:
                return not server.breaker.is_open
            try:
                healthy = (await self._http(server, "GET", HEALTH, PROBE_SECONDS, MAX_NOTICE)).status == 200
            except Transient:
                healthy = False
            (server.breaker.record_success if healthy else server.breaker.record_failure)()
            return healthy


async def _received(response: httpx.Response, max_bytes: int) -> bytes:
    """The body. Raises Transient if it is longer, or compressed, which we do not ask for: a small reply could then
    become any number of bytes."""
    encoding = response.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise Transient(f"undecodable reply: its content-encoding is {in_short(encoding)}, not identity")
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > max_bytes:
            raise Transient(f"the reply is above {max_bytes} bytes, the most that this request can return")
    return bytes(content)


def _retry_after(response: httpx.Response) -> float | None:
    try:
        seconds = float(response.headers["retry-after"])
    except (KeyError, ValueError):  # missing, or a date
        return None
    return min(max(seconds, 0.0), MAX_BACKOFF) if math.isfinite(seconds) else None
