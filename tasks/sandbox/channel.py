"""The grader's connection to a warden process: starts it, sends and receives frames, and ends it.

What a program has written is never parsed here, and it is decoded in pieces: a hostile output of any size delays the
other threads of the grader's process no more than a harmless one.
"""

import codecs
import json
import os
import select
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, final

from uniopd_mm.tasks.sandbox.limits import Limits, Run, SandboxFault, Status

_PATIENCE = 60.0  # seconds that a warden may take on top of the program's time
_PIECE = 1 << 18  # bytes
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"}


@final
class Channel:
    """A warden process with one job. Raises OSError if it cannot be started."""

    def __init__(self, command: Sequence[str], job: Mapping[str, Any]) -> None:
        self._command = command
        self._job = job

    def __enter__(self) -> "Channel":
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
            bufsize=0,
            start_new_session=True,
        )
        self._send(json.dumps(self._job).encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The warden ends when its input is closed, and its programs end with it."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, text: str, limits: Limits) -> Run:
        """The run on one input. Raises SandboxFault if there is none."""
        deadline = time.monotonic() + limits.longest_seconds + _PATIENCE
        self._send(text.encode("utf-8", "replace"))
        answer = json.loads(self._read(struct.unpack("<Q", self._read(8, deadline))[0], deadline))
        if "fault" in answer:
            raise SandboxFault(answer["fault"])
        stdout, stderr = (_text(self._read(answer[name], deadline)) for name in ("stdout", "stderr"))
        return Run(
            status=Status(answer["status"]),
            exit_code=answer["exit_code"],
            stdout=stdout,
            stderr=stderr,
            seconds=answer["seconds"],
            asleep=answer["asleep"],
        )

    def _send(self, body: bytes) -> None:
        assert self._process.stdin is not None
        try:
            for part in (struct.pack("<Q", len(body)), body):
                view = memoryview(part)
                while view:
                    view = view[self._process.stdin.write(view) :]
        except BrokenPipeError:
            raise SandboxFault(self._last_words()) from None

    def _read(self, size: int, deadline: float) -> bytearray:
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        parts = bytearray()
        while len(parts) < size:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise SandboxFault("the sandbox does not answer")
            part = os.read(descriptor, min(size - len(parts), 1 << 20))
            if not part:
                raise SandboxFault(self._last_words())
            parts += part
        return parts

    def _last_words(self) -> str:
        assert self._process.stderr is not None
        poll = select.poll()
        poll.register(self._process.stderr, select.POLLIN)
        words = os.read(self._process.stderr.fileno(), 1 << 16) if poll.poll(1000) else b""
        lines = words.decode("utf-8", "replace").strip().splitlines()
        return f"the sandbox ended: {lines[-1][:200] if lines else 'no message'}"


def _text(content: bytearray) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces = (content[start : start + _PIECE] for start in range(0, len(content), _PIECE))
    return "".join([*(decoder.decode(piece) for piece in pieces), decoder.decode(b"", final=True)])
