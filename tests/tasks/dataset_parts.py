"""Rows of the field's training sets, with the columns and types that each set has, and what becomes of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import datasets
from PIL import Image

from uniopd_mm.tasks.chart_qa import ChartTask
from uniopd_mm.tasks.image_qa import ImageQaTask
from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.video_qa import VideoQaTask

TEXT, NUMBER = datasets.Value("string"), datasets.Value("int64")
IMAGE = datasets.Image()


def picture() -> dict[str, Any]:
    encoded = BytesIO()
    Image.new("RGB", (8, 8), "red").save(encoded, "PNG")
    return {"bytes": encoded.getvalue(), "path": None}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Rows of a set, the first of which is the one that its YAML does not leave out, and what its task makes of that.
    `files` are there below the media folder."""

    features: dict[str, Any]
    rows: list[dict[str, Any]]
    task: Callable[[RowSource], Any]
    question: str
    answer: str
    media: str = ""
    files: tuple[str, ...] = ()
    right: str = ""
    wrong: str = r"\boxed{nonsense}"
    metadata: dict[str, Any] = field(default_factory=dict)


def math(rows: RowSource) -> MathTask:
    return MathTask(rows=rows, instruction="")


def document(rows: RowSource) -> ImageQaTask:
    return ImageQaTask(rows=rows, metric="anls", instruction="")


def verl(ability: str, question: str, truth: str, **columns: Any) -> dict[str, Any]:
    chat = [{"role": "system", "content": "Think."}, {"role": "user", "content": question}]
    info = {"index": 0, "split": "dummy"}
    row = {"data_source": "x", "prompt": chat, "ability": ability}
    return {**row, "reward_model": {"ground_truth": truth, "style": "rule"}, "extra_info": info, **columns}


CHAT = datasets.List({"role": TEXT, "content": TEXT})
VERL = {
    "data_source": TEXT,
    "prompt": CHAT,
    "ability": TEXT,
    "reward_model": {"ground_truth": TEXT, "style": TEXT},
    "extra_info": {"index": NUMBER, "split": TEXT},
}
MATH_VERL = Case(
    features=VERL,
    rows=[verl("math", "What is 1/2 + 1/4?", r"\frac{3}{4}")],
    task=math,
    question="What is 1/2 + 1/4?",
    answer=r"\frac{3}{4}",
    right=r"\boxed{0.75}",
)
NEXT_QA: dict[str, Any] = {f"a{n}": text for n, text in enumerate(["play", "run", "sit", "sing", "wave"])}

