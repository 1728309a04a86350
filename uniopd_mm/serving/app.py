"""The HTTP endpoints of a service."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from uniopd_mm.serving.jobs import Draining, Expired, Job, Jobs, QueueFull
from uniopd_mm.serving.metrics import Metrics
from uniopd_mm.serving.service import MissingMedia, Service
from uniopd_mm.serving.worker import EngineFailed
from uniopd_mm.wire import CONTENT_TYPE, DEADLINE_HEADER, GENERATE, HEALTH, INFO, METRICS, SCORE, VOCABULARY
from uniopd_mm.wire.codec import Malformed, pack

Endpoint = Callable[[Request], Awaitable[Response]]
RETRY_SOON = {"Retry-After": "1"}
CLOSE = {"Connection": "close"}  # what is left of the body is not read
MAX_WAIT = 24 * 3600.0  # seconds; also the default


MIN_RATE = 1 << 16  # bytes a second of a body, past the seconds that every body has


class TooLarge(Exception):
    """The body is above the limit."""


class TooSlow(Exception):
    """The body did not arrive in time."""


@final
class Endpoints:
    """All endpoints. `service` is None until the teacher is loaded.

    Args:
        max_request: bytes of a request's body.
        receive_seconds: to receive a body, and 1 s more for each `MIN_RATE` bytes of it that have come.
        token: the bearer token that a client must send; None if it needs none.
    """

    def __init__(
        self, jobs: Jobs, metrics: Metrics, *, max_request: int, receive_seconds: float, token: str | None
    ) -> None:
        self.jobs = jobs
        self.metrics = metrics
        self.service: Service | None = None
        self.max_request = max_request
        self.receive_seconds = receive_seconds
        self._authorization = None if token is None else f"Bearer {token}".encode()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(SCORE, self._counted(SCORE, self._run), methods=["POST"]),
                Route(GENERATE, self._counted(GENERATE, self._run), methods=["POST"]),
                Route(INFO, self._counted(INFO, self._info)),
                Route(VOCABULARY, self._counted(VOCABULARY, self._vocabulary)),
                Route(METRICS, self._counted(METRICS, self._metrics)),
                Route(HEALTH, self._health),
            ]
        )

    def _counted(self, name: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint with authorization and metrics, and with errors as statuses."""

        async def answer(request: Request) -> Response:
            started = monotonic()
            try:
                response = await endpoint(request) if self._authorized(request) else _unauthorized()
            except ClientDisconnect:
                response = _error(499, "the client has disconnected")
            except TooLarge:
                response = _error(
                    413, f"the request is above {self.max_request >> 20} MB; raise server.max_request_mb", CLOSE
                )
            except TooSlow:
                response = _error(408, "the request did not arrive in time; raise server.receive_seconds", CLOSE)
            self.metrics.requests.labels(name, str(response.status_code)).inc()
            self.metrics.seconds.labels(name).observe(monotonic() - started)
            return response

        return answer

    def _authorized(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode("latin-1")  # the bytes as they were sent
        return self._authorization is None or hmac.compare_digest(given, self._authorization)

    async def _health(self, request: Request) -> Response:
        state = "draining" if self.jobs.draining else "ready" if self.service else "loading"
        return JSONResponse({"status": state}, 200 if state == "ready" else 503)

    async def _info(self, request: Request) -> Response:
        if self.service is None:
            return _error(503, "the teacher is loading", RETRY_SOON)
        return Response(self.service.info.json(), media_type="application/json")

    async def _vocabulary(self, request: Request) -> Response:
        if self.service is None:
            return _error(503, "the teacher is loading", RETRY_SOON)
        if self.service.vocabulary is None:
            return _error(404, "this server only publishes a digest of its vocabulary")
        return Response(pack(self.service.vocabulary), media_type=CONTENT_TYPE)

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _run(self, request: Request) -> Response:
        """Run a request of the engine, or refuse it."""
        if self.service is None:
            return _error(503, "the teacher is loading", RETRY_SOON)
        try:
            seconds = _seconds(request)
            content = await self._body(request)
            if self.jobs.draining:
                raise Draining
            job = await run_in_threadpool(self.service.job, request.url.path, content, seconds)
            self.jobs.put(job)
            answers = await _answers_of(job, request, seconds)
            return Response(await run_in_threadpool(self.service.reply, job, answers), media_type=CONTENT_TYPE)
        except Malformed as error:
            return _error(400, str(error))
        except MissingMedia as missing:
            return Response(pack({"missing": missing.names}), 409, media_type=CONTENT_TYPE)
        except EngineFailed as error:
            return _error(422 if error.refused else 500, str(error))
        except QueueFull:
            return _error(503, f"{self.jobs.max_waiting} requests are waiting already", RETRY_SOON)
        except Draining:
            return _error(503, "the server is shutting down", RETRY_SOON)
        except (Expired, TimeoutError):
            return _error(504, "not done before the client's deadline")

    async def _body(self, request: Request) -> bytes:
        """Raises TooLarge, TooSlow or ClientDisconnect."""
        if int(request.headers.get("content-length", "0")) > self.max_request:
            raise TooLarge
        content = bytearray()
        first = asyncio.get_running_loop().time() + self.receive_seconds
        try:
            async with asyncio.timeout_at(first) as deadline:
                async for part in request.stream():
                    content += part
                    if len(content) > self.max_request:
                        raise TooLarge
                    deadline.reschedule(first + len(content) / MIN_RATE)
        except TimeoutError:
            raise TooSlow from None
        return bytes(content)


async def _answers_of(job: Job, request: Request, seconds: float) -> list:
    """Wait for the engine's answers. If the client disconnects first, a waiting job is cancelled.

    Raises:
        ClientDisconnect, TimeoutError, or the error of the job.
    """
    answer = asyncio.wrap_future(job.answer)
    disconnected = asyncio.ensure_future(request.receive())  # after the body, only a disconnect is received
    try:
        await asyncio.wait({answer, disconnected}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise ClientDisconnect if disconnected.done() else TimeoutError
    finally:
        disconnected.cancel()
        answer.cancel()


def _seconds(request: Request) -> float:
    """How long the client waits. Raises Malformed if its header is not a positive number."""
    given = request.headers.get(DEADLINE_HEADER)
    try:
        seconds = MAX_WAIT if given is None else float(given)
    except ValueError:
        seconds = float("nan")
    if not seconds > 0:
        raise Malformed(f"{DEADLINE_HEADER}: {given}: must be a number of seconds above 0")
    return min(seconds, MAX_WAIT)


def _unauthorized() -> Response:
    return _error(401, "the bearer token is missing or wrong", {"WWW-Authenticate": "Bearer"})


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": reason}, status, headers)
