r"""Answers that a response marks: \boxed{…}, \fbox{…} and <answer>…</answer>."""

import re
from dataclasses import dataclass

_BRACES = re.compile(r"\\(?:boxed|fbox)\s*\{|\\.|[{}]", re.DOTALL)
_TAG = re.compile(r"</?answer>", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """The stripped content of a box or tag, and where the mark begins and ends in the text."""

    content: str
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Boxes:
    """All boxes that balance, in their order, without those that hold another box; `filled` leaves out empty ones.
    `cut_off`: a box with content begins behind them and does not end."""

    all: tuple[Mark, ...]
    cut_off: bool

    @property
    def filled(self) -> tuple[Mark, ...]:
        return tuple(box for box in self.all if box.content)


def boxes(text: str) -> Boxes:
    """The boxes of a text. Takes time linear in its length."""
    opened: list[tuple[int, int, bool]] = []  # where the mark begins, where its content begins, whether it is a box
    found: list[Mark] = []
    for match in _BRACES.finditer(text):
        if match[0].endswith("{") and match[0] != r"\{":
            opened.append((match.start(), match.end(), match[0] != "{"))
        elif match[0] == "}" and opened:
            begin, start, boxed = opened.pop()
            inner = bool(found) and found[-1].begin > begin and bool(found[-1].content)
            if boxed and not inner:
                found.append(Mark(content=text[start : match.start()].strip(), begin=begin, end=match.end()))
    last = found[-1].end if found else 0
    cut_off = any(boxed and begin >= last and text[start:].strip() for begin, start, boxed in opened)
    return Boxes(all=tuple(found), cut_off=bool(cut_off))


def last_boxed(text: str) -> str | None:
    r"""The content of the last \boxed{…} that balances and is not empty: "B" in r"\boxed{A \boxed{B}}"."""
    filled = boxes(text).filled
    return filled[-1].content if filled else None


def last_tagged(text: str) -> str | None:
    """The content of the last <answer>…</answer> that is not empty."""
    start: int | None = None
    last: str | None = None
    for match in _TAG.finditer(text):
        if not match[0].startswith("</"):
            start = match.end()
        elif start is not None:
            last = text[start : match.start()].strip() or last
            start = None
    return last
