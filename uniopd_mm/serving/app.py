"""The endpoints: what HTTP says for what a service does."""

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

from uniopd_mm.serving.jobs import Draining, Expired, Full, Job, Jobs
from uniopd_mm.serving.metrics import Metrics
from uniopd_mm.serving.service import MissingMedia, Service
from uniopd_mm.serving.worker import EngineFailed
from uniopd_mm.wire import CONTENT_TYPE, DEADLINE_HEADER, GENERATE, HEALTH, INFO, METRICS, SCORE, VOCABULARY
from uniopd_mm.wire.codec import Malformed, pack

Endpoint = Callable[[Request], Awaitable[Response]]
SOON = {"Retry-After": "1"}
LONGEST_WAIT = 24 * 3600.0  # seconds, where a client names none or more


class TooLarge(Exception):
    """A body above the limit."""


@final
class Endpoints:
    """All of them. `service` is None until the teacher is loaded.

    Args:
        max_request: bytes of a body.
        token: what a client must present; None for nothing.
    """

    def __init__(self, jobs: Jobs, metrics: Metrics, *, max_request: int, token: str | None) -> None:
        self.jobs = jobs
        self.metrics = metrics
        self.service: Service | None = None
        self.max_request = max_request
        self._authorization = None if token is None else f"Bearer {token}".encode()

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(SCORE, self._counted(SCORE, self._ask), methods=["POST"]),
                Route(GENERATE, self._counted(GENERATE, self._ask), methods=["POST"]),
                Route(INFO, self._counted(INFO, self._info)),
                Route(VOCABULARY, self._counted(VOCABULARY, self._vocabulary)),
                Route(METRICS, self._counted(METRICS, self._metrics)),
                Route(HEALTH, self._health),
            ]
        )

    def _counted(self, name: str, endpoint: Endpoint) -> Endpoint:
        """The endpoint for who may ask, its errors as statuses."""

        async def answer(request: Request) -> Response:
            started = monotonic()
            try:
                response = await endpoint(request) if self._may_ask(request) else _unauthorized()
            except ClientDisconnect:
                response = _error(499, "the client has gone")
            except TooLarge:
                response = _error(413, f"more than {self.max_request >> 20} MB; raise server.max_request_mb")
            self.metrics.requests.labels(name, str(response.status_code)).inc()
            self.metrics.seconds.labels(name).observe(monotonic() - started)
            return response

        return answer

    def _may_ask(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode("latin-1")  # the bytes as they came
        return self._authorization is None or hmac.compare_digest(given, self._authorization)

    async def _health(self, request: Request) -> Response:
        state = "draining" if self.jobs.draining else "ready" if self.service else "loading"
        return JSONResponse({"status": state}, 200 if state == "ready" else 503)

    async def _info(self, request: Request) -> Response:
        if self.service is None:
            return _error(503, "the teacher is being loaded", SOON)
        return Response(self.service.info.json(), media_type="application/json")

    async def _vocabulary(self, request: Request) -> Response:
        if self.service is None:
            return _error(503, "the teacher is being loaded", SOON)
        if self.service.vocabulary is None:
            return _error(404, "this server tells its vocabulary by the digest alone")
        return Response(pack(self.service.vocabulary), media_type=CONTENT_TYPE)

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _ask(self, request: Request) -> Response:
        """Refuse, or wait for the engine."""
        if self.service is None:
            return _error(503, "the teacher is being loaded", SOON)
        try:
            seconds = _seconds(request)
            content = await self._body(request)
            if self.jobs.draining:
                raise Draining
            job = await run_in_threadpool(self.service.job, request.url.path, content, seconds)
            self.jobs.put(job)
            answers = await _waited(job, request, seconds)
            return Response(await run_in_threadpool(self.service.reply, job, answers), media_type=CONTENT_TYPE)
        except Malformed as error:
            return _error(400, str(error))
        except MissingMedia as missing:
            return Response(pack({"missing": missing.names}), 409, media_type=CONTENT_TYPE)
        except EngineFailed as error:
            return _error(422 if error.refused else 500, str(error))
        except Full:
            return _error(503, f"{self.jobs.max_waiting} requests wait already", SOON)
        except Draining:
            return _error(503, "the server is about to end", SOON)
        except (Expired, TimeoutError):
            return _error(504, "not done within the time that the client waits")

    async def _body(self, request: Request) -> bytes:
        if int(request.headers.get("content-length", "0")) > self.max_request:
            raise TooLarge
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > self.max_request:
                raise TooLarge
        return bytes(content)


async def _waited(job: Job, request: Request, seconds: float) -> list:
    """The engine's answers. Work that a client went away from is not begun.

    Raises:
        ClientDisconnect, TimeoutError, or what the job failed with.
    """
    answer = asyncio.wrap_future(job.answer)
    gone = asyncio.ensure_future(request.receive())  # behind a body there is nothing but the end of the connection
    try:
        await asyncio.wait({answer, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        raise ClientDisconnect if gone.done() else TimeoutError
    finally:
        gone.cancel()
        answer.cancel()


def _seconds(request: Request) -> float:
    """How long the client waits. Raises Malformed."""
    given = request.headers.get(DEADLINE_HEADER)
    try:
        seconds = LONGEST_WAIT if given is None else float(given)
    except ValueError:
        seconds = float("nan")
    if not seconds > 0:
        raise Malformed(f"{DEADLINE_HEADER}: {given}: no number of seconds above 0")
    return min(seconds, LONGEST_WAIT)


def _unauthorized() -> Response:
    return _error(401, "a bearer token is needed, and another than the one given", {"WWW-Authenticate": "Bearer"})


def _error(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": reason}, status, headers)
