r"""Answers that look like numbers or products and are none: times, dates, scores, ranges, codes, names of points.

2:30 pm    3/4/2020    3-2    555-1234    007    HT    \overline{AB}
"""

import re
from enum import Enum, auto

from uniopd_mm.tasks.grading.math_spelling import without_text

LONGEST_CODE = 40
_TIME = re.compile(
    r"(?:at )?(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?)?\s*(?:o'?clock\s*)?"
    r"(?P<half>[ap]\.?\s?m\.?|noon|midnight|in the (?:morning|afternoon|evening)|at night)?(?:\s*\([^()]*\))?",
    re.IGNORECASE,
)
_DATE = re.compile(r"[0-9]{1,4}(?P<mark>[-/.])[0-9]{1,2}(?P=mark)[0-9]{1,4}")
_DASHED = re.compile(r"[0-9]+(?:\s*-\s*[0-9]+)+")
_ZEROS = re.compile(r"0[0-9]+")
_CAPITALS = re.compile(r"[A-Z]{2,12}")
_FIGURE = re.compile(
    r"\\(?P<kind>overline|overrightarrow|overleftrightarrow|vec|triangle|angle|widehat|square|odot|bar)\s*\{?\s*(?P<points>[A-Z]'*(?:\s?[A-Z]'*)*)\s*\}?"
)
_DIRECTED = frozenset({"overrightarrow", "vec"})


class Codes(Enum):
    """What is known of two texts of which one may be a code."""

    NONE = auto()  # neither is
    SAME = auto()
    DIFFERENT = auto()
    UNCLEAR = auto()
    NOT_EQUAL_AS_NUMBERS = auto()  # equal values make no equal answers; others are different


def compare_codes(reference: str, answer: str) -> Codes:
    """Whether two texts are the same code, where one of them at least is a code."""
    if max(len(reference), len(answer)) > LONGEST_CODE:
        return Codes.NONE
    texts = [without_text(text).strip(" .") for text in (reference, answer)]
    times = [_time(text) for text in texts]
    if all(times):
        return _same_time(*times)
    if any(times) and any(mark in texts[0] + texts[1] for mark in ":mM"):
        return Codes.NOT_EQUAL_AS_NUMBERS
    for pattern in (_DATE, _DASHED):
        found = [pattern.fullmatch(text) is not None for text in texts]
        if any(found):
            return _same_groups(*texts) if all(found) else Codes.NOT_EQUAL_AS_NUMBERS
    if _ZEROS.fullmatch(texts[0]) and texts[1].strip() != texts[0]:
        return Codes.NOT_EQUAL_AS_NUMBERS
    if all(_CAPITALS.fullmatch(text) for text in texts):
        return Codes.SAME if texts[0] == texts[1] else Codes.DIFFERENT
    return _same_figure(*texts)


def _time(text: str) -> tuple[int, int, int, str] | None:
    match = _TIME.fullmatch(text)
    if not match or not (match["minute"] or match["half"]) or int(match["hour"]) > 24:
        return None
    half = (match["half"] or "").lower().replace(".", "").replace(" ", "")
    late = half in ("pm", "noon") or "noon" in half or "evening" in half or ("night" in half and half != "midnight")
    named = "" if not half else "p" if late else "a"
    return int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0), named


def _same_time(first: tuple[int, int, int, str] | None, second: tuple[int, int, int, str] | None) -> Codes:
    assert first and second
    days = [_of_day(time) for time in (first, second)]
    if days[0] == days[1] and (first[3] == second[3] or {first[0] > 12, second[0] > 12} == {True, False}):
        return Codes.SAME
    if first[3] and second[3]:
        return Codes.SAME if days[0] == days[1] else Codes.DIFFERENT
    return Codes.SAME if first[:3] == second[:3] else Codes.DIFFERENT


def _of_day(time: tuple[int, int, int, str]) -> tuple[int, int, int]:
    hour, minute, second, half = time
    hour = hour % 12 + (12 if half == "p" else 0) if half and hour <= 12 else hour
    return hour, minute, second


def _same_groups(first: str, second: str) -> Codes:
    groups = [[group.lstrip("0") or "0" for group in re.split(r"\s*[-/.]\s*", text)] for text in (first, second)]
    return Codes.SAME if groups[0] == groups[1] else Codes.DIFFERENT


def _same_figure(first: str, second: str) -> Codes:
    """AB and BA are one segment, and two rays; of triangles in another order no one knows whether the order counts."""
    found = [_FIGURE.fullmatch(text) for text in (first, second)]
    if not found[0] or not found[1]:
        return Codes.NONE
    points = [re.findall("[A-Z]'*", match["points"]) for match in found if match]
    if points[0] == points[1]:
        return Codes.SAME if found[0]["kind"] == found[1]["kind"] else Codes.UNCLEAR
    if sorted(points[0]) != sorted(points[1]) or found[0]["kind"] in _DIRECTED:
        return Codes.DIFFERENT
    if found[0]["kind"] == "angle":
        return Codes.SAME if points[0] == points[1][::-1] else Codes.DIFFERENT
    return Codes.UNCLEAR
