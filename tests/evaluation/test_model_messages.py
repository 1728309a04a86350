"""lmms-eval's messages as samples."""

from typing import Any

import pytest

from uniopd_mm.evaluation.messages import sample_of
from uniopd_mm.types import BadSample, Media, Message, Sample


def read(*content: Any, role: str = "user") -> Message:
    (message,) = sample_of([{"role": role, "content": list(content)}], "t/3", "t").messages
    return message


def test_texts_and_media_keep_their_order() -> None:
    picture = object()  # of whatever library: it is not looked at
    parts = [{"type": "text", "text": "Look:"}, {"type": "image", "url": picture}, {"type": "text", "text": "What?"}]
    assert read(*parts).content == ("Look:", Media(kind="image", source=picture), "What?")


def test_a_content_may_be_a_text() -> None:
    sample = sample_of([{"role": "system", "content": "Be short."}, {"role": "user", "content": "Why?"}], "t/3", "t")
    assert sample == Sample(
        sample_id="t/3",
        domain="t",
        messages=(Message(role="system", content=("Be short.",)), Message(role="user", content=("Why?",))),
        answer=None,
        source="t/3",
    )


def test_what_stands_beside_a_medium_are_options_of_its_decoder() -> None:
    clip = {"type": "video", "url": "/a.mp4", "max_frames": 8, "fps": None}
    assert read(clip).content == (Media(kind="video", source="/a.mp4", options={"max_frames": 8}),)


@pytest.mark.parametrize("place", ["url", "path"])
def test_a_url_may_describe_a_clip(place: str) -> None:
    clip = {"type": "video", place: "/a.mp4", "video_start": 1.5, "video_end": 4}
    expected = Media(kind="video", source="/a.mp4", options={"video_start": 1.5, "video_end": 4})
    assert read({"type": "video", "url": clip}).content == (expected,)
    assert read(clip).content == (expected,)


def test_options_of_the_part_and_of_its_url_are_put_together() -> None:
    part = {"type": "video", "url": {"path": "/a.mp4", "video_start": 1.5}, "max_frames": 8}
    assert read(part).content == (Media(kind="video", source="/a.mp4", options={"max_frames": 8, "video_start": 1.5}),)


def test_a_medium_without_a_place_is_named() -> None:
    with pytest.raises(BadSample, match="a part of type 'video' without a url"):
        read({"type": "video", "url": None})
