"""Finds the program in a response.

It is the last ```python block of what the response says, or its last block; where a function is tested, the last that
defines it, as blocks that only use it may follow. Blocks that hold no program are passed over where another one does:
examples of input and output, sessions (">>>"), and blocks of another language. A block that is not closed reaches to
the end. Without a block there is no program. Only the last LONGEST_TEXT characters count.
"""

import ast
import re
from textwrap import dedent

from uniopd_mm.tasks.grading.spoken import spoken

LONGEST_TEXT = 400_000
LONGEST_PARSED = 10_000  # characters; a longer block is a program
DEEPEST_INDENT = 3  # blanks by which a closing fence may be further right than the opening one
_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([^\n`]*+)$", re.MULTILINE)  # possessive: in linear time, whatever comes
_OTHER = re.compile(
    r"(?:text|txt|plaintext|output|input|console|bash|sh|shell|json|cpp|c\+\+|c|java|js)\b", re.IGNORECASE
)
_PYTHON = re.compile(r"\{?\.?(?:python3?|py)\b", re.IGNORECASE)


def extract_code(response: str, function: str = "") -> str | None:
    """The program in a response, None where it has no block of code that is not empty. `function` is the one tested,
    which may be a method of `Solution`."""
    filled = [(label, code) for label, code in _blocks(response) if code.strip()]
    named = [code for label, code in filled if _PYTHON.match(label)]
    programs = named or [code for label, code in filled if not _OTHER.match(label)] or [code for _, code in filled]
    name = re.escape(function)
    defines = re.compile(
        rf"^[ \t]*+(?:(?:async[ \t]++)?def[ \t]++{name}\b|{name}[ \t]*+(?::[^=\n]++)?=(?!=))", re.MULTILINE
    )
    complete = [code for code in programs if function and defines.search(code)]
    return _last_program(complete or programs, strict=not named)


def _last_program(blocks: list[str], *, strict: bool) -> str | None:
    """The last block that is a program, or the last one if none is. `strict`: blocks that are no Python are none."""
    if len(blocks) < 2:
        return blocks[0] if blocks else None
    return next((code for code in reversed(blocks) if _is_program(code, strict)), blocks[-1])


def _is_program(code: str, strict: bool) -> bool:
    if len(code) > LONGEST_PARSED:
        return True
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return not strict and not code.lstrip().startswith(">>>")
    return any(not isinstance(node, ast.Expr) or isinstance(node.value, ast.Call) for node in body)


def _blocks(response: str) -> list[tuple[str, str]]:
    """(label, code) of each block; the code of a block that is indented, as in a list, is moved to the left."""
    text = (spoken(response) or "")[-LONGEST_TEXT:]
    blocks: list[tuple[re.Match[str], str]] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif _closes(fence, opening):
            blocks.append((opening, text[opening.end() : fence.start()]))
            opening = None
    if opening is not None:
        blocks.append((opening, text[opening.end() :]))
    return [(fence[2].strip(), dedent(code) if fence[0][0] in " \t" else code) for fence, code in blocks]


def _closes(fence: re.Match[str], opening: re.Match[str]) -> bool:
    """Whether a fence ends the block: it is as long, has no label, and does not stand deep in the block's own text."""
    same = not fence[2].strip() and fence[1][0] == opening[1][0] and len(fence[1]) >= len(opening[1])
    return same and _indent(fence) <= _indent(opening) + DEEPEST_INDENT


def _indent(fence: re.Match[str]) -> int:
    text = fence[0].expandtabs(4)
    return len(text) - len(text.lstrip())
