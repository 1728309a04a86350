"""Converts lmms-eval's messages to a sample."""

from collections.abc import Mapping, Sequence
from typing import Any

from uniopd_mm.types import BadSample, Media, Message, Sample

SOURCE_KEYS = ("url", "path")  # keys of a part, or of its url, that hold the media source


def sample_of(messages: Sequence[Mapping[str, Any]], name: str, domain: str) -> Sample:
    """A sample without an answer, including system messages.

    Args:
        messages: each with a role and a content, which is a string or a list of parts. A part is {"type": "text",
            "text"} or {"type": KIND, "url": SOURCE}, with optional settings of the media decoder. SOURCE may also be a
            mapping that holds the source under `url` or `path`, and settings.
        name: the sample's id and source.

    Raises:
        BadSample: the messages have another form.
    """
    turns = tuple(Message(role=str(message["role"]), content=_content(message["content"])) for message in messages)
    return Sample(sample_id=name, domain=domain, messages=turns, answer=None, source=name)


def _content(content: str | Sequence[Mapping[str, Any]]) -> tuple[str | Media, ...]:
    return (content,) if isinstance(content, str) else tuple(map(_item, content))


def _item(part: Mapping[str, Any]) -> str | Media:
    if part["type"] == "text":
        return str(part["text"])
    given = {name: value for name, value in part.items() if name != "type"}
    nested = given.get("url")
    if isinstance(nested, Mapping):  # lmms-eval nests a document's own description of a clip here
        given = {**{name: value for name, value in given.items() if name != "url"}, **nested}
        given.pop("type", None)
    source = next((given[key] for key in SOURCE_KEYS if given.get(key) is not None), None)
    if source is None:
        raise BadSample(f"a part of type {part['type']!r} without a url")
    options = {name: value for name, value in given.items() if name not in SOURCE_KEYS and value is not None}
    return Media(kind=str(part["type"]), source=source, options=options)
