"""What a worker decides beside evaluating: whom it asks nothing, what it marks, what it says of an error."""

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("lmms_eval")

from uniopd_mm.evaluation.checkpoints import Checkpoint
from uniopd_mm.evaluation.jobs import Job, Limits
from uniopd_mm.evaluation.records import SuiteTask
from uniopd_mm.evaluation.tasks import require_metric
from uniopd_mm.evaluation.worker import _reason, run_departures, unsupported_kinds
from uniopd_mm.types import UserError

WORDS = [{"role": "user", "content": "How many?"}]
PICTURE = [{"role": "user", "content": [{"type": "image", "url": "a.png"}, {"type": "text", "text": "How many?"}]}]
MISSING = FileNotFoundError("a.png")


@dataclass
class Asking:
    """A task, of which each document is its messages, or what making them raises."""

    eval_docs: list[Any]

    def doc_to_messages(self, doc: Any) -> Any:
        if isinstance(doc, Exception):
            raise doc
        return doc


def seeing(*binding: str) -> Any:
    return SimpleNamespace(processor=SimpleNamespace(settings=SimpleNamespace(binding=binding)))


@pytest.mark.parametrize(
    ("binding", "questions", "unseen"),
    [
        ((), [PICTURE], {"image"}),
        ((), [WORDS, WORDS, PICTURE], {"image"}),  # never answered in part, with nothing for what it cannot see
        ((), [MISSING, PICTURE], {"image"}),
        ((), [WORDS, WORDS], set()),
        (("image.pixel_values",), [WORDS, PICTURE], set()),
        (("video.pixel_values",), [MISSING, PICTURE], {"image"}),
        ((), [MISSING], set()),
    ],
)
def test_a_model_without_eyes_is_asked_nothing_about_pictures(
    binding: tuple[str, ...], questions: list[Any], unseen: set[str]
) -> None:
    assert unsupported_kinds(seeing(*binding), Asking(questions), len(questions)) == unseen


def test_only_the_questions_that_are_asked_count() -> None:
    assert unsupported_kinds(seeing(), Asking([WORDS, PICTURE]), 1) == set()


@pytest.mark.parametrize(("repeats", "marked"), [(1, ()), (2, ("2 responses only",))])
def test_a_number_of_responses_that_a_task_does_not_take_is_no_departure(repeats: int, marked: tuple[str, ...]) -> None:
    run: Any = SimpleNamespace(num_samples=repeats, num_questions=4)
    assert run_departures(limited(num_samples=2), run, {}) == marked


def test_a_metric_that_a_task_lacks_is_named_before_it_is_asked_anything() -> None:
    metrics = [{"metric": "relaxed_overall"}, {"metric": "relaxed_human_split"}]
    task: Any = SimpleNamespace(config=SimpleNamespace(task="chartqa", metric_list=metrics))
    require_metric(task, "relaxed_human_split")
    require_metric(task, "relaxed_human_split,none")
    with pytest.raises(UserError, match=r"chartqa has no metric score, but .* choose one as chartqa:relaxed_overall:1"):
        require_metric(task, "score")


def test_data_that_lack_questions_are_a_departure() -> None:
    run: Any = SimpleNamespace(num_samples=1, num_questions=4)
    assert run_departures(limited(), run, {"questions": 2500}) == ("4 of 2500 questions",)
    assert run_departures(limited(), run, {"questions": 4}) == run_departures(limited(), run, {}) == ()


def limited(**limits: int) -> Job:
    task = SuiteTask(task="chartqa", title="", domain="")
    return Job(checkpoint=Checkpoint(name="a", path="a"), task=task, limits=Limits(**limits), folder=Path())


def test_our_words_are_kept_whole_and_those_of_others_have_their_kind() -> None:
    ours = "a place: a reason,\nand so on" + ", and so on" * 99 + "; the remedy"
    assert _reason(UserError(ours)).endswith("; the remedy")
    assert _reason(KeyError("question")) == "KeyError: 'question'"
    assert len(_reason(ValueError("x" * 999))) < 400
