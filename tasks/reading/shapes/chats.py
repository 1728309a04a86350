"""Rows that are chats: LLaVA, ShareGPT, OpenAI, ms-swift, LLaMA-Factory, the Cauldron.

    conversations | messages | ...   all turns; a last turn of the assistant is the answer
    system                           a system turn in front, in ShareGPT rows

Where a column holds the question as a text, chats are not looked at.
"""

from collections.abc import Mapping
from typing import Any

from uniopd_mm.tasks.reading.kinds import chat_of, is_chat
from uniopd_mm.tasks.reading.shapes.plain import FINAL_ANSWERS, QUESTIONS, WORKED_ANSWERS
from uniopd_mm.tasks.reading.shapes.seen import Seen, Shape, is_text

COLUMNS = ("messages", "conversations", "conversation", "body.messages", "dialog", "dialogue", "chat", "texts")
LOST = ("history", "tools", "functions")
_ROLES, _CONTENTS = ("role", "from"), ("content", "value", "assistant")
_ASSISTANT = ("assistant", "gpt", "model", "bot")
_NAMES = {"from": "conversations of LLaVA or ShareGPT", "role": "messages", "user": "pairs of user and assistant"}


def recognise(seen: Seen) -> Shape | None:
    """A chat in a column of its own, where no column holds the question as a text."""
    column = seen.first(COLUMNS, is_chat)
    if column is None or seen.first(QUESTIONS, lambda value: isinstance(value, str)):
        return None
    chats = seen.values(column)
    columns: dict[str, str | list[str]] = {"question": column}
    answered = [chat for chat in chats if isinstance(chat, list) and _is_answered(chat)]
    if answered and not seen.first((*FINAL_ANSWERS, *WORKED_ANSWERS)):
        columns["answer"] = f"{column}.-1.{_key(answered[0][-1], _CONTENTS)}"
    if (system := seen.first(("system", "system_prompt"), is_text)) is not None:
        columns["system_prompt"] = system
    first = (chat_of(chats[0]) or [{}])[0]
    return Shape(name=_NAMES[_key(first, (*_ROLES, "user"))], columns=columns, lost=LOST)


def _is_answered(chat: list[Mapping[str, Any]]) -> bool:
    last = chat[-1]
    return str(last.get("role") or last.get("from") or "assistant").lower() in _ASSISTANT


def _key(turn: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((key for key in keys if turn.get(key) is not None), keys[0])
