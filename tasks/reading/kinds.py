"""What a cell of a row is, judged by its content alone: a chat, or media of a kind. Nothing is opened or decoded."""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from uniopd_mm.tasks.grading.values import is_absent

IMAGE, VIDEO = "image", "video"
_SUFFIXES = {
    IMAGE: "png jpg jpeg jfif webp gif bmp tif tiff avif heic heif svg ppm pgm",
    VIDEO: "mp4 m4v mkv webm avi mov flv mpg mpeg ts mts m2ts vob wmv 3gp ogv",
}
KIND_OF_SUFFIX = {suffix: kind for kind, suffixes in _SUFFIXES.items() for suffix in suffixes.split()}
_IMAGE_STARTS = (
    rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|BM.{4}\0\0\0\0|II\*\0|MM\0\*|RIFF.{4}WEBP|.{4}ftyp(?:avi[fs]|hei[cx]|mif1)"
)
_VIDEO_STARTS = rb".{4}ftyp|\x1a\x45\xdf\xa3|RIFF.{4}AVI |FLV\x01|\0\0\x01[\xba\xb3]|\x30\x26\xb2\x75|OggS"
_MAGIC = ((IMAGE, re.compile(_IMAGE_STARTS, re.DOTALL)), (VIDEO, re.compile(_VIDEO_STARTS, re.DOTALL)))
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16}")
_BASE64_STARTS = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "Qk", "AAAA", "GkXfo", "SUkqA", "TU0AK")
_SHORTEST_BASE64 = 64  # a file of fewer bytes is no medium, and a short word may begin like one
_LONGEST_PATH = 4096
MEDIA_KEYS = {"image": IMAGE, "image_url": IMAGE, "video": VIDEO, "video_url": VIDEO}


def kind_of(value: Any) -> str | None:
    """The kind of medium that a cell holds or names, None if it is no medium. A list is what its first entry is."""
    if isinstance(value, Image.Image):
        return IMAGE
    if isinstance(value, bytes):
        return kind_of_bytes(value)
    if isinstance(value, str):
        return _kind_of_text(value)
    if isinstance(value, Mapping):
        return _kind_of_object(value)
    if isinstance(value, list | tuple):
        return next((kind_of(entry) for entry in value if entry is not None), None)
    return None


def kind_of_bytes(content: bytes) -> str | None:
    """The kind of medium that encoded bytes are, by how they begin."""
    return next((kind for kind, magic in _MAGIC if magic.match(content[:32])), None)


def embedded(value: Any) -> bool:
    """Whether a cell holds its media itself, instead of naming them."""
    if isinstance(value, str):
        return value.startswith("data:") or base64_bytes(value) is not None
    if isinstance(value, Mapping):
        return any(embedded(inner) for inner in value.values())
    if isinstance(value, list | tuple):
        return any(embedded(entry) for entry in value)
    return isinstance(value, bytes | Image.Image)


def base64_bytes(text: str) -> bytes | None:
    """The media that a text holds as base64 without `data:`, None if it holds none."""
    if len(text) < _SHORTEST_BASE64 or not text.startswith(_BASE64_STARTS) or not _BASE64.match(text):
        return None
    try:
        content = base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        return None
    return content if kind_of_bytes(content) else None


def may_be_medium(text: str) -> bool:
    """Whether `kind_of` has to look at a text: it has a suffix, or begins like an address or encoded media."""
    return "." in text[-6:] or text.startswith(("data:", "http", *_BASE64_STARTS))


def is_url(text: str) -> bool:
    """Whether a text is an address on a network."""
    return text.startswith(("http://", "https://"))


def is_chat(value: Any) -> bool:
    """Whether a cell is a list of turns with their roles, or such a list as JSON text."""
    return chat_of(value) is not None


def chat_of(value: Any) -> list[Mapping[str, Any]] | None:
    """The turns of a chat, None if the cell is no chat."""
    if isinstance(value, str) and value.startswith("[{"):
        with suppress(ValueError, RecursionError):
            value = json.loads(value)
    if not isinstance(value, list) or not value:
        return None
    return value if all(isinstance(turn, Mapping) and _role(turn) for turn in value) else None


def _role(turn: Mapping[str, Any]) -> bool:
    said = {name for name, cell in turn.items() if not is_absent(cell)}
    return bool({"role", "from"} & said) or {"user", "assistant"} <= said


def _kind_of_text(text: str) -> str | None:
    for kind in (IMAGE, VIDEO):
        if text.startswith(f"data:{kind}/"):
            return kind
    if len(text) <= _LONGEST_PATH and "\n" not in text:
        name = urlsplit(text).path if is_url(text) else text
        stem, dot, suffix = name.rpartition(".")
        if stem and dot and (named := KIND_OF_SUFFIX.get(suffix.strip().lower())):
            return named
    content = base64_bytes(text)
    return None if content is None else kind_of_bytes(content)


def _kind_of_object(value: Mapping[str, Any]) -> str | None:
    if value.keys() <= {"bytes", "path"}:
        return kind_of(value.get("bytes")) or kind_of(value.get("path"))
    for key, kind in MEDIA_KEYS.items():
        if not is_absent(value.get(key)) and isinstance(value[key], str | bytes | list | Mapping | Image.Image):
            return kind
    return kind_of(value["url"]) if "url" in value else None


def leaves(cell: Any, place: str, depth: int = 8) -> Iterator[tuple[str, Any]]:
    """(place, value) of every value inside a cell that is no container, `depth` levels deep."""
    if isinstance(cell, Mapping) and depth:
        for name, value in cell.items():
            yield from leaves(value, f"{place}.{name}", depth - 1)
    elif isinstance(cell, list | tuple) and depth:
        for number, value in enumerate(cell):
            yield from leaves(value, f"{place}.{number}", depth - 1)
    else:
        yield place, cell


def texts_only(values: Sequence[Any]) -> bool:
    """Whether all values are texts or numbers."""
    return all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in values)
