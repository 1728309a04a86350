"""Rows of multiple choice: options in columns of their own, a hint before the question, an index as the answer.

    A B C D, option_a …, a0 a1 …   MMBench, many CSV files, NExT-QA
    image_1 … image_7              MMMU
    correct_choice_idx             A-OKVQA
    answers of ten people          VQAv2
    candidates, start, end         MVBench; elsewhere `start` and `end` may be the answer

A list of options comes before options in columns of their own.
"""

from string import ascii_lowercase, ascii_uppercase
from typing import Any

from uniopd_mm.tasks.reading.kinds import IMAGE, kind_of
from uniopd_mm.tasks.reading.shapes.seen import Seen, Shape, is_text

_LISTED = ("choices", "options", "option", "candidates")
_LETTERED = ("option_{}", "choice_{}", "op{}")
_NUMBERED = ("a{}", "option{}", "option_{}", "choice{}", "choice_{}")
_OPTIONS = (
    tuple(ascii_uppercase[:10]),
    *(tuple(form.format(letter) for letter in ascii_lowercase[:10]) for form in _LETTERED),
    *(tuple(form.format(number) for number in range(first, 10)) for form in _NUMBERED for first in (0, 1)),
)
_IMAGES = tuple(tuple(form.format(n) for n in range(1, 21)) for form in ("image_{}", "image{}"))
_INDEX = ("correct_choice_idx", "correct_idx", "answer_idx", "answer_id", "correct_answer_index")


def recognise(seen: Seen) -> Shape | None:
    """Each of these columns where the rows have it."""
    columns: dict[str, str | list[str]] = {}
    options = next((found for names in _OPTIONS if (found := _texts(seen, names))), [])
    listed = seen.first(_LISTED)
    if options and not listed:
        columns["choices"] = options
    pictures = next((found for names in _IMAGES if (found := seen.series(names))), [])
    if pictures and all(kind_of(cell) == IMAGE for column in pictures for cell in seen.values(column)):
        columns["images"] = pictures
    if (index := seen.first(_INDEX, is_text)) and (options or listed):
        columns["answer"] = index
    if (hint := seen.first(("hint",), is_text)) and (options or listed) and (asked := seen.first(("question",))):
        columns["question"] = f"{{{hint}?}}\n{{{asked}}}"
    if (answers := seen.first(("answers",), _by_people)) and seen.actual("multiple_choice_answer"):
        columns["answer"] = answers
    if options and (video := seen.first(("video", "video_id"), _is_number)):
        columns["video"] = f"{{{video}}}.mp4"
    for name, part in (("video_start", "start"), ("video_end", "end")) if seen.actual("candidates") else ():
        if time := seen.first((part,), _is_time):
            columns[name] = time
    if not columns:
        return None
    benchmark = bool(options and seen.actual("index") and seen.actual("category"))  # MMBench
    return Shape(name="rows of multiple choice", columns=columns, benchmark=benchmark)


def _texts(seen: Seen, names: tuple[str, ...]) -> list[str]:
    """The columns of a series, if all of their cells are texts. A column `a` is no option A."""
    found = seen.series(names, least=2)
    same_case = names[0].islower() or found == list(names)
    return found if same_case and all(is_text(cell) for name in found for cell in seen.values(name)) else []


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _by_people(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) and "answer" in entry for entry in value)


def _is_number(value: Any) -> bool:
    return is_text(value) and str(value).isdecimal()
