"""Media from the network: fetched once into the cache folder, with limits on their size and time.

Only http and https, also after a redirect. A host that fails several times in a row is asked no more.
"""

import hashlib
import os
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from uniopd_mm.runtime.cache import made_cache_folder
from uniopd_mm.tasks.reading.kinds import KIND_OF_SUFFIX
from uniopd_mm.types import BadSample

MAX_BYTES = 512 << 20
SECONDS_TO_ANSWER, SECONDS = 10.0, 120.0
MAX_FAILURES = 5  # of a host in a row
_BLOCK = 1 << 18
_AGENT = "uniopd_mm (fetches the media of a data set)"
_failures: Counter[str] = Counter()  # by host, in a row


def fetched(address: str, label: str) -> str:
    """The path of an address's file in the cache folder, fetched if it is not there.

    Raises:
        BadSample: it cannot be fetched within the limits. `label` names it.
    """
    host = urlsplit(address).netloc
    path = _place(address)
    if path.is_file():
        return str(path)
    if _failures[host] >= MAX_FAILURES:
        raise BadSample(f"{label}: {host} failed {MAX_FAILURES} times in a row and is asked no more")
    try:
        _fetch(address, path)
    except (OSError, ValueError, HTTPException) as error:
        _failures[host] += 1
        raise BadSample(f"{label} cannot be fetched: {' '.join(str(error).split())[:200]}") from error
    _failures[host] = 0
    return str(path)


def _place(address: str) -> Path:
    suffix = os.path.splitext(urlsplit(address).path)[1].lower()
    known = suffix if suffix.removeprefix(".") in KIND_OF_SUFFIX else ""
    digest = hashlib.sha256(address.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return made_cache_folder("fetched", digest[:2]) / f"{digest}{known}"


def _fetch(address: str, path: Path) -> None:
    """Write the file in one move, so that a stopped process leaves no half of it."""
    request = urllib.request.Request(address, headers={"User-Agent": _AGENT})
    with _OPENER.open(request, timeout=SECONDS_TO_ANSWER) as answer:
        handle, partial = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                for block in _blocks(answer):
                    file.write(block)
            os.replace(partial, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(partial)


def _blocks(answer: IO[bytes]) -> Iterator[bytes]:
    """The contents. Raises OSError past the limits, and if there are none."""
    total, end = 0, time.monotonic() + SECONDS
    while block := answer.read(_BLOCK):
        total += len(block)
        if total > MAX_BYTES:
            raise OSError(f"more than {MAX_BYTES >> 20} MiB")
        if time.monotonic() > end:
            raise OSError(f"not here after {SECONDS:.0f} s")
        yield block
    if not total:
        raise OSError("0 bytes")


def _opener() -> urllib.request.OpenerDirector:
    """Knows http and https alone: a redirect to a file or to ftp ends in an error."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


_OPENER = _opener()
