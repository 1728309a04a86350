"""Chats in rows: several turns of system, user and assistant, as a list of objects.

    {"role": "user", "content": "..."}                OpenAI; the content may be a list of parts
    {"from": "human", "value": "<image>\\n..."}        ShareGPT and LLaVA
    {"type": "text", "text": "..."}                   a part; also {"type": "image"} and {"type": "video"}, which stand
    {"type": "image_url", "image_url": {"url": X}}    for the row's media or bring their own

The last turn is asked. One assistant turn after it answers it, and is no part of the prompt. All other turns are
context. What a prompt cannot keep (other roles, calls of tools, other kinds of parts) makes the row unusable.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from uniopd_mm.tasks.grading.values import is_absent, quote
from uniopd_mm.tasks.reading.columns import NO_COLUMNS
from uniopd_mm.tasks.reading.media import KINDS
from uniopd_mm.tasks.reading.rows import Row
from uniopd_mm.types import BadSample, Media, Message

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
_ROLES = {SYSTEM: SYSTEM, USER: USER, "human": USER, ASSISTANT: ASSISTANT, "gpt": ASSISTANT}
_TOOLS = ("tool_calls", "function_call", "tool_call_id", "reasoning_content", "audio")  # keys of a turn
_FIELDS = {kind: name for name, kind in KINDS.items()}  # from a kind of medium to the row's field
_PLACE = re.compile(r"<(image|video)>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What one side says. <image> and <video> in the text stand for media."""

    role: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chat:
    """The turns of a prompt, of which the last one is the user's, and the assistant's answer to it, if there is one.
    `cells` are the media that came with the turns, by the field that would hold them in the row."""

    turns: tuple[Turn, ...]
    answer: str | None = None
    cells: Mapping[str, Sequence[Any]] = field(default_factory=lambda: NO_COLUMNS)

    @property
    def question(self) -> str:
        """The text of the last turn."""
        return self.turns[-1].text

    def asking(self, question: str) -> Self:
        """The chat with another text in the last turn."""
        return replace(self, turns=(*self.turns[:-1], Turn(role=USER, text=question)))

    def written(self) -> str | list[dict[str, str]]:
        """The cell from which `read_chat` reads the same turns: a text if the only one is the user's."""
        if len(self.turns) == 1 and self.answer is None:
            return self.question
        answer = [] if self.answer is None else [Turn(role=ASSISTANT, text=self.answer)]
        return [{"role": turn.role, "content": turn.text} for turn in (*self.turns, *answer)]


def read_chat(row: Row, name: str = "question") -> Chat:
    """The chat of a field, or its text as the only turn.

    Raises:
        BadSample: the field is absent or neither of the two, or a turn cannot be kept.
    """
    value = row.need(name)
    if not (isinstance(value, list) and value and all(isinstance(turn, Mapping) for turn in value)):
        return Chat(turns=(Turn(role=USER, text=row.text(name)),))
    label = row.label(name)
    cells: dict[str, list[Any]] = {}
    turns = [_turn(f"{label}: turn {number}", turn, cells) for number, turn in enumerate(value, 1)]
    answer = turns.pop() if turns[-1].role == ASSISTANT else None
    if not any(turn.role == USER for turn in turns):
        raise BadSample(f"{label}: the chat has no user turn")
    if turns[-1].role != USER:
        raise BadSample(f"{label}: the chat must end with a user turn, or with one assistant turn that answers it")
    if answer and _PLACE.search(answer.text):
        raise BadSample(f"{label}: the last assistant turn contains a medium, which no response can")
    for media_field in cells:
        if media_field in row.fields:
            raise BadSample(f"{label}: the chat brings its own media, and so does {row.label(media_field)}")
    return Chat(turns=tuple(turns), answer=answer.text if answer else None, cells=cells)


def with_media(turns: Sequence[Turn], media: Sequence[Media]) -> tuple[Message, ...]:
    """The turns with their media in place. Media of a kind that no turn has a place for open the first user turn.

    Raises:
        BadSample: the turns have places for a kind of medium, but more or fewer than there are media.
    """
    places = [kind for turn in turns for kind in _PLACE.findall(turn.text)]
    for kind in KINDS.values():
        wanted, given = places.count(kind), sum(medium.kind == kind for medium in media)
        if wanted and wanted != given:
            raise BadSample(f"the question needs {wanted} media for <{kind}>, but the row has {given}")
    waiting = {kind: iter([medium for medium in media if medium.kind == kind]) for kind in KINDS.values()}
    opening = next(number for number, turn in enumerate(turns) if turn.role == USER)
    messages = [Message(role=turn.role, content=tuple(_in_place(turn.text, waiting))) for turn in turns]
    first = tuple(medium for medium in media if medium.kind not in places)
    messages[opening] = replace(messages[opening], content=first + messages[opening].content)
    return tuple(messages)


def _in_place(text: str, waiting: Mapping[str, Iterator[Media]]) -> Iterator[str | Media]:
    """Text and media in reading order. A line break after a medium is left out."""
    for number, piece in enumerate(_PLACE.split(text)):
        if number % 2:
            yield next(waiting[piece])
        elif kept := piece.removeprefix("\n") if number else piece:
            yield kept


def _turn(where: str, turn: Mapping[str, Any], cells: dict[str, list[Any]]) -> Turn:
    """The turn; media that it brings are added to `cells`. Raises BadSample if it cannot be kept as it is."""
    said = {str(name): value for name, value in turn.items() if not is_absent(value)}
    role = said.get("role", said.get("from"))
    if role is None:
        raise BadSample(f"{where} has no role")
    if str(role).lower() not in _ROLES:
        raise BadSample(f"{where} has role {quote(role)}; only system, user and assistant turns can be kept")
    if lost := [name for name in _TOOLS if name in said]:
        raise BadSample(f"{where} has {lost[0]}, which a prompt cannot keep")
    content = said.get("content", said.get("value"))
    parts = content if isinstance(content, list) else [content]
    text = "".join(_part(where, part, cells) for part in parts).strip()
    if not text:
        raise BadSample(f"{where} must consist of text and media, got {quote(content)}")
    return Turn(role=_ROLES[str(role).lower()], text=text)


def _part(where: str, part: Any, cells: dict[str, list[Any]]) -> str:
    """The part's text, or the place of its medium."""
    if isinstance(part, str):
        return part
    said = {str(name): value for name, value in part.items() if value is not None} if isinstance(part, Mapping) else {}
    kind = str(said.pop("type", "text")).removesuffix("_url")
    text = said.pop("text", "" if kind in _FIELDS else None)
    if kind in _FIELDS and text == "":
        given = [name for name in (kind, f"{kind}_url", "url", "path") if name in said]
        if given:
            cells.setdefault(_FIELDS[kind], []).append(_cell(said.pop(given[0])))
        text = f"<{kind}>"
    elif kind != "text":
        text = None
    if not isinstance(text, str) or said:
        shown = f"{next(iter(said))} in {quote(part)}" if said and isinstance(text, str) else quote(part)
        raise BadSample(f"{where} must consist of text and media, got {shown}")
    return text


def _cell(value: Any) -> Any:
    """A medium of a part as the cell of a row: {"url": X} is X, and file:// is left out."""
    inner = value["url"] if isinstance(value, Mapping) and value.keys() == {"url"} else value
    return inner.removeprefix("file://") if isinstance(inner, str) else inner
