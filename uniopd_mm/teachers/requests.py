"""One request to a remote teacher's servers, whatever their API, and the ways in which it can end."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from uniopd_mm.runtime.reasons import in_short

Result = TypeVar("Result")
MediaNames = Collection[str]
MAX_NOTICE = 1 << 18  # bytes of a reply besides its answers: an error, or names of missing media


class Transient(Exception):
    """This attempt failed, but a retry may succeed, preferably at another server. `splittable`: smaller requests may
    succeed where this one fails."""

    def __init__(self, reason: str, *, splittable: bool = False) -> None:
        super().__init__(reason)
        self.splittable = splittable


class Busy(Exception):
    """The server is healthy but busy, and wants the request again after `seconds`."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class MissingMedia(Exception):
    """The server does not have media that the request only named."""

    def __init__(self, names: MediaNames) -> None:
        super().__init__(f"{len(names)} media are missing")
        self.names = names


class Refused(Exception):
    """The request failed and a retry cannot succeed. `splittable`: smaller requests may, within `seconds_left`."""

    def __init__(self, reason: str, *, splittable: bool = False, seconds_left: float = 0.0) -> None:
        super().__init__(reason)
        self.splittable = splittable
        self.seconds_left = seconds_left


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """The content of one POST."""

    path: str
    content: bytes
    content_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpReply:
    """The reply to one HTTP request; `retry_after` in seconds."""

    status: int
    content: bytes
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteRequest(Generic[Result]):
    """A request that any of the servers can answer.

    Args:
        media: names of the media it needs; the server that has most of them is preferred.
        max_reply: the most bytes that a reply can have. Nothing is read past them.
        build: makes the HTTP request, given the names of the media that the server has and need not be sent.
        parse: makes the result from the HTTP reply and the same names. Raises Transient, Busy, MissingMedia or Refused
            if the reply has no result.
    """

    media: Sequence[str]
    max_reply: int
    build: Callable[[MediaNames], HttpRequest]
    parse: Callable[[HttpReply, MediaNames], Result]


def check_status(reply: HttpReply) -> None:
    """Accept status 200.

    Raises:
        Transient, Busy or Refused: for any other status, by its meaning in HTTP.
    """
    if reply.status == 200:
        return
    reason = f"{reply.status}: {_error_text(reply.content)}"
    if reply.status == 401:
        raise Refused(f"{reason} (remote.token_env names the variable that holds it)")
    if reply.status == 429 or (reply.status == 503 and reply.retry_after is not None):
        raise Busy(reason, 1.0 if reply.retry_after is None else reply.retry_after)
    if reply.status >= 500 or reply.status == 408:
        raise Transient(reason, splittable=reply.status == 500)
    raise Refused(reason, splittable=reply.status in (400, 413, 422))


def _error_text(content: bytes) -> str:
    """The server's error message: the `error` of a JSON object, or the beginning of the text."""
    try:
        value: Any = json.loads(content)
        value = value.get("error", value)
        text = str(value.get("message", value) if isinstance(value, dict) else value)
    except (ValueError, AttributeError, RecursionError):
        text = content.decode(errors="replace")
    return in_short(text) or "no reason given"
