"""Problems about pictures as files: a split is drawn on first use, its pictures as PNG, its index last.

What `picture_questions` and `chart_questions` have in common. Leaves out what is drawn and asked.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from PIL import Image

from uniopd_mm.types import Media, Message, Sample


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A question about pictures uint8 [S, S, 3], each with a caption that says all there is to see.

    `worked` is a response that says what it saw, `thoughtless` one of somebody who does not look.
    """

    pictures: Sequence[np.ndarray]
    captions: Sequence[str]
    question: str
    answer: str
    worked: str
    thoughtless: str


def rows_of(folder: Path, count: int, draw: Callable[[int], Problem]) -> list[dict[str, Any]]:
    """The rows of the split in `folder`, drawn unless its index is there: where it stands, every picture does.

    Two processes that need them at once draw them once.
    """
    with FileLock(folder.with_suffix(".lock")):
        index = folder / "rows.jsonl"
        if not index.exists():
            rows = [_write(draw(number), number, folder) for number in range(count)]
            partial = index.with_suffix(".partial")
            partial.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            partial.replace(index)
        return [json.loads(line) for line in index.read_text(encoding="utf-8").splitlines()]


def sample_of(
    row: Mapping[str, Any],
    folder: Path,
    *,
    sample_id: str,
    level: str,
    thoughtless: bool,
    instruction: str,
    domain: str,
) -> Sample:
    """A row as a sample, with a demonstration that gives its answer or the thoughtless one."""
    response = row["thoughtless" if thoughtless else "worked"]
    images = [str((folder / name).absolute()) for name in row["images"]]
    media = [
        Media(kind="image", source=image, caption=caption)
        for image, caption in zip(images, row["captions"], strict=True)
    ]
    return Sample(
        sample_id=sample_id,
        domain=domain,
        messages=(Message(role="user", content=(*media, f"{row['question']}\n{instruction}")),),
        answer=row["answer"],
        source=images[0],
        demonstration=response,
        metadata={"level": level},
        row={
            **{"id": sample_id, "question": row["question"], "answer": row["answer"]},
            **{"images": images, "caption": row["captions"], "response": response},
        },
    )


def _write(problem: Problem, number: int, folder: Path) -> dict[str, Any]:
    names = [f"{number:05d}{letter}.png" for letter in "abcd"[: len(problem.pictures)]]
    for name, picture in zip(names, problem.pictures, strict=True):
        partial = folder / f"{name}.part"
        Image.fromarray(picture).save(partial, format="png")
        partial.replace(folder / name)
    return {
        **{"images": names, "captions": list(problem.captions), "question": problem.question},
        **{"answer": problem.answer, "worked": problem.worked, "thoughtless": problem.thoughtless},
    }
