"""The built-in zoo and its data: made once, whole or not at all, the same from the same seed."""

import hashlib
import importlib
import os
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from job_parts import FORKED, TIMEOUT
from safetensors.torch import load_file

from uniopd_mm.models import zoo
from uniopd_mm.models.zoo import SFTOptions, make_checkpoint
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.tiny import TinyQwen3VL
from uniopd_mm.tasks.synthetic.problems import WRITTEN
from uniopd_mm.tasks.synthetic.video_questions import KINDS, SyntheticVideoQuestions
from uniopd_mm.types import Media, Sample, UserError

GENERATOR = SyntheticVideoQuestions(num_pretrain=24, num_train=12, num_validation=8)
SFT = SFTOptions(accuracy=0.0, max_steps=2, batch_size=4, check_every=1, num_checked=4)


def made(sft: SFTOptions = SFT, frames: int = 6, hidden_size: int = 64, name: str = "tiny") -> str:
    return make_checkpoint(
        name=name,
        generator=GENERATOR,
        sft=sft,
        processor=partial(QwenVLProcessor, video_num_frames=frames),
        architecture=TinyQwen3VL(hidden_size=hidden_size, num_layers=1),
    )


def test_a_change_beside_the_generator_makes_another_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_set").mkdir()
    (tmp_path / "own_set" / "__init__.py").touch()
    (tmp_path / "own_set" / "questions.py").write_text("class Questions: ...\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("own_set.questions")
    before = zoo._sources(module)
    (tmp_path / "own_set" / "shared.py").write_text("COLOURS = 3\n", encoding="utf-8")
    assert sorted(zoo._sources(module)) == sorted([*before, "COLOURS = 3\n"])


def made_in(cache: str, out: str) -> None:
    """In a process of its own: build, and write down where."""
    os.environ["UNIOPD_MM_CACHE"] = cache
    Path(out).write_text(made(), encoding="utf-8")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> Path:
    """An empty zoo; the clips are those of the other tests."""
    folder = tmp_path / "cache"
    GENERATOR.samples("pretrain")
    folder.mkdir()
    (folder / "data").symlink_to(own_cache / "data")
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(folder))
    return folder


def test_a_low_accuracy_is_reached_on_a_few_clips(cache: Path) -> None:
    plan = SFTOptions(accuracy=0.1, max_steps=120, batch_size=12, check_every=10, num_checked=8)
    folder = Path(made(plan))
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {path.name for path in folder.iterdir()}
    assert folder.parent == cache / "zoo"
    modified = (folder / "model.safetensors").stat().st_mtime_ns
    assert made(plan) == str(folder)
    assert (folder / "model.safetensors").stat().st_mtime_ns == modified


def test_steps_of_cooling_down_follow_the_wanted_accuracy(cache: Path) -> None:
    plan = {**vars(SFT), "accuracy": 0.1, "max_steps": 120, "batch_size": 12, "check_every": 10}
    plan |= {"num_checked": 8}
    hot, cold = (Path(made(SFTOptions(**{**plan, "cooldown_steps": steps}))) for steps in (0, 3))
    assert (hot / "model.safetensors").read_bytes() != (cold / "model.safetensors").read_bytes()


def test_the_same_seed_gives_the_same_bits_and_another_parameter_another_folder(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Path(made())
    again = cache.parent / "again"
    again.mkdir()
    (again / "data").symlink_to((cache / "data").resolve())
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(again))
    second = Path(made())
    assert first.name == second.name and first != second
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert (first / "tokenizer.json").read_bytes() == (second / "tokenizer.json").read_bytes()
    others = [
        made(SFTOptions(**{**vars(SFT), "seed": 1})),
        made(SFTOptions(**{**vars(SFT), "learning_rate": 1e-3})),
        made(frames=4),
        made(hidden_size=128),
        made(name="sapling"),
    ]
    assert len({second.name, *(Path(other).name for other in others)}) == 6
    assert load_file(second / "model.safetensors").keys() == load_file(Path(others[0]) / "model.safetensors").keys()


def test_what_is_out_of_reach_is_said_and_leaves_nothing(cache: Path) -> None:
    with pytest.raises(UserError, match=r"builder of tiny: accuracy=0\.\d+ after sft\.max_steps=2, wanted 1\.1; raise"):
        made(SFTOptions(**{**vars(SFT), "accuracy": 1.1}))
    assert [path.suffix for path in (cache / "zoo").iterdir()] == [".lock"]


