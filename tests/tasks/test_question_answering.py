"""What a user's own adapter is made of: `QuestionAnswering`, or `TaskCorpus` with a parser of its own."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from judge_parts import Endpoint, serving

from uniopd_mm.tasks.grading.answers import grade_open
from uniopd_mm.tasks.grading.judge import Judge
from uniopd_mm.tasks.question_answering import QuestionAnswering
from uniopd_mm.tasks.reading.corpus import TaskCorpus
from uniopd_mm.tasks.reading.questions import FIELDS, read_answer, read_sample
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Outcome, Sample, UserError


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with serving() as told:
        yield told


def rows(folder: Path, **row: Any) -> RowSource:
    path = folder / "rows.jsonl"
    path.write_text(json.dumps({"question": "How many?", "answer": 3, **row}), encoding="utf-8")
    return RowSource(path=str(path), validation_fraction=0)


def questions(source: RowSource, **options: Any) -> QuestionAnswering:
    return QuestionAnswering(source, None, instruction="Count.", domain="tiles", **options)


def test_open_answers_are_compared_by_the_adapter(tmp_path: Path) -> None:
    asked = questions(rows(tmp_path))
    (sample,) = asked.samples("train")
    assert (sample.domain, sample.answer, sample.messages[0].content) == ("tiles", "3", ("How many?\nCount.",))
    compared: list[tuple[str, str | None]] = []

    def grade(response: str, reference: str | None) -> Outcome:
        compared.append((response, reference))
        return grade_open(response, reference)

    assert [asked.grade(sample, text, grade).correct for text in ("3", "4")] == [True, False]
    assert compared == [("3", "3"), ("4", "3")]


def test_choices_are_graded_as_choices_and_never_by_the_adapter(tmp_path: Path) -> None:
    asked = questions(rows(tmp_path, choices=["two", "three"], answer="B"))
    (sample,) = asked.samples("train")

    def never(response: str, reference: str | None) -> Outcome:
        raise AssertionError(response)

    assert [asked.grade(sample, text, never).correct for text in ("B", "A")] == [True, False]


def test_only_what_the_rules_find_wrong_goes_to_the_judge(tmp_path: Path, endpoint: Endpoint) -> None:
    asked = questions(rows(tmp_path), judge=Judge(base_url=endpoint.url, model="m"))
    (sample,) = asked.samples("train")
    assert asked.grade(sample, "3", grade_open).correct and not endpoint.requests
    assert asked.grade(sample, "trois", grade_open).reason.startswith("judge:")
    shown = json.loads(endpoint.requests[0]["messages"][1]["content"])
    assert (shown["question"], shown["reference"]) == ("How many?\nCount.", "3")


def test_a_field_that_the_adapter_needs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no images"):
        questions(rows(tmp_path), needs=("images",)).samples("train")


def test_an_adapter_may_parse_its_rows_itself(tmp_path: Path) -> None:
    def parse(row: Row) -> tuple[Sample, str | None]:
        return read_sample(row, domain="tiles", instruction="Count.", answer=read_answer(row, None))

    (own,) = TaskCorpus(rows(tmp_path), None, parse, FIELDS).samples("train")
    assert (own,) == questions(rows(tmp_path)).samples("train").samples
