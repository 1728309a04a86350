"""One request to a teacher's servers, whatever they speak, and the ways in which it can end."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from uniopd_mm.runtime.reasons import in_short

Answer = TypeVar("Answer")
Known = Collection[str]


class Transient(Exception):
    """This try failed; another one, best at another server, may not. `alone`: or one without what it was sent with."""

    def __init__(self, reason: str, *, alone: bool = False) -> None:
        super().__init__(reason)
        self.alone = alone


class Busy(Exception):
    """The server is well and asks to be asked later; `seconds` says when."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Missing(Exception):
    """The server lacks media that were only named."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__(f"{len(names)} media were not there")
        self.names = names


class Refused(Exception):
    """There is no answer, and trying again is of no use; `alone`: unless without what it was sent with, for which
    `seconds_left` are left."""

    def __init__(self, reason: str, *, alone: bool = False, seconds_left: float = 0.0) -> None:
        super().__init__(reason)
        self.alone = alone
        self.seconds_left = seconds_left


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """What is posted."""

    path: str
    content: bytes
    content_type: str


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpReply:
    """What came back."""

    status: int
    content: bytes
    retry_after: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoteRequest(Generic[Answer]):
    """A request that can be written for any server, and read from any.

    Args:
        media: names of what it needs there; the server that has most of them is asked.
        write: from the names that a server has to what is posted.
        read: what came back for that; raises Transient, Busy, Missing or Refused where it is no answer.
    """

    media: Sequence[str]
    write: Callable[[Known], HttpRequest]
    read: Callable[[HttpReply, Known], Answer]


def check_status(said: HttpReply) -> None:
    """Pass an answer on.

    Raises:
        Transient, Busy or Refused: it is none, by what HTTP means with its status.
    """
    if said.status == 200:
        return
    reason = f"{said.status}: {_words(said.content)}"
    if said.status == 401:
        raise Refused(f"{reason} (remote.token_env names the variable that holds it)")
    if said.status == 429 or (said.status == 503 and said.retry_after is not None):
        raise Busy(reason, 1.0 if said.retry_after is None else said.retry_after)
    if said.status >= 500 or said.status == 408:
        raise Transient(reason, alone=said.status == 500)
    raise Refused(reason, alone=said.status in (400, 413, 422))


def _words(content: bytes) -> str:
    """What a server says of an error: its JSON's `error`, or the beginning of its text."""
    try:
        said: Any = json.loads(content)
        said = said.get("error", said)
        text = str(said.get("message", said) if isinstance(said, dict) else said)
    except (ValueError, AttributeError):
        text = content.decode(errors="replace")
    return in_short(text) or "no reason given"
