"""Invented rows of nine benchmarks about pictures, with the columns, types and folders that the hub has."""

import io
import json
import zipfile
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


def _mathvision(folder: Path) -> None:
    """Two splits; of the problems with options some have their letters alone, which stand in the picture."""
    letters = list("ABCDE")
    asked: list[tuple[str, list[str], str]] = [
        ("How long is the diagonal of the square with side 2? <image1>", [], "2\\sqrt{2}"),
        ("Which figure has no corner? <image1>", letters, "D"),
        ("How many squares are there? <image1>", ["3", "4", "5", "6", "7"], "C"),
        ("What is the sine of the angle? <image1>", [], "\\frac{1}{2}"),
        ("How long is the side? <image1>", ["$\\sqrt{2}$", "$2\\sqrt{2}$", "$3$", "$4$", "$5$"], "B"),
    ]
    rows = [
        {
            **{"id": str(number + 1), "question": question, "options": options, "image": f"images/{number + 1}.jpg"},
            **{"decoded_image": drawing(f"problem {number}", shape="square", kind="JPEG"), "answer": answer},
            **{"solution": None, "level": 1 + number, "subject": "metric geometry - length"},
        }
        for number, (question, options, answer) in enumerate(asked)
    ]
    features = {
        **{"id": TEXT, "question": TEXT, "options": TEXTS, "image": TEXT, "decoded_image": IMAGE, "answer": TEXT},
        **{"solution": TEXT, "level": NUMBER, "subject": TEXT},
    }
    _parquet(folder / "data/test-00000-of-00001.parquet", features, rows)
    _parquet(folder / "data/testmini-00000-of-00001.parquet", features, rows[:1])


def _dynamath(folder: Path) -> None:
    """Three problems, one of each type of answer, in two variants each, which do not follow each other."""
    asked = [
        ("1", "How wide is one wave of the curve?", "float", "2.094"),
        ("2", "Does the line rise? choice: (A) it rises (B) it falls (C) neither", "multiple choice", "A"),
        ("3", "Which season has most rain?", "text", "autumn"),
        ("1", "How wide is one wave of the curve?", "float", "0.5"),
        ("2", "Does the line rise? choice: (A) it rises (B) it falls (C) neither", "multiple choice", "B"),
        ("3", "Which season has most rain?", "text", "spring"),
    ]
    rows = [
        {
            **{"id": problem, "question": question, "image": f"images/image_{number}.jpg"},
            **{"decoded_image": drawing(f"variant {number}", shape="bars"), "ground_truth": answer},
            **{"question_type": "free-form", "answer_type": kind, "subject": "graph theory"},
            **{"knowledge_level": "high school", "question_id": number},
        }
        for number, (problem, question, kind, answer) in enumerate(asked)
    ]
    features = {
        **{"id": TEXT, "question": TEXT, "image": TEXT, "decoded_image": IMAGE, "ground_truth": TEXT},
        **{"question_type": TEXT, "answer_type": TEXT, "subject": TEXT, "knowledge_level": TEXT},
        **{"question_id": NUMBER},
    }
    _parquet(folder / "data/test-00000-of-00001.parquet", features, rows)


