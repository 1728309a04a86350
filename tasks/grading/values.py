"""Values from outside: whether they are empty, and how messages show them."""

import math


def quote(value: object, limit: int = 80) -> str:
    """A value on one line, quoted, with nothing unprintable, cut to `limit` characters before quoting."""
    text = str(value)
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def is_absent(value: object) -> bool:
    """Whether a cell is empty: null, NaN (pandas writes it for null), blank text, an empty list or object."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    if isinstance(value, str):
        return not value.strip()
    return isinstance(value, list | tuple | dict) and not value
