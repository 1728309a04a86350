"""Several tasks as one: whose samples come first, who grades, and that domains are told apart."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import pytest

from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.mixture import TaskMixture
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.synthetic.mixture import SyntheticMixture
from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions
from uniopd_mm.tasks.video_qa import VideoQaTask
from uniopd_mm.types import Corpus, Sample, Skip, UserError


def rows(folder: Path, name: str, answers: Sequence[object]) -> RowSource:
    lines = [
        {"id": f"{name}-{number}", "question": "What?", "answer": answer, "split": split}
        for split in ("train", "validation")
        for number, answer in enumerate(answers)
    ]
    path = folder / f"{name}.jsonl"
    unique = [{**line, "id": f"{line['id']}-{line['split']}"} for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in unique))
    return RowSource(path=str(path))


@pytest.fixture
def mathematics(tmp_path: Path) -> MathTask:
    return MathTask(rows=rows(tmp_path, "math", ["\\sqrt{8}", "7", None]))


@pytest.fixture
def clips(generator: SyntheticVideoQuestions) -> VideoQaTask:
    return VideoQaTask(rows=RowSource(), synthetic=generator)


def test_samples_come_one_task_after_another(mathematics: MathTask, clips: VideoQaTask) -> None:
    for split in ("train", "validation"):
        mixed = TaskMixture(tasks={"x": clips, "y": mathematics}).samples(split)
        assert mixed.samples == (*clips.samples(split).samples, *mathematics.samples(split).samples)
        assert mixed.skipped == mathematics.samples(split).skipped and len(mixed.skipped) == 2
        assert [sample.domain for sample in mixed][-2:] == ["math", "math"]


def test_each_is_graded_by_the_task_of_its_domain(mathematics: MathTask, clips: VideoQaTask) -> None:
    """A root is a number to one of them alone; a demonstration of the other is right to it."""
    task = TaskMixture(tasks={"clips": clips, "mathematics": mathematics}, domain="all")
    samples = task.samples("train")
    root = next(sample for sample in samples if sample.answer == "\\sqrt{8}")
    assert task.grade(root, "\\boxed{2\\sqrt{2}}").correct is True
    assert clips.grade(root, "\\boxed{2\\sqrt{2}}").correct is not True
    clip = next(sample for sample in samples if sample.domain == "video_qa")
    assert task.grade(clip, str(clip.demonstration)).correct is True
    for sample, response in ((root, "\\boxed{3}"), (clip, "\\boxed{0.5}")):
        own = mathematics if sample.domain == "math" else clips
        assert task.grade(sample, response) == own.grade(sample, response)
        assert task.grade(sample, response).correct is not True
    assert task.domain == "all"


def test_domains_must_differ(mathematics: MathTask, tmp_path: Path) -> None:
    other = MathTask(rows=rows(tmp_path, "more", ["3"]))
    with pytest.raises(UserError, match=r"task.tasks: the domains must differ \(a: math, b: math\)"):
        TaskMixture(tasks={"a": mathematics, "b": other})
    named = MathTask(rows=rows(tmp_path, "more", ["3"]), domain="more")
    assert len(TaskMixture(tasks={"a": mathematics, "b": named}).samples("train")) == 3


def test_a_mixture_of_nothing_is_refused() -> None:
    with pytest.raises(UserError, match=r"task.tasks: .*\(none\)"):
        TaskMixture(tasks={})


def test_a_task_whose_samples_name_another_domain_is_refused(
    clips: VideoQaTask, mathematics: MathTask, generator: SyntheticVideoQuestions
) -> None:
    """Nobody would grade them."""
    stray = VideoQaTask(rows=RowSource(), synthetic=generator, domain="films")
    with pytest.raises(UserError, match=r"task of domain 'films' has samples of domain video_qa"):
        TaskMixture(tasks={"a": stray, "b": mathematics}).samples("train")
    inner = TaskMixture(tasks={"a": clips, "b": mathematics})
    with pytest.raises(UserError, match=r"task of domain 'mixture' has samples of domain math, video_qa"):
        TaskMixture(tasks={"inner": inner}).samples("train")


@pytest.mark.parametrize("split", ["nowhere"])
def test_a_split_that_a_task_lacks_is_its_own_error(mathematics: MathTask, clips: VideoQaTask, split: str) -> None:
    with pytest.raises(UserError, match="nowhere"):
        TaskMixture(tasks={"a": mathematics, "b": clips}).samples(split)


@final
@dataclass(frozen=True)
class Fixed:
    """A source of given samples."""

    corpus: Corpus

    def samples(self, split: str) -> Corpus:
        return self.corpus


def numbered(name: str, num: int, like: Sample) -> Fixed:
    samples = tuple(replace(like, sample_id=f"{name}{number}", domain=name) for number in range(num))
    return Fixed(Corpus(samples=samples, skipped=(Skip(where=name, reason="torn"),)))


def test_sources_take_turns_until_each_is_used_up(samples: tuple[Sample, ...]) -> None:
    like = samples[0]
    mixed = SyntheticMixture(
        sources={"a": numbered("a", 2, like), "b": numbered("b", 4, like), "c": numbered("c", 1, like)}
    ).samples("pretrain")
    assert [sample.sample_id for sample in mixed] == ["a0", "b0", "c0", "a1", "b1", "b2", "b3"]
    assert [skip.where for skip in mixed.skipped] == ["a", "b", "c"]


def test_any_number_from_the_front_has_about_as_many_of_each(generator: SyntheticVideoQuestions) -> None:
    other = SyntheticVideoQuestions(num_pretrain=20, num_train=6, num_validation=6, domain="other", seed=3)
    mixed = SyntheticMixture(sources={"one": generator, "other": other}).samples("pretrain")
    assert len(mixed) == 44
    for num in range(0, 41):
        front = [sample.domain for sample in mixed[:num]]
        assert abs(front.count("video_qa") - front.count("other")) <= 1


def test_its_repr_says_what_it_is_made_of(generator: SyntheticVideoQuestions) -> None:
    """The zoo keeps checkpoints under a hash of it."""
    text = repr(SyntheticMixture(sources={"one": generator}))
    assert repr(generator) in text