def _wemath(folder: Path) -> None:
    """One problem of two steps and one of three; the parts of a problem do not follow each other."""
    asked = [
        ("2steps_1", "2steps_1", "How long is the side?", "A. 2;B. 3; C. 4", "B"),
        ("3steps_1", "3steps_1", "What is the radius?", "A. 1; B. 2; C. No correct answer", "A"),
        ("3steps_1", "3steps_2", "What is the diameter?", "A. 1; B. 2; C. No correct answer", "B"),
        ("2steps_1", "2steps_2", "What is the square of 3?", "A. 6;B. 9;C. 12;D. No correct answer", "B"),
        ("3steps_1", "3steps_3", "What is \u03c0 times 2?", "A. 6.28;B. 3.14; C. No correct answer", "A"),
        (
            "2steps_1",
            "2steps_multi",
            "What is the area of the square?",
            "A. 6 cm\u00b2;B. 9 cm\u00b2;C. 12 cm\u00b2",
            "B",
        ),
        ("3steps_1", "3steps_multi", "How long is the way around?", "A. 3.14;B. 12;C. 6.28", "C"),
    ]
    rows = [
        {
            **{"ID": problem, "split": "testmini", "knowledge concept": "Area of Squares", "question": question},
            **{"option": options, "answer": answer, "image_path": drawing(key, shape="square"), "key": key},
            **{"question number": number, "knowledge concept description": "Area of Squares: side times side."},
        }
        for number, (problem, key, question, options, answer) in enumerate(asked)
    ]
    features = {
        **{"ID": TEXT, "split": TEXT, "knowledge concept": TEXT, "question": TEXT, "option": TEXT, "answer": TEXT},
        **{"image_path": IMAGE, "key": TEXT, "question number": NUMBER, "knowledge concept description": TEXT},
    }
    _parquet(folder / "data/testmini-00000-of-00001.parquet", features, rows)


def _logicvista(folder: Path) -> None:
    asked = [
        ("Which box (A, B, C, or D) is the odd one?", "C", "inductive"),
        ("Which drawings out of A-D look alike?", "A, C", "inductive"),
        ("The ball is red. Select from A, B and C. (A) True (B)False (C)Cannot be said", "B", "deductive"),
        ("How many dots has the last box? Select answers from A-D. \n A) 5 B) 7 C) 9 D) 11", "D", "numerical"),
        ("Which sentence is true? Select from 1-5", "3", "deductive"),
    ]
    rows = [
        {
            **{"id": f"v1_{number}", "question": question, "answer": answer, "reasoning": "It follows."},
            **{"image": drawing(f"puzzle {number}", shape="circle"), "skill": [skill]},
            **{"broad_capability": ["diagram"], "specific_capability": ["diagram"], "imagesource": "invented"},
            **{"sourcelink": "", "liscenced": False},
        }
        for number, (question, answer, skill) in enumerate(asked)
    ]
    features = {
        **{"id": TEXT, "question": TEXT, "answer": TEXT, "reasoning": TEXT, "image": IMAGE, "skill": TEXTS},
        **{"broad_capability": TEXTS, "specific_capability": TEXTS, "imagesource": TEXT, "sourcelink": TEXT},
        **{"liscenced": Value("bool")},
    }
    _parquet(folder / "data/test-00000-of-00001.parquet", features, rows)


def _visulogic(folder: Path) -> None:
    """Rows in a JSON file, their pictures in a zip."""
    options = "Select the figure that fits the question mark.\nA: A\nB: B\nC: C\nD: D"
    rows = [
        {
            "image_path": f"images/{number:05d}.png",
            "question": options,
            "label": label,
            "id": f"{number:05d}",
            "tag": tag,
        }
        for number, (label, tag) in enumerate(
            [("A", "Attribute"), ("C", "Position"), ("D", "Quantity"), ("B", "Style")]
        )
    ]
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with zipfile.ZipFile(folder / "images.zip", "w") as archive:
        for row in rows:
            member = zipfile.ZipInfo(row["image_path"])  # dated 1980, so that the bytes are the same each time
            archive.writestr(member, drawing(row["id"], shape="circle")["bytes"])


_BENCHMARKS = {
    "MathLLMs/MathVision": _mathvision,
    "kcz358/DynaMath": _dynamath,
    "We-Math/We-Math": _wemath,
    "lscpku/LogicVista": _logicvista,
    "VisuLogic/VisuLogic": _visulogic,
    "lmms-lab-encoder/ChartQA": _chartqa,
    "lmms-lab-encoder/ai2d": _ai2d,
    "lmms-lab-encoder/DocVQA": _documents,
}
