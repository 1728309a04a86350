"""Invented rows of nine benchmarks about pictures, with the columns, types and folders that the hub has."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, List, Value
from PIL import Image as Picture
from PIL import ImageDraw

TEXT, NUMBER, TEXTS, IMAGE = Value("string"), Value("int64"), List(Value("string")), Image()
Rows = Sequence[Mapping[str, Any]]


def write(root: Path) -> None:
    """Writes OWNER/NAME/… of every benchmark below `root`; the same bytes for the same versions of the libraries."""
    for repo, write_one in _BENCHMARKS.items():
        folder = root / repo
        folder.mkdir(parents=True, exist_ok=True)
        write_one(folder)


def drawing(text: str, *, shape: str = "", size: tuple[int, int] = (96, 64), kind: str = "PNG") -> dict[str, Any]:
    """A cell of an image column: a picture that shows a text and a shape."""
    return {"bytes": _encoded(text, shape, size, kind), "path": None}


def _encoded(text: str, shape: str, size: tuple[int, int], kind: str) -> bytes:
    picture = Picture.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    box = (size[0] // 2, size[1] // 3, size[0] - 8, size[1] - 8)
    if shape == "circle":
        draw.ellipse(box, fill="red")
    elif shape == "square":
        draw.rectangle(box, fill="blue")
    elif shape == "bars":
        for number in range(4):
            left = 8 + number * (size[0] - 16) // 4
            draw.rectangle((left, size[1] - 8 - 8 * (number + 1), left + 8, size[1] - 8), fill="green")
    draw.text((4, 2), text, fill="black")
    buffer = io.BytesIO()
    picture.save(buffer, format=kind)
    return buffer.getvalue()


def _parquet(file: Path, features: Mapping[str, Any], rows: Rows) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: [row[name] for row in rows] for name in features}
    Dataset.from_dict(columns, features=Features(features)).to_parquet(file)


def _chartqa(folder: Path) -> None:
    asked = [
        ("human_test", "How high is the third bar?", "24"),
        ("human_test", "In which year was it highest?", "2016"),
        ("human_test", "Which country is last?", "Canada"),
        ("augmented_test", "What share did the blue party have?", "45.5"),
        ("augmented_test", "What was the turnover in euros?", "1200000"),
        ("augmented_test", "Is the first bar below the second?", "Yes"),
    ]
    rows = [
        {"type": half, "question": question, "answer": answer, "image": drawing(f"chart {number}", shape="bars")}
        for number, (half, question, answer) in enumerate(asked)
    ]
    features = {"type": TEXT, "question": TEXT, "answer": TEXT, "image": IMAGE}
    _parquet(folder / "data/test-00000-of-00001.parquet", features, rows)


def _ai2d(folder: Path) -> None:
    asked = [
        ("What does the diagram show?", ["a seed", "a root", "a leaf", "a stem"], "2"),
        ("Which letter marks the root?", ["b", "a", "d", "c"], "0"),
        ("How many stages are there?", ["3", "2", "1", "0"], "1"),
        ("What eats the grass?", ["fox", "rabbit", "owl", "hawk"], "1"),
    ]
    rows = [
        {"question": question, "options": options, "answer": answer, "image": drawing("a b c d", shape="circle")}
        for question, options, answer in asked
    ]
    features = {"question": TEXT, "options": TEXTS, "answer": TEXT, "image": IMAGE}
    _parquet(folder / "data/test-00000-of-00001.parquet", features, rows)


def _documents(folder: Path) -> None:
    """Two configurations with two splits each; the test splits have no answers, and other columns to go with them."""
    configurations = {"DocVQA": (_PAGE, _pages()), "InfographicVQA": (_INFOGRAPHIC, _infographics())}
    for name, (features, rows) in configurations.items():
        _parquet(folder / f"{name}/validation-00000-of-00001.parquet", features, rows)
        hidden = [{**rows[0], "answers": None, "data_split": "test"}]
        _parquet(folder / f"{name}/test-00000-of-00001.parquet", features, hidden)
    (folder / "README.md").write_text(_card(list(configurations), ["validation", "test"]), encoding="utf-8")


def _card(names: Sequence[str], splits: Sequence[str]) -> str:
    lines = ["---", "configs:"]
    for name in names:
        lines += [f"- config_name: {name}", "  data_files:"]
        for split in splits:
            lines += [f"  - split: {split}", f"    path: {name}/{split}-*"]
    return "\n".join([*lines, "---", ""])


_PAGE = {
    **{"questionId": TEXT, "question": TEXT, "question_types": TEXTS, "image": IMAGE, "docId": NUMBER},
    **{"ucsf_document_id": TEXT, "ucsf_document_page_no": TEXT, "answers": TEXTS, "data_split": TEXT},
}
_INFOGRAPHIC = {
    **{"questionId": TEXT, "question": TEXT, "answers": TEXTS, "answer_type": TEXTS, "image": IMAGE},
    **{"image_url": TEXT, "operation/reasoning": TEXTS, "ocr": TEXT, "data_split": TEXT},
}


def _pages() -> Rows:
    asked = [
        ("Who signed the letter?", ["Ann Lee", "A. Lee"]),
        ("What is the date?", ["4 May 1999", "May 4, 1999"]),
        ("What is the total?", ["$1,250.00"]),
        ("To whom is it addressed?", ["The Board of Trustees"]),
    ]
    return [
        {
            **{"questionId": str(100 + number), "question": question, "question_types": ["layout"]},
            **{"image": drawing(answers[0], size=(120, 160), kind="JPEG"), "docId": number},
            **{"ucsf_document_id": f"abcd{number:04d}", "ucsf_document_page_no": "1"},
            **{"answers": answers, "data_split": "val"},
        }
        for number, (question, answers) in enumerate(asked)
    ]


def _infographics() -> Rows:
    asked = [
        ("What share of people drink tea?", ["63%", "63"]),
        ("Which two colours are used?", ["red, blue", "blue, red"]),
        ("How many tips are given?", ["7", "seven"]),
        ("Who made it?", ["tea council"]),
    ]
    return [
        {
            **{"questionId": str(200 + number), "question": question, "answers": answers},
            **{"answer_type": ["single span"], "image": drawing(answers[0], size=(80, 240), kind="JPEG")},
            **{"image_url": "", "operation/reasoning": ["none"], "ocr": json.dumps({"PAGE": []}), "data_split": "val"},
        }
        for number, (question, answers) in enumerate(asked)
    ]


_BENCHMARKS = {
    "lmms-lab-encoder/ChartQA": _chartqa,
    "lmms-lab-encoder/ai2d": _ai2d,
    "lmms-lab-encoder/DocVQA": _documents,
}
