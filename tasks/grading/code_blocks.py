"""Finds the program in a response.

It is the last ```python block of the response, or its last block, after any `</think>`; where a function is tested, the
last that defines it, as blocks that only use it may follow. A block that is not closed reaches to the end. Without a
block there is no program. Only the last LONGEST_TEXT characters count.
"""

import re
from textwrap import dedent

LONGEST_TEXT = 400_000
_FENCE = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)([^\n`]*+)$", re.MULTILINE)  # possessive: in linear time, whatever comes
_PYTHON = re.compile(r"\{?\.?(?:python3?|py)\b", re.IGNORECASE)


def extract_code(response: str, function: str = "") -> str | None:
    """The program in a response, None where it has no block of code that is not empty. `function` is the one tested,
    which may be a method of `Solution`."""
    filled = [(label, code) for label, code in _blocks(response) if code.strip()]
    programs = [code for label, code in filled if _PYTHON.match(label)] or [code for _, code in filled]
    defines = re.compile(rf"^[ \t]*+(?:async[ \t]++)?def[ \t]++{re.escape(function)}\b", re.MULTILINE)
    complete = [code for code in programs if function and defines.search(code)]
    return next(reversed(complete or programs), None)


def _blocks(response: str) -> list[tuple[str, str]]:
    """(label, code) of each block; the code of a block that is indented, as in a list, is moved to the left."""
    text = response[response.rfind("</think>") + len("</think>") :] if "</think>" in response else response
    text = text[-LONGEST_TEXT:]
    blocks: list[tuple[re.Match[str], str]] = []
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
        elif not fence[2].strip() and fence[1][0] == opening[1][0] and len(fence[1]) >= len(opening[1]):
            blocks.append((opening, text[opening.end() : fence.start()]))
            opening = None
    if opening is not None:
        blocks.append((opening, text[opening.end() :]))
    return [(fence[2].strip(), dedent(code) if fence[0][0] in " \t" else code) for fence, code in blocks]