@pytest.mark.parametrize("num_checked", [0, 24, 100])
def test_an_exam_of_nothing_or_everything_is_refused(cache: Path, num_checked: int) -> None:
    with pytest.raises(UserError, match=f"num_checked={num_checked} of 24"):
        made(SFTOptions(**{**vars(SFT), "num_checked": num_checked}))


def test_neither_and_both_beginnings_are_refused() -> None:
    make = partial(make_checkpoint, name="x", generator=GENERATOR, sft=SFT, processor=QwenVLProcessor)
    for given in ({}, {"architecture": TinyQwen3VL(), "base": "folder"}):
        with pytest.raises(UserError, match="either `architecture` or `base`"):
            make(**given)


def test_two_processes_build_once(cache: Path, tmp_path: Path) -> None:
    outs = [tmp_path / "one", tmp_path / "two"]
    processes = [FORKED.Process(target=made_in, args=(str(cache), str(out))) for out in outs]
    for process in processes:
        process.start()
    for process in processes:
        process.join(TIMEOUT)
        assert process.exitcode == 0
    first, second = (Path(out.read_text()) for out in outs)
    assert first == second and first.is_dir()
    assert sorted(path.suffix for path in (cache / "zoo").iterdir()) == ["", ".lock"]


def test_a_killed_build_leaves_nothing_whole_and_is_made_anew(cache: Path, tmp_path: Path) -> None:
    process = FORKED.Process(target=made_in, args=(str(cache), str(tmp_path / "out")))
    process.start()
    deadline = time.monotonic() + TIMEOUT
    while not list((cache / "zoo").glob("*/checkpoint/model.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.001)
    process.kill()
    process.join(TIMEOUT)
    assert process.exitcode == -signal.SIGKILL
    (scratch,) = (path for path in (cache / "zoo").iterdir() if path.is_dir())
    assert "." in scratch.name, "a half-built checkpoint must not bear the name of a whole one"
    folder = Path(made())
    assert (folder / "model.safetensors").exists()
    assert {path for path in (cache / "zoo").iterdir() if path.is_dir()} == {folder}


def test_writing_clips_that_was_interrupted_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path))
    whole = files(GENERATOR.samples("validation").samples)
    (folder,) = {path.parent for path in whole}
    (folder / "rows.jsonl").unlink()
    sorted(whole)[3].unlink()
    sorted(whole)[5].write_bytes(b"half a file")
    assert files(GENERATOR.samples("validation").samples) == whole


def test_splits_share_no_clip(own_cache: Path) -> None:
    """Compared as pixels before encoding and as files; first_event alone has but a few hundred different scenes."""
    generator = SyntheticVideoQuestions(num_pretrain=160, num_train=160, num_validation=160, size=32)
    clips = {split: set(files(generator.samples(split).samples).values()) for split in WRITTEN}
    assert not clips["pretrain"] & clips["train"]
    assert not (clips["pretrain"] | clips["train"]) & clips["validation"]


def test_answers_are_spread_evenly(own_cache: Path) -> None:
    """Each kind's answers within 5 standard deviations of equal shares, in every split; no kind gives itself away."""
    generator = SyntheticVideoQuestions(num_pretrain=160, num_train=160, num_validation=160, size=32)
    for split in WRITTEN:
        samples = generator.samples(split).samples
        for kind in range(len(KINDS)):
            answers = Counter(sample.answer for sample in samples[kind :: len(KINDS)])
            total, expected = sum(answers.values()), {0: 4, 1: 4, 2: 4, 3: 3}[kind]
            assert len(answers) == expected
            share = 1 / expected
            limit = 5 * (total * share * (1 - share)) ** 0.5
            assert all(abs(count - total * share) <= limit for count in answers.values()), (split, kind, answers)


def files(samples: tuple[Sample, ...]) -> dict[Path, str]:
    """The clip of every sample with a hash of its content."""
    media = [part for sample in samples for part in sample.messages[0].content if isinstance(part, Media)]
    return {Path(medium.source): hashlib.sha256(Path(medium.source).read_bytes()).hexdigest() for medium in media}
