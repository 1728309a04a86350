"""Rows with several columns that could be the answer: read if these agree, refused if they differ."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from uniopd_mm.tasks.grading.answers import last_boxed, last_tagged
from uniopd_mm.tasks.grading.choices import read_label
from uniopd_mm.tasks.grading.values import is_absent, quote
from uniopd_mm.tasks.reading.columns import find, has, picked
from uniopd_mm.tasks.reading.options import read_options
from uniopd_mm.tasks.reading.shapes.plain import FINAL_ANSWERS
from uniopd_mm.tasks.reading.shapes.seen import Seen, plain
from uniopd_mm.types import BadSample, UserError

# Columns beside `answer` that claim to be the answer too; `label` or `target` often are something else.
RIVALS = tuple(name for name in FINAL_ANSWERS if name not in ("answer", "answers", "target", "label", "labels"))


def check_answer(seen: Seen, columns: Mapping[str, str | list[str]], path: str) -> None:
    """Raises UserError if another column than the one that is read claims to be the answer, and says something else."""
    chosen = columns.get("answer", "answer")
    if isinstance(chosen, list) or not seen.values(chosen):
        return
    named = FINAL_ANSWERS if chosen != "answer" else RIVALS
    rivals = dict.fromkeys(column for name in named if (column := seen.actual(name)) and column != chosen)
    for rival in rivals:
        for row in seen.rows:
            if not _agree(row, chosen, rival, columns.get("choices", "choices")):
                one, other = quote(find(row, chosen), 30), quote(find(row, rival), 30)
                raise UserError(
                    f"data.path={path}: the answer could be column {chosen} ({one}) or column {rival} ({other}); give "
                    f"data.columns.answer={chosen} or data.columns.answer={rival}"
                )


def without_rivals(extras: Mapping[str, Any], answer: str | None) -> dict[str, Any]:
    """The columns that are written beside `answer`, without those that would claim to be the answer when read again."""
    row = {**extras, "answer": answer}
    return {
        name: cell
        for name, cell in extras.items()
        if plain(name) not in RIVALS or _agree(row, "answer", name, "choices")
    }


def _agree(row: Mapping[str, Any], one: str, other: str, options: str | list[str]) -> bool:
    """Whether two columns of a row give the same answer, as a text or as a choice. An empty one says nothing."""
    cells = [find(row, column) if has(row, column) else None for column in (one, other)]
    if any(is_absent(cell) for cell in cells):
        return True
    first, second = ({_plain(entry) for entry in (cell if isinstance(cell, list) else [cell])} for cell in cells)
    if first & second:
        return True
    with suppress(BadSample, KeyError):
        listed = read_options(picked(row, options))
        return listed is not None and read_label(cells[0], listed) == read_label(cells[1], listed)
    return False


def _plain(entry: Any) -> str:
    text = str(entry["answer"] if isinstance(entry, Mapping) and "answer" in entry else entry).strip()
    marked = last_tagged(text) or last_boxed(text) or text.rpartition("####")[2].strip() or text
    bare = marked.strip(" $.").casefold()
    with suppress(ValueError, OverflowError):
        return repr(float(bare))
    return bare
