"""results.json, and lmms-eval's results of a task as a score."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_scores import score

from uniopd_mm.evaluation.records import Paper, ResponseStats, Score, Status, SuiteTask
from uniopd_mm.evaluation.results import (
    departures,
    difference,
    normalised,
    read_manifest,
    read_results,
    score_from_json,
    score_of,
    score_to_json,
    write_results,
)
from uniopd_mm.types import Skip, UserError

_OURS = SuiteTask(task="uniopd_aime24", title="AIME 2024", domain="math", paper=Paper(uni_opd=63.3))


_STATS = ResponseStats(num_responses=120, truncated=2, response_tokens=1000)


def _score_of(results: Mapping[str, Any], task: SuiteTask = _OURS, **changes: Any) -> Score:
    """Of 30 questions with 4 responses each."""
    known = {"checkpoint": "a", "status": Status.DONE, "num_questions": 30, "num_samples": 4, "stats": _STATS}
    return score_of(results, task, **{**known, **changes})


_TEXTS = st.text(st.characters(), max_size=12)  # lone surrogates too
_FLOATS = st.floats(allow_nan=False)
_COUNTS = st.integers(0, 10**12)
_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats(-1e6, 1e6) | _TEXTS, st.lists, max_leaves=4)
_SCORES = st.builds(
    Score,
    checkpoint=_TEXTS,
    task=_TEXTS,
    title=_TEXTS,
    domain=_TEXTS,
    status=st.sampled_from(Status),
    metric=_TEXTS,
    value=st.none() | _FLOATS,
    standard_error=st.none() | _FLOATS,
    num_questions=_COUNTS,
    num_samples=_COUNTS,
    extras=st.dictionaries(_TEXTS, _FLOATS, max_size=3),
    unknown=_COUNTS,
    truncated=_COUNTS,
    response_tokens=_COUNTS,
    unreadable=st.lists(st.builds(Skip, where=_TEXTS, reason=_TEXTS), max_size=2).map(tuple),
    contaminated=st.none() | _COUNTS,
    seconds=_FLOATS,
    settings=st.dictionaries(_TEXTS, _JSON, max_size=3),
    departures=st.lists(_TEXTS, max_size=2).map(tuple),
    reason=st.none() | _TEXTS,
    paper=st.builds(Paper, student=st.none() | _FLOATS, opd=st.none() | _FLOATS, uni_opd=st.none() | _FLOATS),
)


@settings(deadline=None)  # the cores are shared
@given(written=_SCORES)
def test_a_score_survives_standard_json(written: Score) -> None:
    text = json.dumps(score_to_json(written), allow_nan=False)
    assert score_from_json(json.loads(text)) == written


def test_the_file_has_the_documented_schema_and_reads_back(tmp_path: Path) -> None:
    unreadable = (Skip(where="aime:3", reason="no problem"),)
    scores = [score(value=65.0, unreadable=unreadable), score("b", contaminated=1), score("b", "uniopd_ai2d", None)]
    path = write_results(tmp_path, scores, {"seed": 0, "output": Path("runs")})
    record = json.loads(path.read_text())
    assert path.name == "results.json" and record.keys() == {"schema", "scale", "manifest", "scores"}
    assert (record["schema"], record["scale"], record["manifest"]) == (1, "0-100", {"seed": 0, "output": "runs"})
    first = record["scores"][0]
    assert first.keys() == {*Score.__slots__, "difference"}
    assert first["difference"] == pytest.approx(1.7)
    assert first["paper"] == {"student": 23.0, "opd": 57.9, "uni_opd": 63.3}
    assert first["unreadable"] == [{"where": "aime:3", "reason": "no problem"}]
    assert read_results(path) == scores
    assert read_manifest(path) == {"seed": 0, "output": "runs"}


def test_every_field_of_the_schema_is_documented() -> None:
    documentation = score_of.__globals__["__doc__"]
    assert all(f'"{name}"' in documentation for name in (*Score.__slots__, *Paper.__slots__, "difference", "schema"))


def test_numbers_that_are_none_survive_the_file(tmp_path: Path) -> None:
    odd = score(value=math.nan, standard_error=math.inf, extras={"pass@4": math.nan})
    (read,) = read_results(write_results(tmp_path, [odd], {}))
    assert read.value is not None and math.isnan(read.value) and read.standard_error == math.inf
    assert math.isnan(read.extras["pass@4"])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 1, "scores": 3, "manifest": {}}',
        '{"schema": 1, "scores": [{}], "manifest": {}}',
        "\0",
    ],
)
def test_another_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(UserError, match=r"results\.json: not .* run (it|the sweep) again"):
        read_results(tmp_path / "results.json")


def test_a_missing_file_and_another_schema_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"results\.json: not the results of a sweep \(FileNotFoundError"):
        read_results(tmp_path / "results.json")
    (tmp_path / "results.json").write_text('{"schema": 2, "scores": [], "manifest": {}}')
    with pytest.raises(UserError, match="schema 2, but this version reads 1"):
        read_results(tmp_path / "results.json")


def test_a_damaged_score_is_refused(tmp_path: Path) -> None:
    path = write_results(tmp_path, [score()], {})
    path.write_text(path.read_text().replace('"done"', '"splendid"'))
    with pytest.raises(UserError, match=r"not a score \(ValueError: 'splendid' is not a valid Status\)"):
        read_results(path)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".results.json.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"results\.json: no space left on the device"):
        write_results(tmp_path, [score()], {})


@pytest.mark.parametrize(
    ("value", "scale", "expected"),
    [
        (0.25, 1, 25.0),
        (25.0, 100, 25.0),
        (1, 1, 100.0),
        ("12.3%", 1, 12.3),
        (" 12.34 % ", 100, 12.34),
        ("0.5", 1, 50.0),
        (np.float32(0.5), 1, 50.0),
        (np.int64(1), 1, 100.0),
        ("N/A", 1, None),
        ("", 1, None),
        ("%", 1, None),
        ("nan%", 1, None),
        (math.nan, 1, None),
        (math.inf, 100, None),
        (10**400, 1, None),
        (None, 1, None),
        (True, 1, None),
        ([0.5], 1, None),
    ],
)
def test_values_of_any_scale(value: Any, scale: float, expected: float | None) -> None:
    found = normalised(value, scale)
    assert found is None if expected is None else found == pytest.approx(expected)


@settings(deadline=None)
@given(value=st.floats(0, 100))
def test_what_has_the_scale_already_is_kept_to_the_bit(value: float) -> None:
    assert normalised(value, 100.0) == value
    assert normalised(f"{value!r}%", 1.0) == value


def test_our_results_become_a_score() -> None:
    results = {
        "alias": "uniopd_aime24",
        "score,none": 41.7,
        "score_stderr,none": "N/A",
        "score_se,none": 2.5,
        "score_se_stderr,none": "N/A",
        "pass@k,none": 60.0,
        "pass@k_stderr,none": "N/A",
        "majority@k,none": 53.3,
        "unknown,none": 3,
        "unknown_stderr,none": "N/A",
    }
    unreadable = (Skip(where="aime:3", reason="no problem"),)
    made = _score_of(
        results,
        status=Status.INCOMPLETE,
        stats=replace(_STATS, unreadable=unreadable),
        contaminated=0,
        seconds=12.5,
        settings={"temperature": 1.0},
        metric="avg@k",
        departures=("4 of 32 responses",),
    )
    assert made == Score(
        checkpoint="a",
        task="uniopd_aime24",
        title="AIME 2024",
        domain="math",
        status=Status.INCOMPLETE,
        metric="avg@4",
        value=41.7,
        standard_error=2.5,
        num_questions=30,
        num_samples=4,
        extras={"pass@4": 60.0, "majority@4": 53.3},
        unknown=3,
        truncated=2,
        response_tokens=1000,
        unreadable=unreadable,
        contaminated=0,
        seconds=12.5,
        settings={"temperature": 1.0},
        departures=("4 of 32 responses",),
        paper=Paper(uni_opd=63.3),
    )
    assert difference(made) == pytest.approx(-21.6)


def test_results_of_lmms_evals_own_tasks_are_scaled_with_their_error() -> None:
    task = SuiteTask(task="chartqa", title="ChartQA", domain="document", metric="relaxed_overall", scale=1.0)
    results = {
        "relaxed_overall,none": 0.758,
        "relaxed_overall_stderr,none": 0.01,
        "relaxed_overall_stderr_clt,none": 7.0,
        "relaxed_human_split,none": 0.6,
        "samples": 2500,
        " ": " ",
    }
    made = _score_of(results, task, num_samples=1)
    assert made.value == pytest.approx(75.8) and made.standard_error == pytest.approx(1.0)
    assert made.metric == "relaxed_overall" and made.extras == {"relaxed_human_split": pytest.approx(60.0)}
    without = _score_of({**results, "relaxed_overall_stderr,none": "N/A"}, task)
    assert without.standard_error is None
    assert _score_of({"relaxed_overall,none": 1.0}, task).standard_error is None


def test_the_standard_error_of_one_question_is_unknown() -> None:
    assert _score_of({"score,none": 100.0, "score_se,none": math.nan}).standard_error is None


def test_values_that_are_texts_are_read() -> None:
    task = SuiteTask(task="wemath_testmini_reasoning", title="WeMath", domain="math", metric="wemath_loose")
    made = _score_of({"wemath_loose,none": "78.29%", "wemath_strict,none": "70.10%"}, task)
    assert made.value == 78.29 and made.extras == {"wemath_strict": 70.1}


def test_a_filter_is_found_whatever_its_name() -> None:
    task = SuiteTask(task="ai2d", title="AI2D", domain="document", metric="exact_match", scale=1.0)
    one = {"exact_match,flexible-extract": 0.8, "exact_match_stderr,flexible-extract": 0.02}
    assert _score_of(one, task).value == pytest.approx(80.0)
    assert _score_of(one, task).standard_error == pytest.approx(2.0)
    several = {**one, "exact_match,strict": 0.5}
    with pytest.raises(ValueError, match="'exact_match' has several filters"):
        _score_of(several, task)
    assert _score_of({**several, "exact_match,none": 0.25}, task).value == 25.0
    named = replace(task, metric="exact_match,strict")
    assert _score_of(several, named).value == 50.0


def test_a_missing_metric_names_those_that_are_there() -> None:
    with pytest.raises(ValueError, match=r"uniopd_aime24: 'score' is not one of its metrics; .* are: accuracy,none"):
        _score_of({"accuracy,none": 1.0, "accuracy_stderr,none": 0.1, "alias": "x"})
    with pytest.raises(ValueError, match="the metrics are: none"):
        _score_of({})


@pytest.mark.parametrize("value", ["N/A", math.nan, None, []])
def test_a_value_that_is_no_number_is_no_score(value: Any) -> None:
    with pytest.raises(ValueError, match="which is not a number"):
        _score_of({"score,none": value})


def test_a_wrong_scale_is_noticed() -> None:
    task = SuiteTask(task="chartqa", title="ChartQA", domain="document", metric="relaxed_overall", scale=1.0)
    with pytest.raises(ValueError, match=r"75\.8, outside of 0 to 1; set the suite's scale"):
        _score_of({"relaxed_overall,none": 75.8}, task)


def test_departures_are_where_less_was_used() -> None:
    used = {"questions": 8, "responses": 32, "tokens of a response": 512, "seeds": 1}
    published = {"questions": 30, "responses": 32, "tokens of a response": 16384}
    assert departures(used, published) == ("8 of 30 questions", "512 of 16384 tokens of a response")
    assert departures({"questions": 8}, {"questions": None}) == ("8 questions only",)
    assert departures({"questions": 8}, {"questions": 0}) == ()
