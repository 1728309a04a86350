"""The servers of one teacher: who is asked, how often, how long, and who is left alone.

All network traffic runs in one event loop in a thread of its own, where a deadline can end anything, a server that
sends one byte a second included. Leaves out what is said (requests.py).
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from threading import Thread
from time import monotonic
from typing import Any, TypeVar, final

import httpx
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from uniopd_mm.config.parts import RemoteOptions
from uniopd_mm.teachers.breaker import Breaker
from uniopd_mm.teachers.requests import Busy, HttpReply, HttpRequest, Missing, Refused, RemoteRequest, Transient
from uniopd_mm.wire import DEADLINE_HEADER, HEALTH

Answer = TypeVar("Answer")
CONNECT_SECONDS = 10.0
PROBE_SECONDS = 5.0
IDLE_SECONDS = 30.0  # a connection that is not used is closed by us, before the server does it under a request
BACKOFF, LONGEST_BACKOFF = 0.1, 5.0
REMEMBERED = 1 << 16  # names of media by server


@final
class Server:
    """One address, and what is known of it. Only the pool's event loop touches it."""

    def __init__(self, url: str, options: RemoteOptions) -> None:
        self.url = url.rstrip("/")
        self.breaker = Breaker(options.breaker_failures, options.breaker_seconds)
        self.free = asyncio.Semaphore(options.parallel)
        self.probing = asyncio.Lock()
        self.in_flight = 0
        self.asked = 0
        self._media: OrderedDict[str, None] = OrderedDict()

    def known(self, names: Sequence[str]) -> frozenset[str]:
        """Those that it was sent before, and has not asked for again."""
        return frozenset(name for name in names if name in self._media)

    def learns(self, names: Sequence[str]) -> None:
        for name in names:
            self._media[name] = None
            self._media.move_to_end(name)
        while len(self._media) > REMEMBERED:
            self._media.popitem(last=False)

    def forgets(self, names: Collection[str]) -> None:
        for name in names:
            self._media.pop(name, None)


