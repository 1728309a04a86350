"""How values from outside are shown inside a message."""


def quote(value: object, limit: int = 80) -> str:
    """A value on one line, quoted, with nothing unprintable, cut to `limit` characters before quoting."""
    text = str(value)
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
