r"""The choices of a row, in the forms that files have them in.

    ["red", "blue"], {"A": "red"}           a list or an object
    "['red', 'blue']", '["red", "blue"]'    the same as a text: Python's, as in MMMU, or JSON
    "A. red\nB. blue", "(A) red (B) blue"   a text with labels
    {"label": ["A", "B"], "text": [...]}    ARC, OpenBookQA

Other texts are no choices.
"""

import ast
import json
import re
from collections.abc import Mapping
from typing import Any

from uniopd_mm.tasks.grading.choices import read_choices
from uniopd_mm.tasks.grading.values import is_absent

_LONGEST = 20_000
_LABEL = re.compile(r"(?:^|\s)(?:\(([A-Z])\)|([A-Z])[.):])\s")


def read_options(cell: Any) -> dict[str, str] | None:
    """The choices of a cell as {label: text}, None if it is empty, or a text of an empty list. Raises BadSample if
    they cannot be shown as choices."""
    value = _parsed(cell) if isinstance(cell, str) else cell
    if is_absent(value):
        return None
    if isinstance(value, Mapping) and isinstance(value.get("text"), list) and isinstance(value.get("label"), list):
        value = dict(zip(map(str, value["label"]), value["text"], strict=False))
    return read_choices(value)


def _parsed(text: str) -> Any:
    """What a text holds, or the text itself."""
    if len(text) > _LONGEST:
        return text
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        if isinstance(value, list | tuple | dict):
            return value
    return _labelled(text) or text


def _labelled(text: str) -> list[str]:
    """The texts behind the labels A, B, C … in their order; empty if the text has no such labels."""
    marks = list(_LABEL.finditer(text))
    labels = "".join(mark[1] or mark[2] for mark in marks)
    if len(marks) < 2 or not "ABCDEFGHIJKLMNOPQRSTUVWXYZ".startswith(labels):
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [text[mark.end() : end].strip() for mark, end in zip(marks, ends, strict=True)]