@final
class Pool:
    """Runs requests, several at a time.

    Args:
        headers: of every request, as the bearer token.
    """

    def __init__(self, urls: Sequence[str], options: RemoteOptions, headers: Mapping[str, bytes]) -> None:
        self.options = options
        self.servers = [Server(url, options) for url in urls]
        self._slots = asyncio.Semaphore(options.parallel * len(self.servers))
        self._client = httpx.AsyncClient(
            headers=[(name.encode(), value) for name, value in headers.items()],
            timeout=httpx.Timeout(None, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=None, keepalive_expiry=IDLE_SECONDS),
            trust_env=False,  # no proxy between a run and its own servers
        )
        self._probes: set[asyncio.Task[bool]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="teachers", daemon=True)
        self._thread.start()

    def send(self, request: RemoteRequest[Answer], seconds: float | None = None) -> "Future[Answer]":
        """Start an request, which may take `seconds`, or the deadline of the options; its future raises Refused where
        it has no answer. From any thread."""
        seconds = self.options.deadline if seconds is None else seconds
        return asyncio.run_coroutine_threadsafe(self._run(request, seconds), self._loop)

    def get(self, server: Server, path: str, seconds: float) -> "Future[HttpReply]":
        """One plain request to one server; its future raises Transient. From any thread."""
        return asyncio.run_coroutine_threadsafe(self._said(server, "GET", path, seconds), self._loop)

    def leave_alone(self, server: Server) -> None:
        """Until it has been seen to be well."""
        for _ in range(self.options.breaker_failures):
            self._loop.call_soon_threadsafe(server.breaker.failed)

    def close(self) -> None:
        """End all connections; nothing may be sent after it."""
        asyncio.run_coroutine_threadsafe(self._client.aclose(), self._loop).result(PROBE_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PROBE_SECONDS)

    async def _run(self, request: RemoteRequest[Answer], seconds: float) -> Answer:
        """Its time runs from here: one that has to wait for its turn loses nothing by it."""
        tried: list[str] = []
        async with self._slots:
            deadline = monotonic() + seconds
            try:
                async with asyncio.timeout(seconds):
                    return await self._tries(request, deadline, tried)
            except TimeoutError:
                last = f"; {tried[-1]}" if tried else ""
                raise Refused(f"no answer within {seconds:g} s{last}") from None
            except Transient as error:
                reason, alone = f"{error} (the last of {self.options.attempts} tries)", error.alone
            except Refused as error:
                reason, alone = str(error), error.alone
            raise Refused(reason, alone=alone, seconds_left=deadline - monotonic())

    async def _tries(self, request: RemoteRequest[Answer], deadline: float, tried: list[str]) -> Answer:
        """Raises Refused, or Transient after the last try."""
        avoided: Server | None = None
        async for attempt in AsyncRetrying(
            stop=stop_after_attempt(self.options.attempts),
            wait=wait_random_exponential(multiplier=BACKOFF, max=LONGEST_BACKOFF),
            retry=retry_if_exception_type(Transient),
            reraise=True,
        ):
            with attempt:
                last = attempt.retry_state.attempt_number == self.options.attempts
                avoided = server = await self._chosen(request.media, avoided)
                return await self._patiently(server, request, deadline, tried, last)
        raise AssertionError("tenacity returns or raises")

    async def _patiently(
        self, server: Server, request: RemoteRequest[Answer], deadline: float, tried: list[str], last: bool
    ) -> Answer:
        """One try, for which a server that is busy is asked again and again, or another one. Half of the time that is
        left may be spent on it, so that one that never answers leaves some for another."""
        busy: set[Server] = set()
        while True:
            remaining = deadline - monotonic()
            try:
                return await self._try(server, request, remaining if last else remaining / 2)
            except Busy as error:
                tried.append(f"{server.url}: {error}")
                busy.add(server)
                server = await self._chosen(request.media, server)
                if server in busy:  # and so is everybody else
                    await asyncio.sleep(error.seconds * random.uniform(0.5, 1.0))
            except Transient as error:
                tried.append(str(error))
                raise

    async def _try(self, server: Server, request: RemoteRequest[Answer], seconds: float) -> Answer:
        server.in_flight += 1
        server.asked += 1
        try:
            async with server.free:
                answer = await self._answered(server, request, seconds)
        except Transient as error:
            if not error.alone:  # what is wrong with a request is not held against the server
                server.breaker.failed()
            raise Transient(f"{server.url}: {error}", alone=error.alone) from error
        except Refused as error:
            raise Refused(f"{server.url}: {error}", alone=error.alone) from error
        finally:
            server.in_flight -= 1
        server.breaker.succeeded()
        server.learns(request.media)
        return answer

    async def _answered(self, server: Server, request: RemoteRequest[Answer], seconds: float) -> Answer:
        """With media sent where they are not there, and sent all where they have got lost."""
        for known in (server.known(request.media), frozenset[str]()):
            call = await asyncio.to_thread(request.write, known)
            said = await self._said(server, "POST", call.path, seconds, call)
            try:
                return await asyncio.to_thread(request.read, said, known)
            except Missing as missing:
                server.forgets(missing.names)
            except (Transient, Busy, Refused):
                raise
            except Exception as error:  # whatever a server may say
                raise Transient(f"undecodable answer: {type(error).__name__}: {error}") from error
        raise Transient("asks again for media that it was sent")

    async def _said(
        self, server: Server, method: str, path: str, seconds: float, call: HttpRequest | None = None
    ) -> HttpReply:
        """Raises Transient where there is no whole answer in time."""
        headers = {DEADLINE_HEADER: f"{max(seconds, 0.001):.3f}"}
        content = b""
        if call is not None:
            headers["content-type"], content = call.content_type, call.content
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.request(method, server.url + path, content=content, headers=headers)
        except TimeoutError:
            raise Transient(f"no answer within {seconds:.1f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Transient(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        return HttpReply(status=response.status_code, content=response.content, retry_after=_retry_after(response))

    async def _chosen(self, media: Sequence[str], avoided: Server | None) -> Server:
        """Who is asked: of those that are well, best not the one that just failed, the one that has most of the media;
        else the one with the least to do. Raises Transient where none is well, after a look at one of them."""
        well = [server for server in self.servers if not server.breaker.is_open]
        if not well:
            return await self._back()
        self._look_again()
        others = [server for server in well if server is not avoided] or well
        return min(others, key=lambda server: self._preference(server, media))

    def _preference(self, server: Server, media: Sequence[str]) -> tuple[Any, ...]:
        crowded = server.in_flight >= self.options.parallel
        return crowded, -len(server.known(media)), server.in_flight, server.asked

    async def _back(self) -> Server:
        """The server whose time has come first, if it is well again."""
        server = min(self.servers, key=lambda server: server.breaker.seconds_left)
        await asyncio.sleep(server.breaker.seconds_left)
        if await self._probe(server):
            return server
        raise Transient(f"{server.url}: left alone after failures, and not well again")

    def _look_again(self) -> None:
        """Look after those that were left alone long enough, beside the work."""
        for server in self.servers:
            if server.breaker.is_open and not server.breaker.seconds_left and not server.probing.locked():
                probe = asyncio.ensure_future(self._probe(server))
                self._probes.add(probe)
                probe.add_done_callback(self._probes.discard)

    async def _probe(self, server: Server) -> bool:
        """Whether it is well; of many who ask at a time one looks."""
        async with server.probing:
            if not server.breaker.is_open or server.breaker.seconds_left:
                return not server.breaker.is_open
            try:
                said = await self._said(server, "GET", HEALTH, PROBE_SECONDS)
            except Transient:
                said = HttpReply(status=0, content=b"")
            (server.breaker.succeeded if said.status == 200 else server.breaker.failed)()
            return said.status == 200


def _retry_after(response: httpx.Response) -> float | None:
    try:
        return min(float(response.headers["retry-after"]), LONGEST_BACKOFF)
    except (KeyError, ValueError):  # none, or a date
        return None
