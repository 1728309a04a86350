r"""How the rows of any question-answering task become samples: the prompt and the answer.

    question   a text, or a chat of several turns (see `chats`), of which the last user turn is asked
    choices    a list, or an object {label: text}; `answer` is then a label, a text or a 0-based index
    video, images, caption    see `media`; the media are placed at <video> and <image> in the question, or before it
    answer     a text, a number or a truth value; if part of a text is marked by <answer>, \boxed{} or ####, that part
    id, split, pass_rate, response    optional
    video_start, video_end    optional; the part of the row's one video that is read, in seconds
    system_prompt    optional; a system turn before the question, unless its chat has one

All other columns go to the sample's metadata, except encoded media.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from uniopd_mm.tasks.grading.answers import last_boxed, last_tagged
from uniopd_mm.tasks.grading.choices import CHOICES, format_choices, read_label
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.tasks.reading.chats import SYSTEM, Chat, read_chat, with_media
from uniopd_mm.tasks.reading.columns import NO_COLUMNS
from uniopd_mm.tasks.reading.media import MEDIA_FIELDS, TIMES, read_media, written_media
from uniopd_mm.tasks.reading.options import read_options
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.shapes.answers import without_rivals
from uniopd_mm.tasks.reading.splits import read_split
from uniopd_mm.types import BadSample, Sample

FIELDS = (
    *("id", "question", CHOICES, "answer", *MEDIA_FIELDS, "video_start", "video_end"),
    *("split", "pass_rate", "response", "system_prompt"),
)
CONTENT = ("question", CHOICES, "answer", "video", "images")  # rows without ids are the same if these are the same


def read_sample(
    row: Row,
    *,
    domain: str,
    instruction: str,
    answer: str | None,
    choices: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] = NO_COLUMNS,
    fields: Collection[str] = FIELDS,
) -> tuple[Sample, str | None]:
    """The sample of a row and the split that the row declares. `answer` is None if the sample has tests instead.

    Raises:
        BadSample: the row cannot be used.
    """
    chat = read_chat(row)
    media = read_media(replace(row, fields={**row.fields, **chat.cells}))
    asked = chat.asking(_prompt_text(chat, choices, instruction))
    extras = _plain_cells(row.others)
    sample_id = row.identity((*CONTENT, *(name for name in fields if name not in FIELDS)))
    said = {name: cell for name, cell in row.standard(fields).items() if name not in (*MEDIA_FIELDS, *TIMES)}
    written = _plain_cells(said)
    sample = Sample(
        sample_id=sample_id,
        domain=domain,
        messages=with_media(asked.turns, media),
        answer=answer,
        source=row.where,
        pass_rate=row.share("pass_rate"),
        demonstration=row.text("response") if "response" in row.fields else chat.answer,
        metadata={**extras, **({CHOICES: dict(choices)} if choices else {}), **metadata},
        row=without_rivals(extras, answer)
        | written
        | {"id": sample_id, "question": chat.written()}
        | written_media(media),
    )
    return sample, read_split(row.fields.get("split"))


def read_choices_of(row: Row) -> dict[str, str] | None:
    """The row's choices, None if it has none. Raises BadSample if they cannot be shown as choices."""
    return read_options(row.fields[CHOICES]) if CHOICES in row.fields else None


def read_answer(row: Row, choices: Mapping[str, str] | None) -> str:
    """The answer: the label of a choice, or a text. Raises BadSample if there is none."""
    answer = answer_cell(row)
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]
    if choices:
        return read_label(marked(answer) if isinstance(answer, str) else answer, choices)
    return answer_text(row, answer)


def answer_cell(row: Row) -> Any:
    """The row's answer; the parts of an assistant's turn are joined. Raises BadSample if there is none, or if it would
    be the last turn of a chat that ends with the user's."""
    answer = row.need("answer")
    question, theirs = row.columns.get("question"), row.columns.get("answer")
    if isinstance(theirs, str) and theirs.startswith(f"{question}.-1.") and read_chat(row).answer is None:
        raise BadSample(f"no {row.label('answer')}: the chat ends with the user's turn")
    is_turn = isinstance(answer, list) and all(_is_part(part) for part in answer)
    return "".join(part["text"] for part in answer) if is_turn else answer


def answer_text(row: Row, answer: Any) -> str:
    """An open answer as text. Raises BadSample if it is neither a text, a number nor a truth value."""
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if not isinstance(answer, str | int | float):
        raise BadSample(f"{row.label('answer')} must be text, got {type(answer).__name__} {quote(answer)}")
    return marked(str(answer).strip())


def _is_part(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)


def marked(text: str) -> str:
    """The part that a worked answer marks as its result, or the whole text if it marks nothing.

    >>> marked("<answer>B</answer>"), marked("2 + 2 = 4, so 4. #### 4"), marked("left")
    ('B', '4', 'left')
    """
    return last_tagged(text) or last_boxed(text) or text.rpartition("####")[2].strip() or text


def _prompt_text(chat: Chat, choices: Mapping[str, str] | None, instruction: str) -> str:
    """Question, choices and instruction. The instruction is left out if the question or a system turn contains it."""
    told = [chat.question, *(turn.text for turn in chat.turns if turn.role == SYSTEM)]
    last = "" if any(instruction.strip() in text for text in told) else instruction
    return "\n".join(line for line in (chat.question, format_choices(choices) if choices else "", last) if line)


class _EncodedMedia(Exception):
    """The cell contains bytes, which should be neither in JSON nor in the metadata."""


def _plain_cells(cells: Mapping[str, Any]) -> dict[str, Any]:
    """The cells as JSON can hold them: dates and the like become text, and cells that contain bytes are left out."""
    plain = {}
    for name, cell in cells.items():
        with suppress(_EncodedMedia):
            plain[name] = _plain(cell)
    return plain


_AS_THEY_ARE = frozenset({str, int, float, bool, type(None)})


def _plain(cell: Any) -> Any:
    if type(cell) in _AS_THEY_ARE:
        return cell
    if isinstance(cell, dict):
        return {str(name): _plain(value) for name, value in cell.items()}
    if isinstance(cell, (list, tuple)):
        return [_plain(value) for value in cell]
    if isinstance(cell, bytes):
        raise _EncodedMedia
    return str(cell)
