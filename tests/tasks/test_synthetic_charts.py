"""Answers and captions of the chart questions against bars, points and slices read back from the pixels."""

import re

import numpy as np
import pytest
from PIL import Image

from uniopd_mm.tasks.synthetic.chart_questions import SyntheticChartQuestions
from uniopd_mm.types import Media, Sample

COLORS = {"red": (220, 40, 40), "green": (40, 170, 70), "blue": (50, 80, 230), "orange": (245, 150, 30)}
GRID_LINE = (200, 200, 200)


def masks(picture: np.ndarray) -> dict[str, np.ndarray]:
    """Where each colour is, the colours from left to right."""
    found = {color: (picture == rgb).all(axis=-1) for color, rgb in COLORS.items()}
    present = {color: mask for color, mask in found.items() if mask.any()}
    return dict(sorted(present.items(), key=lambda item: np.nonzero(item[1])[1].mean()))


def lines(picture: np.ndarray) -> np.ndarray:
    """The rows of the grid lines, from the value 0 upwards; they show at the edge of every picture."""
    return np.nonzero((picture[:, 0] == GRID_LINE).all(axis=-1))[0][::-1]


def read(picture: np.ndarray, kind: str) -> dict[str, int]:
    """The values of a bar or line chart: the grid line nearest to a bar's top, or to a point's middle."""
    grid = lines(picture)
    assert len(grid) == 5
    assert np.ptp(np.diff(grid)) <= 1
    rows = {color: np.nonzero(mask)[0] for color, mask in masks(picture).items()}
    heights = {color: ys.min() if kind == "bar" else (ys.min() + ys.max()) / 2 for color, ys in rows.items()}
    assert all(abs(grid - height).min() <= 1 for height in heights.values())
    return {color: int(abs(grid - height).argmin()) for color, height in heights.items()}


def slices(picture: np.ndarray) -> dict[str, int]:
    """The parts of a pie of seven."""
    areas = {color: int(mask.sum()) for color, mask in masks(picture).items()}
    return {color: round(7 * area / sum(areas.values())) for color, area in areas.items()}


def seen_answer(question: str, values: dict[str, int]) -> str:
    """The answer of somebody who looks; each pattern is a kind of question."""
    if match := re.fullmatch(r"Which (?:bar|point|slice) is (highest|lowest|largest)\?", question):
        wanted = min(values.values()) if match[1] == "lowest" else max(values.values())
        (answer,) = (name for name, value in values.items() if value == wanted)
        return answer
    if match := re.fullmatch(r"What is the value of the (\w+) (?:bar|point)\?", question):
        return str(values[match[1]])
    match = re.fullmatch(r"How much higher is (\w+) than (\w+)\?", question)
    assert match, question
    return str(values[match[1]] - values[match[2]])


def chart(sample: Sample) -> tuple[str, np.ndarray, str]:
    """Kind, picture and caption."""
    (medium,) = (part for part in sample.messages[0].content if isinstance(part, Media))
    caption = str(medium.caption)
    return caption.split()[1], np.asarray(Image.open(medium.source)), caption


def question(sample: Sample) -> str:
    return str(sample.messages[0].content[-1]).splitlines()[0]


@pytest.fixture(scope="module", params=[64, 96, 224])
def samples(request: pytest.FixtureRequest, own_cache: object) -> tuple[Sample, ...]:
    return SyntheticChartQuestions(num_train=200, size=request.param, seed=3).samples("train").samples


def test_what_the_pixels_show_is_told_and_answered(samples: tuple[Sample, ...]) -> None:
    kinds = set()
    for sample in samples:
        kind, picture, caption = chart(sample)
        values = slices(picture) if kind == "pie" else read(picture, kind)
        told = {name: int(value) for name, value in re.findall(r"(\w+) (\d)", caption)}
        assert told == values, sample.row
        assert re.fullmatch(r"A (bar|line|pie) chart of [^.]+\.", caption)
        if kind != "pie":
            assert list(told) == list(values)  # from left to right
        if sample.metadata["level"] != "impossible":
            assert seen_answer(question(sample), values) == sample.answer
            kinds.add((kind, sample.metadata["level"]))
    assert kinds == {("pie", "easy")} | {(kind, lv) for kind in ("bar", "line") for lv in ("easy", "medium", "hard")}


def test_what_is_impossible_cannot_be_seen(samples: tuple[Sample, ...]) -> None:
    absent = [sample for sample in samples if sample.metadata["level"] == "impossible"]
    assert absent
    for sample in absent:
        match = re.fullmatch(r"What is the value of the (\w+) bar\?", question(sample))
        _, picture, caption = chart(sample)
        assert match
        assert match[1] in COLORS
        assert match[1] not in masks(picture)
        assert match[1] not in caption
        assert sample.answer in ("1", "2", "3", "4")


def test_numbers_are_whole_and_differences_above_zero(samples: tuple[Sample, ...]) -> None:
    hard = [sample for sample in samples if sample.metadata["level"] == "hard"]
    assert {sample.answer for sample in hard} == {"1", "2", "3"}