CASES = {
    "deepmath_103k": Case(
        features={
            **{"question": TEXT, "final_answer": TEXT, "difficulty": datasets.Value("float64"), "topic": TEXT},
            **{f"r1_solution_{n}": TEXT for n in (1, 2, 3)},
        },
        rows=[
            {"question": "What is $2^3$?", "final_answer": "8", "difficulty": 5.0, "topic": "Algebra"}
            | {f"r1_solution_{n}": "long" for n in (1, 2, 3)}
        ],
        task=math,
        question="What is $2^3$?",
        answer="8",
        right=r"So \boxed{8}.",
        metadata={"difficulty": 5.0, "topic": "Algebra"},
    ),
    "g_opd_math": MATH_VERL,
    "dapo_math_17k": Case(
        features={"prompt": TEXT, "solution": TEXT, "data_source": TEXT},
        rows=[{"prompt": "1 + 33?", "solution": "34", "data_source": "math_dapo"}],
        task=math,
        question="1 + 33?",
        answer="34",
        right=r"\boxed{34}",
    ),
    "math_lighteval": Case(
        features={"problem": TEXT, "level": TEXT, "type": TEXT, "solution": TEXT},
        rows=[{"problem": "Half of 3?", "level": "Level 1", "type": "Algebra", "solution": r"It is \boxed{\frac32}."}],
        task=math,
        question="Half of 3?",
        answer=r"\frac32",
        right=r"\boxed{1.5}",
    ),
    "openmmreasoner_rl_74k": Case(
        features={**VERL, "images": datasets.List(IMAGE)},
        rows=[verl("math", "<image>Find x.", "7", images=[picture()])],
        task=math,
        question="Find x.",
        answer="7",
        media="image",
        right=r"\boxed{7}",
    ),
    "geometry3k": Case(
        features={"images": datasets.List(IMAGE), "problem": TEXT, "answer": TEXT},
        rows=[{"images": [picture()], "problem": "<image>Find x.", "answer": r"3 \sqrt { 2 }"}],
        task=math,
        question="Find x.",
        answer=r"3 \sqrt { 2 }",
        media="image",
        right=r"\boxed{\sqrt{18}}",
    ),
    "chartqa": Case(
        features={"image": IMAGE, "query": TEXT, "label": datasets.List(TEXT), "human_or_machine": NUMBER},
        rows=[{"image": picture(), "query": "How many in 2019?", "label": ["100"], "human_or_machine": 0}],
        task=lambda rows: ChartTask(rows=rows, instruction=""),
        question="How many in 2019?",
        answer="100",
        media="image",
        right=r"\boxed{104}",
        metadata={"human_or_machine": 0},
    ),
    "docvqa": Case(
        features={
            "questionId": NUMBER,
            "question": TEXT,
            "image": IMAGE,
            "docId": NUMBER,
            "answers": datasets.List(TEXT),
        },
        rows=[
            {
                "questionId": 9,
                "question": "Who signed?",
                "image": picture(),
                "docId": 1,
                "answers": ["J. Doe", "Jane Doe"],
            }
        ],
        task=document,
        question="Who signed?",
        answer="J. Doe",
        media="image",
        right=r"\boxed{jane doe}",
        metadata={"docId": 1, "references": ("J. Doe", "Jane Doe")},
    ),
    "infographic_vqa": Case(
        features={"questionId": NUMBER, "question": TEXT, "image_local_name": TEXT, "answers": datasets.List(TEXT)},
        rows=[{"questionId": 9, "question": "Which year?", "image_local_name": "1.jpeg", "answers": ["1990"]}],
        task=document,
        question="Which year?",
        answer="1990",
        media="image",
        files=("1.jpeg",),
        right=r"\boxed{1990}",
    ),
    "ai2d": Case(
        features={"question": TEXT, "options": datasets.List(TEXT), "answer": TEXT, "image": IMAGE},
        rows=[{"question": "What eats it?", "options": ["a fox", "a hen", "4"], "answer": "1", "image": picture()}],
        task=lambda rows: ImageQaTask(rows=rows, instruction=""),
        question="What eats it?\nA. a fox\nB. a hen\nC. 4",
        answer="B",
        media="image",
        right="B",
    ),
    "nextqa": Case(
        features={"video": NUMBER, "question": TEXT, "answer": NUMBER, **dict.fromkeys(NEXT_QA, TEXT), "type": TEXT},
        rows=[{"video": 4010069381, "question": "What does he do", "answer": 4, **NEXT_QA, "type": "DO"}],
        task=lambda rows: VideoQaTask(rows=rows, instruction=""),
        question="What does he do\nA. play\nB. run\nC. sit\nD. sing\nE. wave",
        answer="E",
        media="video",
        files=("4010069381.mp4",),
        right="E",
        metadata={"type": "DO", "choices": dict(zip("ABCDE", NEXT_QA.values(), strict=True))},
    ),
    "video_r1": Case(
        features={
            **{"problem_id": NUMBER, "problem": TEXT, "data_type": TEXT, "problem_type": TEXT},
            **{"options": datasets.List(TEXT), "solution": TEXT, "path": TEXT, "data_source": TEXT},
        },
        rows=[
            {
                **{"problem_id": 2, "problem": "What appears?", "data_type": data_type, "problem_type": problem_type},
                **{"options": ["A. a cat", "B. a dog"], "solution": "<answer>B</answer>"},
                **{"path": "./STAR/clip.mp4", "data_source": "STAR"},
            }
            for data_type, problem_type in [
                ("video", "multiple choice"),
                ("image", "multiple choice"),
                ("video", "free-form"),
            ]
        ],
        task=lambda rows: VideoQaTask(rows=rows, instruction=""),
        question="What appears?\nA. a cat\nB. a dog",
        answer="B",
        media="video",
        files=("STAR/clip.mp4",),
        right="<answer>B</answer>",
    ),
}
