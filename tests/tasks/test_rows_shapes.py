"""Rows as the field writes them load without a flag: the right question, media, choices and answer."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from shape_parts import Shape, write
from shapes_benchmarks import BENCHMARKS, CHOICES
from shapes_others import FILES, NOT_ALONE, PROGRAMS, TEXTS, VIDEOS
from shapes_pictures import PICTURES

from uniopd_mm.tasks.chart_qa import ChartTask
from uniopd_mm.tasks.code_gen import CodeTask
from uniopd_mm.tasks.image_qa import ImageQaTask
from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.video_qa import VideoQaTask
from uniopd_mm.types import Corpus, Media, Sample, UserError

ALONE = [*PICTURES, *BENCHMARKS, *CHOICES, *VIDEOS, *TEXTS, *PROGRAMS, *FILES]
TASKS: dict[str, Any] = {"vqa": ImageQaTask, "math": MathTask, "chart": ChartTask, "video_qa": VideoQaTask}


class NoSandbox:
    """Programs are read here, not run."""

    level = "rlimits"


def corpus_of(task: str, path: Path, **options: Any) -> Corpus:
    rows = RowSource(path=str(path), validation_fraction=0, **options)
    if task == "code":
        sandbox: Any = NoSandbox()
        return CodeTask(rows=rows, sandbox=sandbox, instruction="").samples("train")
    return TASKS[task](rows=rows, instruction="").samples("train")


def texts(sample: Sample) -> str:
    return "".join(part for part in sample.messages[-1].content if isinstance(part, str))


def media(sample: Sample) -> list[Media]:
    return [part for message in sample.messages for part in message.content if isinstance(part, Media)]


def check(shape: Shape, corpus: Corpus) -> None:
    assert corpus.skipped == ()
    sample = corpus[0]
    assert (texts(sample), sample.answer) == (shape.question, shape.answer)
    assert tuple(medium.kind for medium in media(sample)) == shape.media
    assert sample.metadata.get("choices") == shape.choices
    assert tuple(message.role for message in sample.messages) == shape.roles


def named(shapes: list[Shape]) -> Any:
    return pytest.mark.parametrize("shape", shapes, ids=[shape.name for shape in shapes])


def test_there_are_enough_shapes() -> None:
    assert len({shape.name for shape in ALONE}) >= 40


@named(ALONE)
def test_a_shape_loads_without_a_flag(tmp_path: Path, shape: Shape) -> None:
    check(shape, corpus_of(shape.task, write(shape, tmp_path)))


@named(NOT_ALONE)
def test_a_shape_loads_with_one_flag(tmp_path: Path, shape: Shape) -> None:
    path = write(shape, tmp_path)
    assert len(shape.flags) == 1
    with pytest.raises(UserError, match=rf"data.columns.{next(iter(shape.flags))}="):
        corpus_of(shape.task, path)
    check(shape, corpus_of(shape.task, path, columns=shape.flags))


@named([shape for shape in ALONE if shape.task != "code"])
def test_what_was_read_is_read_again_from_its_row(tmp_path: Path, shape: Shape) -> None:
    """The rows that `balance` writes: under our own names, in a folder of their own."""
    (sample,) = corpus_of(shape.task, write(shape, tmp_path))
    again = tmp_path / "elsewhere" / "rows.jsonl"
    again.parent.mkdir()
    again.write_text(json.dumps(sample.row), encoding="utf-8")
    (read,) = corpus_of(shape.task, again)
    assert replace(read, source="", messages=()) == replace(sample, source="", messages=())
    assert texts(read) == texts(sample)
    assert [medium.kind for medium in media(read)] == [medium.kind for medium in media(sample)]
