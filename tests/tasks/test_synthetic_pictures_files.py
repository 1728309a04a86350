"""What both sets of pictures promise of their files, splits, levels and demonstrations."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from uniopd_mm.tasks.synthetic.chart_questions import SyntheticChartQuestions
from uniopd_mm.tasks.synthetic.picture_questions import SyntheticPictureQuestions
from uniopd_mm.types import Media, Sample, UserError

Generator = SyntheticPictureQuestions | SyntheticChartQuestions
SIZES = {"num_pretrain": 60, "num_train": 50, "num_validation": 40}
BOTH: tuple[Generator, ...] = (SyntheticPictureQuestions(**SIZES), SyntheticChartQuestions(**SIZES))
SPLITS = {"pretrain": 60, "train": 50, "validation": 40, "habits": 60}


@pytest.fixture(params=BOTH, ids=["pictures", "charts"])
def generator(request: pytest.FixtureRequest) -> Generator:
    return request.param


def images(samples: Sequence[Sample]) -> list[Path]:
    parts = (part for sample in samples for part in sample.messages[0].content)
    return [Path(part.source) for part in parts if isinstance(part, Media)]


def contents(samples: Sequence[Sample]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in images(samples)]


def without_folder(samples: Sequence[Sample], folder: Path) -> str:
    return json.dumps([dict(sample.row) for sample in samples]).replace(str(folder), "")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path))
    return tmp_path


def test_the_same_seed_gives_the_same_files_and_rows(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    for name in ("one", "two"):
        monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path / name))
        samples = generator.samples("train")
        made.append((contents(samples), without_folder(samples, tmp_path / name)))
    assert made[0] == made[1]
    other = replace(generator, seed=1).samples("train")
    assert without_folder(other, tmp_path / "two") != made[0][1]
    assert not set(contents(other)) <= set(made[0][0])


def test_splits_share_no_picture(generator: Generator) -> None:
    splits = [set(contents(generator.samples(split))) for split in ("pretrain", "train", "validation")]
    assert len(set.union(*splits)) == sum(map(len, splits))
    assert images(generator.samples("habits")) == images(generator.samples("pretrain"))


def test_splits_have_the_asked_size_and_there_are_no_others(generator: Generator) -> None:
    for split, count in SPLITS.items():
        samples = generator.samples(split)
        assert len({sample.sample_id for sample in samples}) == len(samples) == count
    with pytest.raises(UserError, match="split=test"):
        generator.samples("test")


def test_every_picture_opens_in_its_size(generator: Generator) -> None:
    for path in images(generator.samples("validation")):
        assert path.is_absolute()
        with Image.open(path) as image:
            image.load()
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (generator.size, generator.size))


def test_an_interrupted_writing_is_done_again(generator: Generator, elsewhere: Path) -> None:
    samples = generator.samples("validation")
    before, rows = contents(samples), without_folder(samples, elsewhere)
    index, (first, second, *_) = next(elsewhere.rglob("rows.jsonl")), images(samples)
    index.rename(index.with_suffix(".partial"))
    first.write_bytes(first.read_bytes()[:40])
    second.unlink()
    again = generator.samples("validation")
    assert (contents(again), without_folder(again, elsewhere)) == (before, rows)
    assert not [*elsewhere.rglob("*.part*")]


def test_what_is_written_is_not_written_again(generator: Generator) -> None:
    path = images(generator.samples("validation"))[0]
    written = path.stat().st_mtime_ns
    assert generator.samples("validation") == generator.samples("validation")
    assert path.stat().st_mtime_ns == written


def test_rows_are_json_and_say_what_the_sample_says(generator: Generator) -> None:
    for sample in generator.samples("habits"):
        row = json.loads(json.dumps(dict(sample.row)))
        assert set(row) == {"id", "question", "answer", "images", "caption", "response"}
        *media, text = sample.messages[0].content
        assert text == f"{row['question']}\nAnswer in \\boxed{{}}."
        assert (row["id"], row["answer"], row["response"]) == (sample.sample_id, sample.answer, sample.demonstration)
        assert [Media(kind="image", source=source, caption=said) for source, said in _pairs(row)] == media


def _pairs(row: dict[str, list[str]]) -> list[tuple[str, str]]:
    return list(zip(row["images"], row["caption"], strict=True))


def test_levels_have_the_asked_shares(generator: Generator) -> None:
    shares = {"easy": 0.5, "hard": 0.3, "impossible": 0.2}
    asked = replace(generator, levels=shares, num_train=200).samples("train")
    counts = Counter(sample.metadata["level"] for sample in asked)
    assert set(counts) == set(shares)
    assert all(abs(counts[level] - 200 * share) <= 3 for level, share in shares.items())
    usual = Counter(sample.metadata["level"] for sample in replace(generator, num_train=400).samples("train"))
    assert set(usual) == {"easy", "medium", "hard", "impossible"}
    assert usual["impossible"] <= 0.05 * 400 + 2


@pytest.mark.parametrize("levels", [{}, {"easy": 0.5}, {"easy": 1.5, "hard": -0.5}, {"simple": 1.0}])
def test_shares_that_are_none_are_refused(generator: Generator, levels: dict[str, float]) -> None:
    with pytest.raises(UserError, match="levels"):
        replace(generator, levels=levels)


def test_demonstrations_end_in_the_answer_or_in_a_habit(generator: Generator) -> None:
    taught = generator.samples("pretrain")
    for sample in taught:
        thought, _, boxed = str(sample.demonstration).partition(" \\boxed")
        assert (bool(thought), boxed) == (True, f"{{{sample.answer}}}")
    habits = replace(generator, habit=1.0).samples("habits")
    said = {str(sample.demonstration).split("boxed")[1].strip("{}") for sample in habits}
    assert said <= {"red", "square", "1", "yes", "first"}
    assert generator.samples("habits") != taught
    assert replace(generator, habit=0.0).samples("habits") == taught
    kept = sum(one == other for one, other in zip(generator.samples("habits"), taught, strict=True))
    assert 0.25 < kept / len(taught) < 0.6
