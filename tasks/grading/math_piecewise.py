r"""Functions by cases, \begin{cases} x & x \ge 0 \\ -x & x < 0 \end{cases}, as values under conditions, and matrices
as rows of entries.
"""

import re

from uniopd_mm.tasks.grading.math_spelling import squeezed, without_text

_CASES = re.compile(r"\\begin\s*\{[dr]?cases\}(?P<rows>.*)\\end\s*\{[dr]?cases\}\s*", re.DOTALL)
_CONDITION_WORDS = re.compile(r"\b(?:if|when|for|where)\b|[,.]\s*$")
_ELSE = re.compile(r"otherwise|else")
_ROW_END = re.compile(r"\\\\(?:\[[^\]]*\])?|\\cr(?![a-z])")
MOST_ROWS = 12


def read_cases(text: str) -> dict[str, str] | None:
    """The values by their conditions; None where a text is no such function."""
    match = _CASES.fullmatch(text.strip())
    if not match:
        return None
    rows = [row for row in _ROW_END.split(match["rows"]) if row.strip()]
    pairs = [_row(row) for row in rows]
    if not pairs or len(pairs) > MOST_ROWS or None in pairs:
        return None
    return {pair[1]: pair[0] for pair in pairs if pair}


_MATRIX = re.compile(
    r"[\[(]?\s*\\begin\s*\{(?:[pbB]?matrix|smallmatrix|array)\}(?:\{[lcr|]*\})?(?P<rows>.*)"
    r"\\end\s*\{(?:[pbB]?matrix|smallmatrix|array)\}\s*[\])]?",
    re.DOTALL,
)
MOST_ENTRIES = 64


def read_matrix(text: str) -> list[list[str]] | None:
    """The entries of a matrix by rows; None where a text is no matrix of texts."""
    match = _MATRIX.fullmatch(text.strip())
    if not match or r"\begin" in match["rows"]:
        return None
    rows = [row.split("&") for row in _ROW_END.split(match["rows"]) if row.strip()]
    entries = [entry for row in rows for entry in row]
    return [[entry.strip() for entry in row] for row in rows] if 0 < len(entries) <= MOST_ENTRIES else None


def _row(row: str) -> tuple[str, str] | None:
    value, mark, condition = row.partition("&")
    if not mark:
        return None
    condition = _CONDITION_WORDS.sub(" ", without_text(condition.replace("&", " "))).strip()
    return value.strip().strip(","), "else" if _ELSE.search(condition) else squeezed(condition)
