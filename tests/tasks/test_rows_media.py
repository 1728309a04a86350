"""Media of rows in every shape a cell may have, where a prompt shows them, and how a sample writes them again."""

import base64
import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.reading.media import read_media
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import BadSample, Media, Sample


def png(color: str = "red") -> bytes:
    encoded = BytesIO()
    Image.new("RGB", (40, 30), color).save(encoded, "PNG")
    return encoded.getvalue()


RED, BLUE = png("red"), png("blue")
URI = f"data:image/png;base64,{base64.b64encode(RED).decode()}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "red.png").write_bytes(RED)
    (tmp_path / "clip.mp4").write_bytes(b"never opened here")
    return tmp_path


def row(folder: Path | None, **fields: Any) -> Row:
    return Row(where="rows:1", fields=fields, folder=None if folder is None else str(folder))


@pytest.mark.parametrize(
    ("cell", "source"),
    [
        ("red.png", "{}/red.png"),
        (["red.png", None, "red.png"], "{}/red.png"),
        ({"path": "red.png", "bytes": None}, "{}/red.png"),
        ({"path": "a mere name.png", "bytes": RED}, RED),
        ({"bytes": RED}, RED),
        (RED, RED),
        ((RED,), RED),
        (URI, URI),
    ],
)
def test_a_cell_in_every_shape(folder: Path, cell: Any, source: str | bytes) -> None:
    expected = source.replace("{}", str(folder)) if isinstance(source, str) else source
    media = read_media(row(folder, images=cell))
    assert {medium.source for medium in media} == {expected}
    assert {medium.kind for medium in media} == {"image"}


def test_a_decoded_picture_is_encoded_again(folder: Path) -> None:
    (medium,) = read_media(row(folder, images=Image.open(BytesIO(RED))))
    with Image.open(BytesIO(medium.source)) as again:
        assert (again.format, again.size, again.getpixel((0, 0))) == ("PNG", (40, 30), (255, 0, 0))
    one, other = (row(folder, images=Image.open(BytesIO(RED))).identity(["images"]) for _ in range(2))
    assert one == other != row(folder, images=Image.open(BytesIO(BLUE))).identity(["images"])


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("none.png", "images 'none.png': there is no such file"),
        ({"path": "none.png"}, "images 'none.png': there is no such file"),
        (b"", "images: 0 bytes"),
        ({"bytes": b"", "path": "red.png"}, "images: 0 bytes"),
        ({"bytes": None, "path": None}, "images must be a path or paths, got NoneType"),
        ({"url": "x"}, "images 'x': there is no such file"),
        ({"uri": "x"}, "images must be a path or paths, got dict"),
        ([[["red.png"]]], "images must be a path or paths, got list"),
        (7, "images must be a path or paths, got int"),
    ],
)
def test_a_cell_of_no_use_names_the_column(folder: Path, cell: Any, reason: str) -> None:
    with pytest.raises(BadSample) as error:
        read_media(row(folder, images=cell))
    assert reason in str(error.value)


def test_a_relative_path_needs_a_folder(folder: Path) -> None:
    with pytest.raises(BadSample, match=r"'red.png' is a relative path; give its folder as data.media_root"):
        read_media(row(None, images="red.png"))
    (medium,) = read_media(row(None, images=str(folder / "red.png")))
    assert medium.source == str(folder / "red.png")


def test_captions_belong_to_the_media_in_order(folder: Path) -> None:
    media = read_media(row(folder, images=["red.png", RED], video="clip.mp4", caption=["a clip", "one", "two"]))
    assert [(medium.kind, medium.caption) for medium in media] == [
        ("video", "a clip"), ("image", "one"), ("image", "two"),
    ]  # fmt: skip
    assert read_media(row(folder, images=RED, caption="red"))[0].caption == "red"
    for caption in ("red", ["red", None], ["1", "2", "3"], 3):
        with pytest.raises(BadSample, match="caption must be 2 texts, one for each medium"):
            read_media(row(folder, images=[RED, RED], caption=caption))


def read(folder: Path, **fields: Any) -> Sample:
    """The sample of one parquet row, which can hold bytes."""
    path = folder / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{"question": "q", "answer": "1", **fields}]), path)
    (sample,) = MathTask(rows=RowSource(path=str(path), validation_fraction=0), instruction="Think.").samples("train")
    return sample


