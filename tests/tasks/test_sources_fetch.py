"""Media from the network: refused by default, and fetched into the cache with limits where that is allowed."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from shape_parts import RED

from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.reading import fetching
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Corpus, Media


class Pictures(BaseHTTPRequestHandler):
    """/red.png is a picture; other places are what can go wrong."""

    asked: list[str]

    def do_GET(self) -> None:
        type(self).asked.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", {"/to/file": "file:///etc/passwd", "/to/red": "/red.png"}[self.path])
            self.end_headers()
            return
        if self.path == "/missing.png":
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        content = {"/red.png": RED, "/red": RED, "/empty.png": b"", "/large.png": b"x" * 4096}[self.path]
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fetching, "MAX_BYTES", 2048)
    monkeypatch.setattr(fetching, "_failures", fetching.Counter())
    monkeypatch.setattr(Pictures, "asked", [], raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def read(folder: Path, *places: str, fetch: bool = True) -> Corpus:
    rows = [{"id": "good", "question": "q", "answer": "1"}]
    rows += [{"id": str(n), "question": "q", "answer": "1", "image": place} for n, place in enumerate(places)]
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return MathTask(rows=RowSource(path=str(path), validation_fraction=0, fetch=fetch), instruction="").samples("train")


def files(corpus: Corpus) -> list[Path]:
    return [Path(p.source) for sample in corpus for p in sample.messages[0].content if isinstance(p, Media)]


def test_nothing_is_fetched_unless_it_is_allowed(tmp_path: Path, host: str) -> None:
    (skip,) = read(tmp_path, f"{host}/red.png", fetch=False).skipped
    assert "is on the network; allow fetching with data.fetch=true, or download the file" in skip.reason
    assert Pictures.asked == []


def test_a_medium_is_fetched_once(tmp_path: Path, host: str) -> None:
    corpus = read(tmp_path, f"{host}/red.png", f"{host}/red", f"{host}/to/red")
    assert [file.read_bytes() for file in files(corpus)] == [RED] * 3
    assert files(corpus)[0].suffix == ".png" and files(corpus)[0].is_relative_to(tmp_path / "cache")
    asked = list(Pictures.asked)
    assert files(read(tmp_path, f"{host}/red.png", f"{host}/red", f"{host}/to/red")) == files(corpus)
    assert Pictures.asked == asked


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/missing.png", "404"),
        ("/empty.png", "0 bytes"),
        ("/large.png", "more than 0 MiB"),
        ("/to/file", "cannot be fetched"),
    ],
)
def test_what_cannot_be_fetched_is_a_skipped_row(tmp_path: Path, host: str, place: str, reason: str) -> None:
    (skip,) = read(tmp_path, f"{host}{place}").skipped
    assert reason in skip.reason and place in skip.reason
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()], "no half of a file is left"


def test_a_slow_answer_ends(tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "SECONDS", -1.0)
    (skip,) = read(tmp_path, f"{host}/red.png").skipped
    assert "not here after" in skip.reason


def test_a_host_that_is_down_is_not_asked_for_every_row(tmp_path: Path, host: str) -> None:
    places = [f"{host}/missing.png?{number}" for number in range(20)]
    Pictures.asked.clear()
    corpus = read(tmp_path, *places)
    assert len(corpus.skipped) == 20
    assert len(Pictures.asked) == fetching.MAX_FAILURES
    assert "failed 5 times in a row and is asked no more" in corpus.skipped[-1].reason
