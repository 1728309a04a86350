"""Questions about small clips, which are stored as MP4 files, for a machine without a data set.

Four kinds: which way an object moves, which colour comes after another, how many objects pass, which shape comes
first. The same seed gives the same files.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from uniopd_mm.tasks.synthetic.clips import COLORS, blank, draw, spread, write_mp4
from uniopd_mm.tasks.synthetic.media_files import drawn_rows, split_folder
from uniopd_mm.tasks.synthetic.problems import draw_own, is_thoughtless, num_problems, written_split
from uniopd_mm.types import Corpus, Media, Message, Sample

SHAPES = ("square", "circle", "triangle")
FPS = 4
VERSION = 3  # raised when the drawing changes, so that old files are not taken for new ones


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A clip uint8 [F, S, S, 3], a question about it and its answer.

    `sentence` has a place for an answer. `habit` is the answer of a thoughtless demonstration, whatever the clip shows.
    """

    frames: np.ndarray
    question: str
    answer: str
    sentence: str
    habit: str


@final
@dataclass(frozen=True, kw_only=True)
class SyntheticVideoQuestions:
    """The splits pretrain, train and validation, which share no clip, and habits (see `problems`).

    Args:
        num_pretrain, num_train, num_validation: samples of each split.
        habit: share of thoughtless demonstrations in the split habits.
        seed: of all clips and questions.
        size: height and width in pixels.
        num_frames: frames of a clip, at 4 a second.
        instruction: last line of every question.
        domain: domain of the samples.
    """

    num_pretrain: int = 2000
    num_train: int = 2000
    num_validation: int = 320
    habit: float = 0.6
    seed: int = 0
    size: int = 64
    num_frames: int = 6
    instruction: str = "Answer in \\boxed{}."
    domain: str = "video_qa"

    def samples(self, split: str) -> Corpus:
        """See `SampleSource.samples`."""
        written = written_split(split)
        drawn = replace(self, habit=0.0)  # demonstrations do not change what is drawn
        folder = split_folder("video_questions", VERSION, repr(drawn), written)
        rows = drawn_rows(folder, num_problems(self, split), lambda number: self._draw(written, number, folder))
        return Corpus(samples=tuple(self._sample(row, folder, split) for row in rows))

    def _draw(self, split: str, number: int, folder: Path) -> dict[str, Any]:
        """Draw problem `number`, write its clip and return its row."""
        kind = KINDS[number % len(KINDS)]
        scene = draw_own(
            lambda rng: kind(rng, self.num_frames, self.size),
            lambda scene: scene.frames.tobytes(),
            split=split,
            number=number,
            seed=self.seed,
        )
        name = f"{number:05d}.mp4"
        write_mp4(scene.frames, folder / name, FPS)
        row = {"id": f"{split}-{number}", "video": name, "question": scene.question, "answer": scene.answer}
        return {**row, "sentence": scene.sentence, "habit": scene.habit}

    def _sample(self, row: Mapping[str, Any], folder: Path, split: str) -> Sample:
        thoughtless = is_thoughtless(row["id"], split=split, share=self.habit, seed=self.seed)
        said = row["habit"] if thoughtless else row["answer"]
        video = str((folder / row["video"]).absolute())
        content = (Media(kind="video", source=video), f"{row['question']}\n{self.instruction}")
        worked = f"{row['sentence'].format(said)} \\boxed{{{said}}}"
        return Sample(
            sample_id=row["id"],
            domain=self.domain,
            messages=(Message(role="user", content=content),),
            answer=row["answer"],
            source=video,
            demonstration=worked,
            row={name: row[name] for name in ("id", "question", "answer")} | {"video": video, "response": worked},
        )


def direction(rng: random.Random, num_frames: int, size: int) -> Scene:
    """Which way does the object move?"""
    way = rng.choice(("left", "right", "up", "down"))
    shape, color, lane = rng.choice(SHAPES), rng.choice(tuple(COLORS)), rng.uniform(0.25, 0.75) * size
    path = spread(0.18 * size, 0.82 * size, num_frames)
    frames = blank(num_frames, size)
    for frame, place in zip(frames, path if way in ("right", "down") else path[::-1], strict=True):
        draw(frame, shape, color, (place, lane) if way in ("left", "right") else (lane, place), size / 8)
    return Scene(
        frames=frames, question=f"Which way does the {shape} move?", answer=way, sentence="It moves {}.", habit="left"
    )


def color_order(rng: random.Random, num_frames: int, size: int) -> Scene:
    """Which color comes after another?"""
    colors, shape = rng.sample(tuple(COLORS), 3), rng.choice(SHAPES)
    center = (rng.uniform(0.4, 0.6) * size, rng.uniform(0.4, 0.6) * size)
    frames = blank(num_frames, size)
    for index, frame in enumerate(frames):
        draw(frame, shape, colors[index * 3 // num_frames], center, size * 0.3)
    asked = rng.randrange(2)
    after = colors[asked + 1]
    question = f"Which color comes after {colors[asked]}?"
    return Scene(frames=frames, question=question, answer=after, sentence="It turns {}.", habit="red")


def count(rng: random.Random, num_frames: int, size: int) -> Scene:
    """How many objects pass?"""
    number, shape, color = rng.randint(1, 4), rng.choice(SHAPES), rng.choice(tuple(COLORS))
    forward = rng.random() < 0.5
    frames = blank(num_frames, size)
    for lane in rng.sample((1, 3, 5, 7), number):
        path = spread(rng.uniform(0.12, 0.3) * size, rng.uniform(0.7, 0.88) * size, num_frames)
        for frame, place in zip(frames, path if forward else path[::-1], strict=True):
            draw(frame, shape, color, (place, lane * size / 8), size * 0.1)
    question = "How many objects pass?"
    return Scene(frames=frames, question=question, answer=str(number), sentence="I count {}.", habit="1")


def first_event(rng: random.Random, num_frames: int, size: int) -> Scene:
    """Which of two shapes appears first?"""
    early, late = rng.sample(SHAPES, 2)
    colors, places = rng.choices(tuple(COLORS), k=2), rng.sample((0.25, 0.75), 2)
    start = rng.choice((2, 4)) * num_frames // 6
    frames = blank(num_frames, size)
    for index, frame in enumerate(frames):
        draw(frame, early, colors[0], (places[0] * size, size / 2), size * 0.16)
        if index >= start:
            draw(frame, late, colors[1], (places[1] * size, size / 2), size * 0.16)
    one, other = rng.sample((early, late), 2)
    question = f"Which appears first, the {one} or the {other}?"
    return Scene(frames=frames, question=question, answer=early, sentence="The {} appears first.", habit="square")


Kind = Callable[[random.Random, int, int], Scene]
KINDS: tuple[Kind, ...] = (direction, color_order, count, first_event)
