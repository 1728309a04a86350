"""Runs programs on another machine, over HTTP.

    POST URL   {"source": "print(input())", "stdin": "7", "limits": {"cpu_seconds": 10, ...}}
    200        {"status": "ok", "exit_code": 0, "stdout": "7\\n", "stderr": ""}

`limits` has the fields of `Limits`, and `status` is one of `Status`. The answer may also have `seconds` and `asleep`.
That machine is responsible for isolating the programs. A server that cannot tell CPU time from waiting must answer
"stalled", never "time". Left out: the server.
"""

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterable
from dataclasses import asdict
from typing import Any, final
from urllib.parse import urlsplit

from uniopd_mm.tasks.sandbox.limits import Limits, Run, SandboxFault, Status
from uniopd_mm.types import UserError

_PATIENCE = 30.0  # seconds on top of the program's time
_OTHER_BYTES = 1 << 16  # of an answer, without the outputs
_PAUSE = 0.5  # seconds before the next attempt, doubled each time


@final
class RemoteSandbox:
    """A Sandbox behind a URL.

    Args:
        url: the address of the requests.
        max_running: how many requests are sent at the same time; by default one for each core of this machine.
        attempts: how often a request without an answer is sent before it counts as a fault.
    """

    def __init__(self, url: str, *, max_running: int | None = None, attempts: int = 3) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise UserError(f"task.sandbox.url={url}: must begin with http:// or https://")
        if attempts < 1 or (max_running is not None and max_running < 1):
            raise UserError(
                f"task.sandbox.attempts={attempts}, task.sandbox.max_running={max_running}: must be 1 or more"
            )
        self._url = url
        self._attempts = attempts
        self._free = threading.BoundedSemaphore(max_running or os.cpu_count() or 1)

    @property
    def level(self) -> str:
        """Nothing is known about the isolation, except that programs run elsewhere."""
        return "remote"

    def runs(self, source: str, inputs: Iterable[str], limits: Limits) -> Generator[Run, None, None]:
        """See `Sandbox.runs`."""
        for text in inputs:
            body = json.dumps({"source": source, "stdin": text, "limits": asdict(limits)}).encode()
            with self._free:
                answer = self._answer(body, limits)
            yield _run_of(answer, limits)

    def _answer(self, body: bytes, limits: Limits) -> Any:
        for attempt in range(self._attempts):
            if attempt:
                time.sleep(_PAUSE * 2 ** (attempt - 1))
            try:
                return self._post(body, limits)
            except (OSError, ValueError) as error:  # URLError and HTTPError are OSErrors
                problem = error
                if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                    break
        raise SandboxFault(f"{self._url} does not answer: {problem}")

    def _post(self, body: bytes, limits: Limits) -> Any:
        """Raises ValueError also for an answer that is longer than two outputs can be as JSON."""
        most = 12 * limits.output_bytes + _OTHER_BYTES
        timeout = limits.longest_seconds + _PATIENCE
        request = urllib.request.Request(self._url, data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            content = response.read(most + 1)
        if len(content) > most:
            raise ValueError(f"an answer of more than {most:,} bytes")
        return json.loads(content)


def _run_of(answer: Any, limits: Limits) -> Run:
    """Raises SandboxFault if the answer does not describe a run."""
    try:
        return Run(
            status=Status(answer["status"]),
            exit_code=int(answer["exit_code"]),
            stdout=str(answer["stdout"])[: limits.output_bytes],
            stderr=str(answer["stderr"])[: limits.output_bytes],
            seconds=float(answer.get("seconds", 0.0)),
            asleep=float(answer.get("asleep", 0.0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SandboxFault(f"the answer does not describe a run: {type(error).__name__} {error}") from error
