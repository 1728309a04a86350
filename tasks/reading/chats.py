"""Chats in rows: several turns of system, user and assistant, as a list of objects.

    {"role": "user", "content": "..."}                OpenAI; the content may be a list of parts
    {"from": "human", "value": "<image>\\n..."}        ShareGPT and LLaVA
    {"user": "...", "assistant": "..."}               two turns, as in the Cauldron
    {"type": "text", "text": "..."}                   a part; also {"type": "image"} and {"type": "video"}, which stand
                                                      for the row's media or bring their own:
    {"type": "image_url", "image_url": {"url": X}}    OpenAI
    {"type": "video", "video": X, "fps": 2}           Qwen, with options of the decoder
    {"type": "image", "index": 0}                     TRL; the row's first image

In a text, <image> and <video> stand for the next medium of the kind, <image 2> for the second one. Where a row has only
videos, <image> stands for a video, as in LLaVA-Video.

The last turn is asked. One assistant turn after it answers it, and is no part of the prompt. All other turns are
context. What a prompt cannot keep (other roles, calls of tools, other kinds of parts) makes the row unusable.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from uniopd_mm.tasks.grading.values import is_absent, quote
from uniopd_mm.tasks.reading.columns import NO_COLUMNS
from uniopd_mm.tasks.reading.kinds import VIDEO, chat_of
from uniopd_mm.tasks.reading.media import KINDS
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.types import BadSample, Media, Message

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
_ROLES = {SYSTEM: SYSTEM, USER: USER, "human": USER, ASSISTANT: ASSISTANT, "gpt": ASSISTANT, "model": ASSISTANT}
_TOOLS = ("tool_calls", "function_call", "tool_call_id", "reasoning_content", "audio")  # keys of a turn
_FIELDS = {kind: name for name, kind in KINDS.items()}  # from a kind of medium to the row's field
_PLACE = re.compile(r"<(image|video)(?:[ _]?(\d{1,3}))?>")


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
    value = chat_of(value) or value
    system = [Turn(role=SYSTEM, text=row.text("system_prompt"))] if "system_prompt" in row.fields else []
    if not (isinstance(value, list) and value and all(isinstance(turn, Mapping) for turn in value)):
        return Chat(turns=(*system, Turn(role=USER, text=row.text(name))))
    label = row.label(name)
    cells: dict[str, list[Any]] = {}
    said = [turn for entry in value for turn in _sides(entry)]
    turns = [_turn(f"{label}: turn {number}", turn, cells) for number, turn in enumerate(said, 1)]
    turns = turns if any(turn.role == SYSTEM for turn in turns) else system + turns
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
    """The turns with their media in place. Media of a kind that no turn has a place for open the first user turn, and
    so do media whose number no place has where places have numbers.

    Raises:
        BadSample: the turns have places for a kind of medium, but more or fewer than there are media.
    """
    texts = _for_videos([turn.text for turn in turns], media)
    waiting = {kind: _order(kind, texts, media) for kind in KINDS.values()}
    placed = {id(medium) for order in waiting.values() for medium in order}
    following = {kind: iter(order) for kind, order in waiting.items()}
    opening = next(number for number, turn in enumerate(turns) if turn.role == USER)
    messages = [
        Message(role=turn.role, content=tuple(_in_place(text, following)))
        for turn, text in zip(turns, texts, strict=True)
    ]
    first = tuple(medium for medium in media if id(medium) not in placed)
    messages[opening] = replace(messages[opening], content=first + messages[opening].content)
    return tuple(messages)


def _for_videos(texts: list[str], media: Sequence[Media]) -> list[str]:
    """The texts with <video> for <image>, where all media are videos and each <image> can stand for one of them."""
    places = [match for text in texts for match in _PLACE.finditer(text)]
    if not media or any(medium.kind != VIDEO for medium in media) or len(places) != len(media):
        return texts
    return [_PLACE.sub("<video>", text) if not any(match[2] for match in places) else text for text in texts]


def _order(kind: str, texts: Sequence[str], media: Sequence[Media]) -> list[Media]:
    """The media of a kind in the order of their places; a medium whose number stands twice is there twice."""
    given = [medium for medium in media if medium.kind == kind]
    numbers = [match[2] for text in texts for match in _PLACE.finditer(text) if match[1] == kind]
    if not any(numbers):
        if numbers and len(numbers) != len(given):
            raise BadSample(f"the question needs {len(numbers)} media for <{kind}>, but the row has {len(given)}")
        return given if numbers else []
    if not all(numbers):
        raise BadSample(f"the question has both <{kind}> and <{kind} {next(filter(None, numbers))}>")
    first = min(1, *map(int, numbers)) if len(numbers) > 1 else min(1, int(numbers[0]))
    places = [int(number) - first for number in numbers]
    if max(places) >= len(given):
        raise BadSample(f"the question needs {max(places) + 1} media for <{kind} N>, but the row has {len(given)}")
    return [given[place] for place in places]


def _in_place(text: str, waiting: Mapping[str, Iterator[Media]]) -> Iterator[str | Media]:
    """Text and media in reading order. A line break after media that have a line of their own is left out."""
    end, alone = 0, False
    for match in _PLACE.finditer(text):
        before = text[end : match.start()]
        if kept := before.removeprefix("\n") if alone else before:
            yield kept
        yield next(waiting[match[1]])
        alone = before.endswith("\n") or (not before and (alone or not end))
        end = match.end()
    if kept := text[end:].removeprefix("\n") if alone else text[end:]:
        yield kept


def _sides(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The turns of an entry: two if it has what both sides say."""
    if {"role", "from"} & entry.keys() or not {USER, ASSISTANT} <= entry.keys():
        return [entry]
    return [{"role": side, "content": entry[side]} for side in (USER, ASSISTANT)]


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
    implied = next((kind for kind in _FIELDS if kind in said), "text")
    kind = str(said.pop("type", implied)).removeprefix("input_").removesuffix("_url")
    text = said.pop("text", "" if kind in _FIELDS else None)
    number = said.pop("index", None) if kind in _FIELDS else None
    if kind in _FIELDS and text == "":
        given = next((name for name in (kind, f"{kind}_url", "url", "path", "bytes") if name in said), None)
        if given is not None:
            cells.setdefault(_FIELDS[kind], []).append(_cell(kind, said.pop(given), said))
        elif said:
            raise BadSample(f"{where} must consist of text and media, got {next(iter(said))} in {quote(part)}")
        return f"<{kind} {number + 1}>" if isinstance(number, int) and given is None else f"<{kind}>"
    if kind != "text" or not isinstance(text, str) or said:
        shown = f"{next(iter(said))} in {quote(part)}" if said and isinstance(text, str) else quote(part)
        raise BadSample(f"{where} must consist of text and media, got {shown}")
    return text


def _cell(kind: str, value: Any, options: Mapping[str, Any]) -> Any:
    """A medium of a part as the cell of a row, with the options that stand beside it."""
    inner = value["url"] if isinstance(value, Mapping) and set(value) - {"detail"} == {"url"} else value
    return {kind: inner, **options} if options or isinstance(inner, list) else inner
