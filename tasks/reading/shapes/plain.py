"""Single columns under the names that the field gives them, and answers that stand in several columns."""

from collections.abc import Mapping
from typing import Any

from uniopd_mm.tasks.reading.kinds import IMAGE, VIDEO, kind_of
from uniopd_mm.tasks.reading.shapes.seen import Seen, Shape, is_asked, is_text

QUESTIONS = (
    *("question", "problem", "query", "prompt", "instruction", "question_text", "problem_text", "problem_statement"),
    *("question_content", "problem_description"),
)
CHOICES = ("choices", "options", "option", "candidates", "multiple_choices", "answer_choices", "mc_choices")
FINAL_ANSWERS = (
    *("answer", "final_answer", "ground_truth", "reward_model.ground_truth", "gt_answer", "gold_answer", "gold"),
    *("reference_answer", "expected_answer", "correct_answer", "correct_option", "correct_choice", "answer_key"),
    *("answerkey", "gt", "answers", "multiple_choice_answer", "target", "label", "labels"),
)
WORKED_ANSWERS = ("solution", "output", "completion", "answer_text", "generated_solution", "extra_info.answer")
_IMAGES = (
    *("decoded_image", "images", "image", "img", "imgs", "picture", "pictures", "photo", "image_path", "image_paths"),
    *("image_file", "image_local_name", "imgname", "image_name", "img_path", "image_url", "image_urls", "image_base64"),
    *("file_name", "filename", "media", "path", "jpg", "png"),
)
_VIDEOS = (
    *("video", "videos", "video_path", "video_paths", "video_file", "video_name", "clip", "clips", "frames"),
    *("frame_paths", "video_url", "video_id", "file_name", "filename", "media", "path", "mp4"),
)
_FRAMES = ("frames", "frame_paths")
_SURE = {"image": IMAGE, "images": IMAGE, "decoded_image": IMAGE, "video": VIDEO, "videos": VIDEO}


def recognise(seen: Seen) -> Shape | None:
    """Each field from the first column that can be it."""
    found: dict[str, str | None] = {
        "question": _question(seen),
        "choices": seen.first(CHOICES, lambda value: isinstance(value, list | dict | str)),
        "answer": seen.first(FINAL_ANSWERS, is_answer) or seen.first(WORKED_ANSWERS, is_answer),
        "images": _media(seen, _IMAGES, IMAGE),
        "video": _media(seen, _VIDEOS, VIDEO),
    }
    columns: dict[str, str | list[str]] = {field: column for field, column in found.items() if column is not None}
    alpaca = "{" in str(columns.get("question", "")) or columns.get("question") == "instruction"
    return Shape(name="Alpaca rows" if alpaca else "", columns=columns, lost=("history",) if alpaca else ())


def is_answer(value: Any) -> bool:
    """Whether a cell can be an answer: a text, a number, a truth value or a list of them."""
    entries = value if isinstance(value, list) else [value]
    return all(isinstance(entry, str | int | float | bool) or _by_someone(entry) for entry in entries)


def _by_someone(entry: Any) -> bool:
    return isinstance(entry, Mapping) and "answer" in entry


def _question(seen: Seen) -> str | None:
    """Alpaca's `input` belongs to its `instruction`, and beside `target` or `output` alone it is the question."""
    column = seen.first(QUESTIONS, is_asked)
    given = seen.first(("input", "context"), is_text) if column and column.lower() == "instruction" else None
    if given:
        return f"{{{column}}}\n{{{given}?}}"
    if column is None and seen.first(("target", "output"), is_text):
        return seen.first(("input",), is_asked)
    return column


def _media(seen: Seen, names: tuple[str, ...], kind: str) -> str | None:
    """The first column with media of the kind. One with a sure name may also hold names that do not look like files,
    because reading those says what is missing, or be empty in the first rows."""
    for name in names:
        column = seen.actual(name)
        cells = [] if column is None else seen.values(column)
        sure = _SURE.get(name) == kind
        if cells and (any if sure else all)(_is_medium(name, kind, cell) for cell in cells):
            return column
        if cells and sure and all(isinstance(cell, str) and kind_of(cell) is None for cell in cells):
            return column
    return next((name for name in names if _SURE.get(name) == kind and seen.has_column(name)), None)


def _is_medium(name: str, kind: str, cell: Any) -> bool:
    """Whether a cell is a medium of the kind. A list of pictures is one video, in a column for videos."""
    if kind == VIDEO and isinstance(cell, list) and (name in _FRAMES or name == "video"):
        return kind_of(cell) is not None
    return name not in _FRAMES and kind_of(cell) == kind
