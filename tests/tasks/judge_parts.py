"""An HTTP server on the loopback interface that takes the place of a judge's endpoint and answers as it is told."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from uniopd_mm.tasks.grading.answers import wrong
from uniopd_mm.tasks.grading.judge import Judge
from uniopd_mm.types import Outcome

WRONG = wrong("boxed: '5' is not 'five cm'")


class Endpoint:
    """What the server answers next, and what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.wait = 0.0
        self.ended = threading.Event()
        self.pieces = 1
        self.location: str | None = None
        self.requests: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.url = ""
        self.says("CORRECT")

    def says(self, text: object) -> None:
        self.body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def handler(endpoint: Endpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            endpoint.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            endpoint.headers.append(dict(self.headers))
            endpoint.paths.append(self.path)
            endpoint.ended.wait(endpoint.wait)
            self.send_response(endpoint.status)
            self.send_header("Content-Length", str(len(endpoint.body)))
            if endpoint.location:
                self.send_header("Location", endpoint.location)
            self.end_headers()
            with suppress(BrokenPipeError):  # the judge has gone
                self.send_body()

        def send_body(self) -> None:
            size = -(-len(endpoint.body) // endpoint.pieces) or 1
            for start in range(0, len(endpoint.body), size):
                self.wfile.write(endpoint.body[start : start + size])
                time.sleep(0.1 if endpoint.pieces > 1 else 0)

        do_GET = do_POST

        def log_message(self, *args: object) -> None:
            return

    return Handler


@contextmanager
def serving() -> Iterator[Endpoint]:
    told = Endpoint()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(told))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield told
    finally:
        told.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


def asked(judge: Judge, response: str = r"\boxed{5}", outcome: Outcome = WRONG, reference: str = "five cm") -> Outcome:
    return judge.judge("How long is it?", reference, response, outcome)