def shown(sample: Sample) -> list[str]:
    """The prompt in reading order, a medium as its kind and first letter."""
    return [
        f"{part.kind} {'red' if part.source == RED else 'blue'}" if isinstance(part, Media) else part
        for part in sample.messages[-1].content
    ]


@pytest.mark.parametrize(
    ("question", "prompt"),
    [
        ("Find x.", ["image red", "image blue", "Find x.\nThink."]),
        ("<image><image>\nFind x.", ["image red", "image blue", "Find x.\nThink."]),
        ("Is <image> like <image>?", ["Is ", "image red", " like ", "image blue", "?\nThink."]),
        ("<image> or\n<image>", ["image red", " or\n", "image blue", "Think."]),
        ("What now? Think.", ["image red", "image blue", "What now? Think."]),
        (
            [{"role": "system", "content": "no"}, {"role": "user", "content": "<image>Which, <image>?"}],
            ["image red", "Which, ", "image blue", "?\nThink."],
        ),
    ],
)
def test_media_stand_where_the_question_says(folder: Path, question: Any, prompt: list[str]) -> None:
    assert shown(read(folder, question=question, images=[RED, BLUE])) == prompt


def test_a_chat_of_parts(folder: Path) -> None:
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "Find x."}]
    question = [{"role": "system", "content": [{"type": "text", "text": "old"}]}, {"role": "user", "content": parts}]
    assert shown(read(folder, question=question, images=[RED])) == ["image red", "Find x.\nThink."]


FAULTS = [
    ({"question": "<image> and <image>", "images": [RED]}, "the question needs 2 media for <image>, but the row has 1"),
    ({"question": "<image>"}, "the question needs 1 media for <image>, but the row has 0"),
    ({"question": "<video>?", "images": [RED]}, "the question needs 1 media for <video>, but the row has 0"),
    ({"question": [{"role": "assistant", "content": "x"}]}, "question: the chat has no user turn"),
    ({"question": [{"role": "user", "content": None}]}, "question: turn 1 must consist of text and media"),
    ({"question": [{"role": "user", "content": [{"type": "audio", "text": None}]}]}, "must consist of text and media"),
]


@pytest.mark.parametrize(("fields", "reason"), FAULTS)
def test_a_prompt_that_cannot_be_made_is_skipped(folder: Path, fields: dict[str, Any], reason: str) -> None:
    path = folder / "rows.jsonl"
    good = {"question": "q", "answer": "1"}
    images = {"images": [URI for _ in fields["images"]]} if "images" in fields else {}
    path.write_text("".join(f"{json.dumps(row)}\n" for row in (good, good | fields | images)), encoding="utf-8")
    corpus = MathTask(rows=RowSource(path=str(path), validation_fraction=0)).samples("train")
    assert len(corpus) == 1
    assert reason in corpus.skipped[0].reason


def test_stored_media_are_written_as_json_and_read_again(folder: Path) -> None:
    columns = {"blob": b"no medium", "parts": [{"x": b"no medium"}], "level": 3}
    sample = read(folder, images=[{"bytes": RED, "path": "x.png"}, {"bytes": None, "path": "red.png"}], **columns)
    assert sample.metadata == {"level": 3}
    written = json.loads(json.dumps(sample.row))
    assert written["images"][1] == str(folder / "red.png")
    elsewhere = folder / "elsewhere" / "rows.jsonl"
    elsewhere.parent.mkdir()
    elsewhere.write_text(json.dumps(written), encoding="utf-8")
    task = MathTask(rows=RowSource(path=str(elsewhere), validation_fraction=0), instruction="Think.")
    (again,) = task.samples("train")
    first, second = again.messages[0].content[:2]
    assert isinstance(first, Media) and isinstance(second, Media)
    assert base64.b64decode(first.source.partition(",")[2]) == RED
    assert second.source == str(folder / "red.png")
    assert replace(again, source="", messages=()) == replace(sample, source="", messages=())


def test_the_processor_reads_what_came_out(folder: Path, processor: QwenVLProcessor) -> None:
    stored = read(folder, images=[RED, BLUE])
    (folder / "blue.png").write_bytes(BLUE)
    named = read(folder, images=["red.png", "blue.png"])
    one, other = processor.encode(stored), processor.encode(named)
    assert one.token_ids.tolist() == other.token_ids.tolist()
    assert all(one.media[name].equal(other.media[name]) for name in one.media)
