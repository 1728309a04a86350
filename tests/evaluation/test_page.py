"""The page of a sweep."""

import re
from base64 import b64decode
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from invented_scores import failed, score

from uniopd_mm.evaluation.page import render, settings_lines, write_page
from uniopd_mm.evaluation.records import Paper, Score
from uniopd_mm.types import UserError

_VOID = {"meta", "img"}


class _Page(HTMLParser):
    """Checks that elements are nested rightly and collects texts by their tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.sources: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip():
            tags = [tag for tag in self._open if tag != "bdi"]  # isolates the direction of a text
            self.texts.setdefault(tags[-1], []).append(data)


def _scores() -> list[Score]:
    return [
        score("a", "uniopd_x", 40.0, settings={"temperature": 1.0, "engine": "vllm"}, extras={"pass@4": 61.25}),
        score("a", "uniopd_y", 20.0, paper=Paper(), departures=("8 of 30 questions",), seconds=12.3),
        failed("a", "uniopd_z", "no space left on the device"),
    ]


def test_the_page_has_table_pictures_failures_settings_and_the_manifest() -> None:
    page = _Page(render(_scores(), {"commit": "0123abc", "versions": {"torch": "2.13"}}, title="paper16"))
    assert page.texts["h1"] == ["paper16"]
    assert page.texts["h2"] == ["Scores", "Failures", "Pictures", "How it was measured"]
    assert {"x", "40.0 ± 1.0", "20.0 ± 1.0*", "failed", "all, mean of 2 of 3"} <= {*page.texts["td"]}
    assert "*: 8 of 30 questions: y" in page.texts["li"]
    assert "z (uniopd_z), a: no space left on the device" in "".join(page.texts["li"])
    assert "temperature: 1.0 · engine: vllm" in page.texts["td"] and "pass@4 61.2" in page.texts["td"]
    assert page.texts["dt"] == ["commit", "versions"] and page.texts["dd"] == ["0123abc", '{"torch": "2.13"}']


def test_pictures_are_in_the_page_and_nothing_is_fetched() -> None:
    text = render(_scores(), {})
    sources = _Page(text).sources
    assert len(sources) == 2 and all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(b64decode(source.partition(",")[2], validate=True).startswith(b"\x89PNG") for source in sources)
    assert "<script" not in text and not re.search(r"https?://", text)


def test_whatever_names_and_models_say_is_escaped() -> None:
    evil = '<script>alert("1")</script>'
    scores = [
        score(evil, evil, 10.0, title=evil, domain=evil, metric=evil, settings={evil: evil}, extras={evil: 1.0}),
        failed(evil, "uniopd_z", evil),
    ]
    samples = [dict.fromkeys(("task", "checkpoint", "prompt", "response", "target", "scores"), evil)]
    text = render(scores, {evil: evil}, title=evil, samples=samples)
    assert "<script" not in text and text.count("&lt;script&gt;") > 15
    page = _Page(text)
    assert page.texts["h1"] == [evil] and evil in page.texts["dd"]


def test_responses_are_shown_with_their_scores() -> None:
    samples: list[dict[str, Any]] = [
        {"task": "uniopd_x", "prompt": "1 + 1?", "response": "It is 3.", "target": 2, "scores": [0.0, 1.0]},
        {"task": "uniopd_y", "response": "a" * 9000 + "the end"},
    ]
    page = _Page(render(_scores(), {}, samples=samples))
    assert "score [0.0, 1.0]" in page.texts["span"]
    assert page.texts["pre"][:3] == ["1 + 1?", "It is 3.", "expected: 2"]
    assert page.texts["pre"][3].endswith("the end") and "[... 3007 characters ...]" in page.texts["pre"][3]


def test_settings_are_in_the_tables_order() -> None:
    lines = settings_lines(_scores())
    assert [(line.benchmark, line.size, line.value) for line in lines] == [
        ("x", "100 × 1", "40.0 ± 1.0"),
        ("y", "100 × 1", "20.0 ± 1.0*"),
        ("z", "100 × 1", "failed"),
    ]


@pytest.mark.parametrize("scores", [[], [failed("a", "uniopd_x", None)]], ids=["none", "failed"])
def test_a_sweep_without_a_value_has_a_page(scores: list[Score]) -> None:
    page = _Page(render(scores, {}))
    assert page.sources == [] and "Pictures" not in page.texts["h2"]


def test_the_file_is_utf8_whatever_is_in_it(tmp_path: Path) -> None:
    path = write_page(tmp_path, [score(title="\ud800 é")], {"odd": float("nan")}, title="\udfff")
    assert path.name == "report.html" and "? é" in path.read_text(encoding="utf-8")


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".report.html.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"report\.html: no space left on the device"):
        write_page(tmp_path, [], {})
