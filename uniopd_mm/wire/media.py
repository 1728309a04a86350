"""The media payload of a prompt, named by its content: it is sent once; later requests only name it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from torch import Tensor

from uniopd_mm.types import Prompt
from uniopd_mm.wire.codec import UNEXPECTED, Malformed, pack, raw_bytes, unpack


class Needs(StrEnum):
    """The form of media that an engine reads: the model's forward arguments, or decoded media for vLLM."""

    MEDIA = "media"
    ENGINE_MEDIA = "engine_media"


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaPayload:
    """Media as plain values, and their name. They are packed only when they are sent."""

    name: str
    media: Mapping[str, Any]

    def packed(self) -> bytes:
        return pack(self.media)


def payload_of(prompt: Prompt, needs: Needs) -> MediaPayload | None:
    """The prompt's media in that form; None if it has none.

    Raises:
        Malformed: a medium cannot be sent.
    """
    media: Mapping[str, Any] = prompt.media
    if needs is Needs.ENGINE_MEDIA:
        media = {kind: [_plain(item) for item in items] for kind, items in prompt.engine_media.items()}
    return MediaPayload(name=name_of(media), media=media) if media else None


def name_of(value: Any) -> str:
    """A digest of plain values, tensors and arrays. Different contents have different digests."""
    digest = hashlib.sha256()
    _update(digest, value)
    return digest.hexdigest()[:32]


def _update(digest: Any, value: Any) -> None:
    """Every part starts with its type and size, so that none is the beginning of another."""
    if isinstance(value, Mapping):
        digest.update(b"{%d" % len(value))
        for name in sorted(value):
            _update(digest, name)
            _update(digest, value[name])
    elif isinstance(value, (list, tuple)):
        digest.update(b"[%d" % len(value))
        for item in value:
            _update(digest, item)
    elif isinstance(value, (Tensor, np.ndarray)):
        raw = raw_bytes(value)
        digest.update(f"({value.dtype}{tuple(value.shape)}{len(raw)}".removeprefix("torch.").encode())
        digest.update(raw)
    else:
        text = json.dumps(value.item() if isinstance(value, np.generic) else value).encode()
        digest.update(b"<%d" % len(text))
        digest.update(text)


def _plain(item: Any) -> Any:
    """One medium as an array: an image through numpy's array interface, or frames with their metadata."""
    if isinstance(item, tuple):
        frames, metadata = item
        return [np.asarray(frames), dict(metadata)]
    return np.asarray(item)


def with_media(prompt: Prompt, media: Mapping[str, Any] | None, needs: Needs) -> Prompt:
    """The prompt with the media of `read_payload`."""
    if media is None:
        return prompt
    return replace(prompt, media=media) if needs is Needs.MEDIA else replace(prompt, engine_media=media)


def read_payload(name: str, content: bytes, needs: Needs) -> Mapping[str, Any]:
    """Raises Malformed if the content has another name, or is not media in the form that `needs` says."""
    media = unpack(content)
    if not isinstance(media, dict) or not all(isinstance(key, str) for key in media):
        raise Malformed("media are not a mapping by name")
    try:
        found = name_of(media)
    except UNEXPECTED as error:
        raise Malformed(f"media {name} hold what no medium has: {error}") from error
    if found != name:
        raise Malformed(f"the content of media {name} does not match its name")
    if needs is Needs.ENGINE_MEDIA:
        return {kind: _items(kind, items) for kind, items in media.items()}
    for key, tensor in media.items():
        if not isinstance(tensor, Tensor):
            raise Malformed(f"media {key} is not a tensor: this server needs the model's forward arguments")
    return media


def _items(kind: str, items: Any) -> Sequence[Any]:
    if not isinstance(items, list):
        raise Malformed(f"media of kind {kind} are not a list: this server needs decoded media by kind")
    return [_item(kind, item) for item in items]


def _item(kind: str, item: Any) -> Any:
    if isinstance(item, np.ndarray):
        return item
    if isinstance(item, list) and len(item) == 2 and isinstance(item[0], np.ndarray) and isinstance(item[1], dict):
        return item[0], item[1]
    raise Malformed(f"a medium of kind {kind} is neither an array nor an array with metadata")
