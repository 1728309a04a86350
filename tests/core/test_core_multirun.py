"""The table of a multirun, from real summary.json files; numbers are worked out by hand."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from uniopd_mm.run.multirun import Estimate, FinishedRun, estimate, report_multirun
from uniopd_mm.tracking.summary import Summary, write_summary
from uniopd_mm.types import UserError

COMMON = ("task=video_qa", "++data.columns.question=prompt")


def finished(root: Path, seconds: float, after: dict[str, float | None], *overrides: str, **fields: Any) -> FinishedRun:
    """A run with its summary; the student begins at 0.25 in every domain, and the teacher has 1.0."""
    folder = root / "-".join(override.replace("/", "_") for override in overrides)
    write_summary(
        folder,
        Summary(
            task="t",
            steps=2,
            accuracy_before=dict.fromkeys(after, 0.25),
            accuracy_after=after,
            teacher_accuracy=fields.pop("teacher", dict.fromkeys(after, 1.0)),
            num_questions=fields.pop("num_questions", dict.fromkeys(after, 100)),
            seconds=seconds,
        ),
    )
    return FinishedRun(folder=folder, overrides=(*overrides, *COMMON, f"run.name={folder.name}"), **fields)


def written(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "multirun.json").read_text(encoding="utf-8"))
    return record


def cells(folder: Path) -> list[list[str]]:
    """The table of multirun.md, with its header."""
    lines = (folder / "multirun.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("|")]
    return [rows[0], *rows[2:]]


def test_an_estimate_by_hand() -> None:
    """Deviations -2, -1 and 3: variance 14 / 2 = 7, standard error sqrt(7 / 3) = 1.5275."""
    assert estimate([1.0, None, 2.0, 6.0]) == Estimate(mean=3.0, standard_error=pytest.approx(1.527525, abs=1e-6))
    assert estimate([0.5]) == Estimate(mean=0.5, standard_error=None)
    assert estimate([None]) is None and estimate([]) is None


def test_two_recipes_of_three_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """opd: 0.70, 0.80, 0.90, mean 0.80, deviation 0.1, error 0.1 / sqrt(3) = 0.0577; seconds 10, 10, 40: mean 20,
    deviation sqrt(300) = 17.32, error 10. uni_opd: 0.9 twice, mean 0.9, error 0."""
    opd = [
        finished(tmp_path, s, {"v": a}, "recipe=opd", f"seed={i}")
        for i, (s, a) in enumerate([(10, 0.7), (10, 0.8), (40, 0.9)])
    ]
    uni = [finished(tmp_path, 30, {"v": 0.9}, "recipe=uni_opd", f"seed={i}", teacher={}) for i in range(2)]
    folder = report_multirun(tmp_path, [opd[0], uni[0], opd[1], uni[1], opd[2]])
    assert cells(folder) == [
        ["overrides", "seeds", "student before", "student after", "teacher", "seconds"],
        ["recipe=opd", "3", "25.0 ± 0.0", "80.0 ± 5.8", "100.0 ± 0.0", "20 ± 10"],
        ["recipe=uni_opd", "2", "25.0 ± 0.0", "90.0 ± 0.0", "-", "30 ± 0"],
    ]
    first, second = written(folder)["rows"]
    assert first["student_after"] == {"mean": pytest.approx(0.8), "standard_error": pytest.approx(0.057735, abs=1e-6)}
    assert (first["overrides"], first["num_seeds"], second["teacher"]) == (["recipe=opd"], 3, None)
    assert written(folder)["shared_overrides"] == ["task=video_qa", "data.columns.question=prompt"]
    shown = capsys.readouterr().out
    assert "v: 5 of 5 runs finished" in shown and str(folder / "multirun.md") in shown
    rows = [" ".join(line.split()) for line in shown.splitlines()]
    assert "recipe=opd 3 25.0 ± 0.0 80.0 ± 5.8 100.0 ± 0.0 20 ± 10" in rows, "80 columns are enough"


def test_one_seed_has_no_standard_error_and_seeds_alone_need_no_overrides(tmp_path: Path) -> None:
    folder = report_multirun(tmp_path, [finished(tmp_path, 61.6, {"v": 0.5}, "seed=3")])
    assert cells(folder)[1] == ["1", "25.0", "50.0", "100.0", "62"]
    assert written(folder)["rows"][0]["student_after"] == {"mean": 0.5, "standard_error": None}
    folder = report_multirun(tmp_path, [finished(tmp_path, 60, {"v": a}, f"seed={a}") for a in (0.25, 0.75)])
    assert cells(folder)[1] == ["2", "25.0 ± 0.0", "50.0 ± 25.0", "100.0 ± 0.0", "60 ± 0"]


def test_domains_have_rows_and_one_over_all_questions(tmp_path: Path) -> None:
    """300 questions of a and 100 of b: 0.75 * 0.8 + 0.25 * 0.4 = 0.7, and 0.75 * 0.6 + 0.25 * 0.6 = 0.6."""
    counts = {"a": 300, "b": 100}
    runs = [
        finished(tmp_path, 9, {"a": a, "b": b}, f"seed={a}", num_questions=counts) for a, b in ((0.8, 0.4), (0.6, 0.6))
    ]
    folder = report_multirun(tmp_path, runs)
    after = [(row[0], row[3]) for row in cells(folder)[1:]]
    assert after == [("a", "70.0 ± 10.0"), ("b", "50.0 ± 10.0"), ("all", "65.0 ± 5.0")]


def test_runs_that_failed_are_counted_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a summary, with one that cannot be read, refused before there was a folder, and with a summary of an
    earlier attempt."""
    good = finished(tmp_path, 5, {"v": 0.5}, "recipe=opd", "seed=0")
    killed, damaged = tmp_path / "killed", tmp_path / "damaged"
    killed.mkdir()
    damaged.mkdir()
    (damaged / "summary.json").write_text("{", encoding="utf-8")
    runs = [
        good,
        FinishedRun(folder=killed, overrides=("recipe=opd", "seed=1", *COMMON)),
        FinishedRun(folder=damaged, overrides=("recipe=opd", "seed=2", *COMMON)),
        FinishedRun(folder=None, overrides=("recipe=gkd", "seed=0", *COMMON), error="recipe.gate=|: must be above 0"),
        finished(tmp_path, 5, {"v": 0.5}, "recipe=sft", "seed=0", error="it failed when it was resumed"),
    ]
    folder = report_multirun(tmp_path, runs)
    assert [row[:3] for row in cells(folder)[1:]] == [
        ["recipe=opd", "1 of 3", "25.0"],
        ["recipe=gkd", "0 of 1", "-"],
        ["recipe=sft", "0 of 1", "-"],
    ]
    text = (folder / "multirun.md").read_text(encoding="utf-8")
    assert f"- recipe=opd seed=1 ({killed}) failed: it did not finish: there is no summary.json\n" in text
    assert f"- recipe=opd seed=2 ({damaged}) failed: {damaged}/summary.json: not a run's summary" in text
    assert "- recipe=gkd seed=0 failed: recipe.gate=|: must be above 0\n" in text and "1 of 5 runs finished" in text
    assert [run["folder"] for run in written(folder)["failed"][:3]] == [str(killed), str(damaged), None]
    shown = capsys.readouterr().out
    assert shown.count("warning: ") == 4 and "warning: recipe=gkd seed=0 failed: recipe.gate=|" in shown


def test_multiruns_that_end_at_once_get_folders_of_their_own(tmp_path: Path) -> None:
    run = finished(tmp_path, 5, {"v": 0.5}, "seed=0")
    with ThreadPoolExecutor(8) as pool:
        folders = set(pool.map(lambda _: report_multirun(tmp_path, [run]), range(8)))
    assert len(folders) == 8 and all((folder / "multirun.json").exists() for folder in folders)


def test_a_root_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"run.root={tmp_path}/file: .*choose a folder you can write to"):
        report_multirun(tmp_path / "file", [FinishedRun(folder=None, overrides=("seed=0",), error="refused")])
