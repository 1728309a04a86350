"""Ends connections on which the head of a request does not arrive in time, so that slow clients cannot hold them.

Left out: the body of a request (app.py), and idle connections, which uvicorn closes.
"""

import asyncio
from typing import cast

from uvicorn.protocols.http.h11_impl import H11Protocol


def http_protocol(seconds: float) -> type[asyncio.Protocol]:
    """uvicorn's protocol with this deadline for each head. It is h11's, which also limits a head to 64 kB."""

    class PatientProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._expect_head()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._waits_for_head():
                self._expect_head()
            else:
                self._forget_deadline()

        def connection_lost(self, exc: Exception | None) -> None:
            self._forget_deadline()
            super().connection_lost(exc)

        def _waits_for_head(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        def _expect_head(self) -> None:
            """The deadline runs from the first byte of a head, or from the connection."""
            if self._deadline is None:
                self._deadline = self.loop.call_later(seconds, self._end)

        def _forget_deadline(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _end(self) -> None:
            self._deadline = None
            if self._waits_for_head():
                self.transport.close()

    return cast(type[asyncio.Protocol], PatientProtocol)
