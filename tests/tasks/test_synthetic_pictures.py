"""Answers and captions of the picture questions against what the pixels of their files show."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from uniopd_mm.tasks.synthetic.picture_questions import SyntheticPictureQuestions
from uniopd_mm.types import Media, Sample

COLORS = {"red": (220, 40, 40), "green": (40, 190, 70), "blue": (50, 80, 230), "yellow": (235, 210, 50)}
PLACES = ("top left", "top right", "bottom left", "bottom right")


@dataclass(frozen=True)
class Blob:
    """What stands in a quarter of a picture: `area` in pixels."""

    color: str
    shape: str
    place: str
    area: int


def blobs(picture: np.ndarray) -> list[Blob]:
    """At most one a quarter. The share of its bounding box that a shape fills is 1, pi/4 or about a half."""
    half, found = len(picture) // 2, []
    for place in PLACES:
        top, left = half * place.startswith("bottom"), half * place.endswith("right")
        quarter = picture[top : top + half, left : left + half]
        for color, rgb in COLORS.items():
            rows, columns = np.nonzero((quarter == rgb).all(axis=-1))
            if len(rows):
                filled = len(rows) / (np.ptp(rows) + 1) / (np.ptp(columns) + 1)
                shape = "square" if filled > 0.95 else "circle" if filled > 0.68 else "triangle"
                found.append(Blob(color, shape, place, len(rows)))
    return found


def pictures(sample: Sample) -> list[list[Blob]]:
    return [blobs(np.asarray(Image.open(medium.source))) for medium in media(sample)]


def media(sample: Sample) -> list[Media]:
    return [part for part in sample.messages[0].content if isinstance(part, Media)]


def seen_answer(question: str, found: list[list[Blob]]) -> str:
    """The answer of somebody who looks; each pattern is a kind of question."""
    things = [thing for picture in found for thing in picture]
    shapes = {thing.shape: thing for thing in things}
    if match := re.fullmatch(r"What color is the (\w+)\?", question):
        return shapes[match[1]].color
    if match := re.fullmatch(r"What is (\w+)\?", question):
        return next(thing.shape for thing in things if thing.color == match[1])
    if match := re.fullmatch(r"How many (\w+)s are there\?", question):
        return str(sum(thing.shape == match[1] for thing in things))
    if match := re.fullmatch(r"Which is larger, the (\w+) or the (\w+)\?", question):
        return max(match.groups(), key=lambda shape: shapes[shape].area)
    if match := re.fullmatch(r"In which picture is the \w+ (\w+), the first or the second\?", question):
        return ("first", "second")[[picture[0].color for picture in found].index(match[1])]
    if match := re.fullmatch(r"Is the (\w+) (left of|above) the (\w+)\?", question):
        return "yes" if stands(shapes[match[1]], match[2], shapes[match[3]]) else "no"
    match = re.fullmatch(r"What is (left of|right of|above|below) the (\w+)\?", question)
    assert match, question
    (answer,) = (thing.shape for thing in things if stands(thing, match[1], shapes[match[2]]))
    return answer


def stands(one: Blob, side: str, other: Blob) -> bool:
    """Whether `one` is on that side of `other`."""
    (y, x), (other_y, other_x) = (
        (thing.place.startswith("bottom"), thing.place.endswith("right")) for thing in (one, other)
    )
    return {"left of": x < other_x, "right of": x > other_x, "above": y < other_y, "below": y > other_y}[side]


@pytest.fixture(scope="module", params=[64, 96])
def samples(request: pytest.FixtureRequest, own_cache: object) -> tuple[Sample, ...]:
    generator = SyntheticPictureQuestions(num_train=300, size=request.param, seed=3)
    return generator.samples("train").samples


def question(sample: Sample) -> str:
    return str(sample.messages[0].content[-1]).splitlines()[0]


def test_what_the_pixels_show_is_the_answer(samples: tuple[Sample, ...]) -> None:
    kinds = set()
    for sample in samples:
        if sample.metadata["level"] != "impossible":
            assert seen_answer(question(sample), pictures(sample)) == sample.answer, sample.row
            kinds.add(" ".join(question(sample).split()[:2]))
    assert kinds >= {"What color", "How many", "Which is", "In which", "Is the", "What is"}


def test_a_caption_names_everything_that_is_in_its_picture_and_nothing_else(samples: tuple[Sample, ...]) -> None:
    for sample in samples:
        for medium, found in zip(media(sample), pictures(sample), strict=True):
            told = re.findall(r"an? (?:large |small )?(\w+) (\w+) at the (\w+ \w+)", str(medium.caption).lower())
            assert sorted(told) == sorted((thing.color, thing.shape, thing.place) for thing in found)
            assert str(medium.caption).count(".") == 1


def test_a_caption_tells_sizes_where_they_matter(samples: tuple[Sample, ...]) -> None:
    asked = [sample for sample in samples if question(sample).startswith("Which is larger")]
    assert asked
    for sample in asked:
        assert re.search(rf"large \w+ {sample.answer}", str(media(sample)[0].caption).lower())


def test_what_is_impossible_cannot_be_seen(samples: tuple[Sample, ...]) -> None:
    hidden = [sample for sample in samples if sample.metadata["level"] == "impossible"]
    assert hidden
    for sample in hidden:
        match = re.fullmatch(r"What color is the (\w+) hidden behind the (\w+)\?", question(sample))
        assert match
        (thing,) = pictures(sample)[0]
        assert (thing.shape, match[1] != match[2]) == (match[2], True)
        assert sample.answer in COLORS


def test_a_small_share_has_two_pictures(samples: tuple[Sample, ...]) -> None:
    pairs = [sample for sample in samples if len(media(sample)) == 2]
    assert 0.03 < len(pairs) / len(samples) < 0.25
    assert {sample.answer for sample in pairs} == {"first", "second"}


def test_no_answer_can_be_guessed_well(samples: tuple[Sample, ...]) -> None:
    """Among the answers to one kind of question none is far more frequent than among equally likely ones."""
    for start, options in (("What color", 4), ("How many", 4), ("Is the", 2), ("In which", 2), ("Which is", 3)):
        answers = [sample.answer for sample in samples if question(sample).startswith(start)]
        assert max(map(answers.count, answers)) < len(answers) / options + 3.5 * (len(answers) / options) ** 0.5
