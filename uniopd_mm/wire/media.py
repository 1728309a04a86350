"""A prompt's media as one payload, named by its content: it is sent once, and then only named."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from torch import Tensor

from uniopd_mm.types import Prompt
from uniopd_mm.wire.codec import Malformed, pack, raw_bytes, unpack


class Needs(StrEnum):
    """Which form of a prompt's media an engine reads: the model's own arguments, or what vLLM preprocesses itself."""

    MEDIA = "media"
    ENGINE_MEDIA = "engine_media"


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaPayload:
    """Media in plain values, and their name. They are packed only where they are sent."""

    name: str
    media: Mapping[str, Any]

    def packed(self) -> bytes:
        return pack(self.media)


def payload_of(prompt: Prompt, needs: Needs) -> MediaPayload | None:
    """The prompt's media in that form; None where it has none.

    Raises:
        Malformed: a medium that cannot be sent.
    """
    media: Mapping[str, Any] = prompt.media
    if needs is Needs.ENGINE_MEDIA:
        media = {kind: [_plain(item) for item in items] for kind, items in prompt.engine_media.items()}
    return MediaPayload(name=name_of(media), media=media) if media else None


def name_of(value: Any) -> str:
    """A digest of plain values, tensors and arrays, which no two different contents share."""
    named = hashlib.sha256()
    _feed(named, value)
    return named.hexdigest()[:32]


def _feed(named: Any, value: Any) -> None:
    """Every part begins with its kind and its size, so that none can be read as the beginning of another."""
    if isinstance(value, Mapping):
        named.update(b"{%d" % len(value))
        for name in sorted(value):
            _feed(named, name)
            _feed(named, value[name])
    elif isinstance(value, (list, tuple)):
        named.update(b"[%d" % len(value))
        for item in value:
            _feed(named, item)
    elif isinstance(value, (Tensor, np.ndarray)):
        raw = raw_bytes(value)
        named.update(f"({value.dtype}{tuple(value.shape)}{len(raw)}".removeprefix("torch.").encode())
        named.update(raw)
    else:
        text = json.dumps(value.item() if isinstance(value, np.generic) else value).encode()
        named.update(b"<%d" % len(text))
        named.update(text)


def _plain(item: Any) -> Any:
    """One medium as an array: a picture through numpy's array interface, or frames with their metadata."""
    if isinstance(item, tuple):
        frames, metadata = item
        return [np.asarray(frames), dict(metadata)]
    return np.asarray(item)


def with_media(prompt: Prompt, media: Mapping[str, Any] | None, needs: Needs) -> Prompt:
    """The prompt with what `read_payload` gave."""
    if media is None:
        return prompt
    return replace(prompt, media=media) if needs is Needs.MEDIA else replace(prompt, engine_media=media)


def read_payload(name: str, content: bytes, needs: Needs) -> Mapping[str, Any]:
    """Raises Malformed where the content has another name, or is not media in the form that is needed."""
    media = unpack(content)
    if not isinstance(media, dict) or not all(isinstance(key, str) for key in media):
        raise Malformed("media that are no mapping from names")
    if name_of(media) != name:
        raise Malformed(f"media {name} are others than their name says")
    if needs is Needs.ENGINE_MEDIA:
        return {kind: _items(kind, items) for kind, items in media.items()}
    for key, tensor in media.items():
        if not isinstance(tensor, Tensor):
            raise Malformed(f"media {key} is no tensor: this server needs the model's own arguments")
    return media


def _items(kind: str, items: Any) -> Sequence[Any]:
    if not isinstance(items, list):
        raise Malformed(f"media of kind {kind} are no list: this server needs decoded media by kind")
    return [_item(kind, item) for item in items]


def _item(kind: str, item: Any) -> Any:
    if isinstance(item, np.ndarray):
        return item
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], np.ndarray) and isinstance(item[1], dict):
        return item[0], item[1]
    raise Malformed(f"a medium of kind {kind} is neither an array nor one with its metadata")
