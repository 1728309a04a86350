"""The remote sandbox against a real server on this machine's loopback, which runs programs in a local sandbox."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import CodeProblem, Mode
from uniopd_mm.tasks.sandbox.limits import Limits, SandboxFault, Status
from uniopd_mm.tasks.sandbox.local import LocalSandbox
from uniopd_mm.tasks.sandbox.remote import RemoteSandbox
from uniopd_mm.types import UserError

SUM = CodeProblem(mode=Mode.STDIN, tests=(("3 4", "7"), ("20 22", "42")))
RIGHT = "```python\nprint(sum(map(int, input().split())))\n```"

Answer = Callable[[dict[str, Any]], tuple[int, bytes]]


class Server:
    """Answers as `answer` says, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer: Answer = run_locally
        self.requests: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append(request)
                code, body = outer.answer(request)
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/run"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


LOCAL = LocalSandbox(packages=())


def run_locally(request: dict[str, Any]) -> tuple[int, bytes]:
    with closing(LOCAL.runs(request["source"], [request["stdin"]], Limits(**request["limits"]))) as runs:
        return 200, json.dumps(asdict(next(runs))).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_it_grades_as_a_local_one(server: Server) -> None:
    sandbox = RemoteSandbox(server.url)
    assert grade_code(RIGHT, SUM, sandbox).correct is True
    assert [request["stdin"] for request in server.requests] == ["3 4", "20 22"]
    outcome = grade_code("```python\nprint(7)\n```", SUM, sandbox)
    assert (outcome.correct, outcome.reason) == (False, "test 2 of 2: wrong output '7\\n'")
    assert sandbox.level == "remote"


def test_limits_and_nothing_else_travel(server: Server) -> None:
    limits = Limits(cpu_seconds=1, wall_seconds=1.0)
    run = next(RemoteSandbox(server.url).runs("while True: pass", [""], limits))
    assert run.status is Status.TIME
    assert server.requests == [{"source": "while True: pass", "stdin": "", "limits": asdict(limits)}]


def test_after_a_failure_nothing_more_is_asked(server: Server) -> None:
    assert grade_code("```python\nprint(0)\n```", SUM, RemoteSandbox(server.url)).correct is False
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", 200),
        (b"[]", 200),
        (b'"' + b"x" * (13 << 20) + b'"', 200),
        (b"no JSON", 200),
        (b'{"status": "fine"}', 200),
        (b"", 404),
        (b"", 503),
    ],
)
def test_what_is_no_run_is_unknown_never_wrong(server: Server, body: bytes, code: int) -> None:
    server.answer = lambda request: (code, body)
    outcome = grade_code(RIGHT, SUM, RemoteSandbox(server.url, attempts=1))
    assert outcome.correct is None
    assert outcome.reason.startswith("sandbox: ")


def test_a_server_that_stumbles_is_asked_again(server: Server) -> None:
    replies = iter(
        [(503, b""), (200, json.dumps({"status": "ok", "exit_code": 0, "stdout": "7", "stderr": ""}).encode())]
    )
    server.answer = lambda request: next(replies)
    assert next(RemoteSandbox(server.url).runs("", [""], Limits())).stdout == "7"


def test_nobody_there_is_a_fault(server: Server) -> None:
    server.close()
    with pytest.raises(SandboxFault, match="does not answer"):
        next(RemoteSandbox(server.url, attempts=1).runs("", [""], Limits()))


def test_other_urls_are_refused() -> None:
    with pytest.raises(UserError, match=r"sandbox\.url=file:///etc/passwd"):
        RemoteSandbox("file:///etc/passwd")
