"""lmms-eval's messages as a sample of ours."""

from collections.abc import Mapping, Sequence
from typing import Any

from uniopd_mm.types import BadSample, Media, Message, Sample

PLACES = ("url", "path")  # where a part, or its url, names the medium


def sample_of(messages: Sequence[Mapping[str, Any]], name: str, domain: str) -> Sample:
    """A sample without an answer, system messages included.

    Args:
        messages: each with a role and a content, which is a text or a list of parts: {"type": "text", "text"} or
            {"type": KIND, "url": SOURCE} with further options of the medium's decoder, where SOURCE may be a mapping
            that holds the source under `url` or `path`, and options.
        name: what the sample is called, and where it is found.

    Raises:
        BadSample: not such messages.
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
    if isinstance(nested, Mapping):  # what lmms-eval makes of a document's own description of a clip
        given = {**{name: value for name, value in given.items() if name != "url"}, **nested}
        given.pop("type", None)
    source = next((given[place] for place in PLACES if given.get(place) is not None), None)
    if source is None:
        raise BadSample(f"a part of type {part['type']!r} without a url")
    options = {name: value for name, value in given.items() if name not in PLACES and value is not None}
    return Media(kind=str(part["type"]), source=source, options=options)
