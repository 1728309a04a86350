"""What a cell is, by its content alone."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shape_parts import BASE64, RED, URI

from uniopd_mm.tasks.reading.columns import has, picked
from uniopd_mm.tasks.reading.kinds import KIND_OF_SUFFIX, base64_bytes, embedded, is_chat, kind_of, may_be_medium
from uniopd_mm.tasks.reading.options import read_options
from uniopd_mm.types import BadSample

MP4 = b"\0\0\0\x20ftypisom" + bytes(80)
TURN = {"role": "user", "content": "q"}


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *(("a.png", "image"), ("A B/c.JPEG", "image"), ("clip.mkv", "video"), ("./x.y.mp4", "video")),
        *(("https://x.example/a.png?size=1", "image"), ("file:///a.webm", "video"), (URI, "image"), (BASE64, "image")),
        *((base64.b64encode(MP4).decode(), "video"), ("data:video/mp4;base64,AAAA", "video"), (RED, "image")),
        *((MP4, "video"), ({"bytes": RED, "path": None}, "image"), ({"bytes": None, "path": "a.mp4"}, "video")),
        *(({"image": "x"}, "image"), ({"video": ["a.png"], "fps": 2}, "video"), ({"url": "a.png"}, "image")),
        *(({"type": "image_url", "image_url": {"url": URI}}, "image"), ([None, "a.png"], "image")),
        *(("a word", None), (".png", None), ("what.is", None), ("", None), (7, None), (None, None), ([], None)),
        *(("see\na.png", None), (b"text", None), ({"image": True}, None), ({"a": "b"}, None), ("/9j/short", None)),
    ],
)
def test_kinds(value: Any, kind: str | None) -> None:
    assert kind_of(value) == kind


@given(
    st.text()
    | st.sampled_from(["a.", "x/", "http://h/", "data:image/", " "]).flatmap(lambda s: st.text().map(s.__add__))
)
def test_no_medium_is_passed_over(text: str) -> None:
    assert kind_of(text) is None or may_be_medium(text)
    assert all(may_be_medium(f"{text}.{suffix}") for suffix in KIND_OF_SUFFIX)


@given(st.binary(max_size=200))
def test_base64_is_media_only(content: bytes) -> None:
    text = base64.b64encode(content).decode()
    assert base64_bytes(text) in (None, content)
    assert base64_bytes(base64.b64encode(RED + content).decode()) == RED + content


def test_embedded() -> None:
    assert all(embedded(cell) for cell in (RED, URI, BASE64, {"image": RED}, [URI]))
    assert not any(embedded(cell) for cell in ("a.png", {"path": "a.png", "bytes": None}, [], None))


@pytest.mark.parametrize(
    ("value", "chat"),
    [
        *(([TURN], True), ('[{"role": "user", "content": "q"}]', True), ([{"from": "human", "value": "q"}], True)),
        *(([{"user": "q", "assistant": "a"}], True), ([], False), ("[{", False), ("q", False), ([TURN, "x"], False)),
        *(([{"role": None}], False), ('[{"a": 1}]', False), ([{"type": "text", "text": "q"}], False), (None, False)),
    ],
)
def test_chats(value: Any, chat: bool) -> None:
    assert is_chat(value) is chat


AB = {"A": "red", "B": "blue"}


@pytest.mark.parametrize(
    ("cell", "choices"),
    [
        *((["red", "blue"], AB), (("red", "blue"), AB), ({"A": "red", "B": "blue"}, AB), ("['red', 'blue']", AB)),
        *(('["red", "blue"]', AB), ("A. red\nB. blue", AB), ("(A) red (B) blue", AB), ("A) red\nB) blue", AB)),
        *(({"label": ["A", "B"], "text": ["red", "blue"]}, AB), ('{"A": "red", "B": "blue"}', AB)),
        *((["A. red", "B. blue"], AB), ("[]", None), ("", None), ([], None), (None, None)),
    ],
)
def test_choices(cell: Any, choices: Any) -> None:
    assert read_options(cell) == choices


@pytest.mark.parametrize("cell", ["red or blue", "B. red\nA. blue", "A. red", "__import__('os')", "[" * 5000, 7])
def test_what_is_no_list_of_choices_is_refused(cell: Any) -> None:
    with pytest.raises(BadSample):
        read_options(cell)


def test_places_that_may_be_empty() -> None:
    row = {"hint": None, "question": "q", "a": {"b": "c"}}
    assert picked(row, "{hint?}\n{question}") == "q"
    assert picked({"hint": "h", "question": "q"}, "{hint?}\n{question}") == "h\nq"
    assert picked(row, "{none?}{a.b}") == "c"
    assert picked(row, "{hint}{question}") is None
    assert not has(row, "{none}{question}")
    assert picked({"a": "x", "b": "", "c": float("nan")}, ["a", "b", "c"]) == ["x"]
