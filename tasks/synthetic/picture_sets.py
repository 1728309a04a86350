"""Synthetic sets of questions about pictures, which are stored as PNG files.

What `picture_questions` and `chart_questions` share, except what is drawn and asked.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from PIL import Image

from uniopd_mm.tasks.synthetic.levels import Levelled, level_of
from uniopd_mm.tasks.synthetic.media_files import drawn_rows, split_folder
from uniopd_mm.tasks.synthetic.problems import draw_own, is_thoughtless, num_problems, written_split
from uniopd_mm.types import Corpus, Media, Message, Sample

Scene = TypeVar("Scene")


class PictureSource(Levelled, Protocol):
    """The fields of a set of pictures."""

    @property
    def size(self) -> int: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Question(Generic[Scene]):
    """A question about one or more scenes, each of which becomes a picture.

    A worked response says `seen` and gives `answer`. A thoughtless one says `unseen` and gives `habit`, whatever the
    pictures show.
    """

    scenes: Sequence[Scene]
    question: str
    answer: str
    seen: str
    habit: str
    unseen: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PictureSet(Generic[Scene]):
    """What distinguishes one set of pictures from another.

    Args:
        name: of its folder.
        version: raised when the drawing changes, so that old files are not taken for new ones.
        kinds: for each level, the functions that draw a question.
        paint: draws a scene as a picture uint8 [size, size, 3], given (scene, size, random numbers).
        tell: describes a scene in one sentence.
        max_pictures: the most pictures that one question has.
    """

    name: str
    version: int
    kinds: Mapping[str, Sequence[Callable[[random.Random], Question[Scene]]]]
    paint: Callable[[Scene, int, random.Random], np.ndarray]
    tell: Callable[[Scene], str]
    max_pictures: int = 1


def picture_samples(source: PictureSource, split: str, pictures: PictureSet[Any], *, made_of: str) -> Corpus:
    """The samples of a split, whose pictures no other written split has.

    `made_of` names the options that decide what is drawn; each value has its own files.
    """
    written = written_split(split)
    folder = split_folder(pictures.name, pictures.version, made_of, written)

    def draw(number: int) -> dict[str, Any]:
        return _draw(source, pictures, folder, written, number)

    rows = drawn_rows(folder, num_problems(source, split), draw)
    return Corpus(samples=tuple(_sample(source, split, number, row, folder) for number, row in enumerate(rows)))


def _draw(
    source: PictureSource, pictures: PictureSet[Scene], folder: Path, written: str, number: int
) -> dict[str, Any]:
    """Draw problem `number`, write its pictures and return its row."""
    rng = random.Random(f"{source.seed}/{written}/{number}/question")
    asked = rng.choice(pictures.kinds[level_of(number, source.levels)])(rng)
    names = [f"{number:05d}{letter}.png" for letter in "abcd"[: len(asked.scenes)]]
    for index, (name, scene) in enumerate(zip(names, asked.scenes, strict=True)):
        picture_number = number * pictures.max_pictures + index
        _write(_picture(source, pictures, scene, written, picture_number), folder / name)
    return {
        **{"images": names, "captions": [pictures.tell(scene) for scene in asked.scenes], "question": asked.question},
        **{"answer": asked.answer, "worked": f"{asked.seen} \\boxed{{{asked.answer}}}"},
        **{"thoughtless": f"{asked.unseen} \\boxed{{{asked.habit}}}"},
    }


def _picture(source: PictureSource, pictures: PictureSet[Scene], scene: Scene, written: str, number: int) -> np.ndarray:
    return draw_own(
        lambda rng: pictures.paint(scene, source.size, rng),
        np.ndarray.tobytes,
        split=written,
        number=number,
        seed=source.seed,
    )


def _write(picture: np.ndarray, path: Path) -> None:
    partial = path.with_name(f"{path.name}.part")
    Image.fromarray(picture).save(partial, format="png")
    partial.replace(path)


def _sample(source: PictureSource, split: str, number: int, row: Mapping[str, Any], folder: Path) -> Sample:
    sample_id = f"{written_split(split)}-{number}"
    thoughtless = is_thoughtless(sample_id, split=split, share=source.habit, seed=source.seed)
    response = row["thoughtless" if thoughtless else "worked"]
    images = [str((folder / name).absolute()) for name in row["images"]]
    media = [
        Media(kind="image", source=image, caption=caption)
        for image, caption in zip(images, row["captions"], strict=True)
    ]
    return Sample(
        sample_id=sample_id,
        domain=source.domain,
        messages=(Message(role="user", content=(*media, f"{row['question']}\n{source.instruction}")),),
        answer=row["answer"],
        source=images[0],
        demonstration=response,
        metadata={"level": level_of(number, source.levels)},
        row={
            **{"id": sample_id, "question": row["question"], "answer": row["answer"]},
            **{"images": images, "caption": row["captions"], "response": response},
        },
    )
