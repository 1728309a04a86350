"""The table of a sweep: cells, means, footnotes, and both ways of showing it."""

from io import StringIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_scores import failed, score
from rich.console import Console

from uniopd_mm.evaluation.comparison import short_names
from uniopd_mm.evaluation.records import Paper, Score, Status
from uniopd_mm.evaluation.table import Kind, SweepTable, cell_of, markdown, sweep_table, terminal_table
from uniopd_mm.types import Skip

_NONE = Paper()


def _cells(table: SweepTable) -> list[tuple[str, ...]]:
    return [row.cells for row in table.rows]


def _shown(table: SweepTable, width: int = 120, title: str = "") -> str:
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(terminal_table(table, title, width=width))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_row_has_checkpoints_the_papers_figures_and_differences() -> None:
    table = sweep_table([score("a", value=40.0, standard_error=1.25), score("b", value=65.0, standard_error=None)])
    assert table.columns == (
        "benchmark",
        "a",
        "b",
        "paper student",
        "paper OPD",
        "paper Uni-OPD",
        "minus Uni-OPD",
        "last - first",
    )
    assert _cells(table) == [("aime24", "40.0 ± 1.2", "65.0", "23.0", "57.9", "63.3", "+1.7", "+25.0")]


def test_columns_without_a_figure_are_left_out() -> None:
    table = sweep_table([score(paper=_NONE)])
    assert table.columns == ("benchmark", "a") and _cells(table) == [("aime24", "50.0 ± 1.0")]
    assert not any("Uni-OPD" in note for note in table.notes)


def test_tasks_that_are_not_ours_are_named() -> None:
    table = sweep_table([score(paper=_NONE), score(task="chartqa", paper=_NONE)])
    assert table.columns == ("benchmark", "task", "a") and table.num_names == 2
    assert _cells(table)[:2] == [("aime24", "", "50.0 ± 1.0"), ("chartqa", "chartqa", "50.0 ± 1.0")]


def test_means_by_hand() -> None:
    scores = [
        score("a", "uniopd_x", 10.0, standard_error=3.0, paper=Paper(uni_opd=20.0)),
        score("a", "uniopd_y", 30.0, standard_error=4.0, paper=_NONE),
        score("a", "uniopd_z", 80.0, standard_error=12.0, paper=Paper(uni_opd=90.0), domain="code"),
        score("a", "uniopd_w", 60.0, standard_error=None, paper=Paper(uni_opd=70.0), domain="code"),
    ]
    means = [row.cells for row in sweep_table(scores).rows if row.kind is Kind.MEAN]
    assert means == [
        ("math, mean of 2", "20.0 ± 2.5", "20.0 (1)", "-10.0 (1)"),  # sqrt(3² + 4²) / 2; the paper has one of them
        ("code, mean of 2", "70.0", "80.0", "-10.0"),
        ("all, mean of 4", "45.0", "60.0 (3)", "-10.0 (3)"),
    ]
    assert "(n): a mean over only n of them, for which the paper has figures" in sweep_table(scores).notes


def test_means_are_over_what_every_checkpoint_has() -> None:
    scores = [
        score("a", "uniopd_x", 10.0, paper=_NONE),
        score("a", "uniopd_y", 90.0, paper=_NONE),
        score("b", "uniopd_x", 20.0, paper=_NONE),
        failed("b", "uniopd_y", paper=_NONE),
    ]
    table = sweep_table(scores)
    assert _cells(table)[-1] == ("all, mean of 1 of 2", "10.0 ± 1.0", "20.0 ± 1.0", "+10.0")
    assert "means are over benchmarks that every checkpoint has; left out: y" in table.notes
    assert "failed: it ran out of memory: y (b)" in table.notes


def test_a_domain_of_one_benchmark_has_no_mean_and_a_single_domain_none_beside_the_overall_one() -> None:
    two_domains = sweep_table([score(task="uniopd_x"), score(task="uniopd_y", domain="code")])
    assert [row.cells[0] for row in two_domains.rows] == ["x", "y", "all, mean of 2"]
    one_domain = sweep_table([score(task="uniopd_x"), score(task="uniopd_y")])
    assert [row.cells[0] for row in one_domain.rows] == ["x", "y", "all, mean of 2"]


def test_a_domains_benchmarks_stand_together() -> None:
    scores = [score(task="uniopd_x"), score(task="uniopd_y", domain="code"), score(task="uniopd_z")]
    names = [row.cells[0] for row in sweep_table(scores).rows]
    assert names == ["x", "z", "math, mean of 2", "y", "all, mean of 3"]


def test_marks_and_their_footnotes() -> None:
    skips = (Skip(where="ai2d:3", reason="no image"),) * 2
    scores = [
        score("a", "uniopd_limited", departures=("8 of 30 questions", "4 of 32 responses")),
        score("a", "uniopd_short", departures=("8 of 30 questions", "4 of 32 responses")),
        score("a", "uniopd_gaps", status=Status.INCOMPLETE, unreadable=skips),
        score("a", "uniopd_eyes", None, status=Status.INAPPLICABLE, reason="it reads no image"),
        failed("a", "uniopd_broken", None),
        score("a", "uniopd_cut", num_samples=4, truncated=21, unknown=3, contaminated=7),
        score("a", "uniopd_whole", num_samples=4, truncated=20, contaminated=0),
    ]
    table = sweep_table(scores)
    assert [cells[1] for cells in _cells(table)] == [
        "50.0 ± 1.0*",
        "50.0 ± 1.0*",
        "50.0 ± 1.0*",
        "-",
        "failed",
        "50.0 ± 1.0",
        "50.0 ± 1.0",
        "50.0 ± 0.4*",
    ]
    assert table.notes[2:] == (
        "*: 8 of 30 questions; 4 of 32 responses: limited, short",
        "*: incomplete: gaps",
        "-: not applicable: it reads no image: eyes",
        "failed: no reason given: broken",
        "could not be read and count as wrong: gaps 2 of 100 questions",
        "could not be graded and count as wrong: cut 3 of 400 responses",
        "cut off at the token limit: cut 5 %",
        "also in the checkpoint's training prompts: cut 7 of 100 questions",
    )


def test_footnotes_name_checkpoints_unless_it_is_so_of_all() -> None:
    alike = [score(name, "uniopd_x", unknown=1) for name in ("a", "b")]
    other = [score("a", "uniopd_y", unknown=2), score("b", "uniopd_y")]
    notes = sweep_table([*alike, *other]).notes
    assert "could not be graded and count as wrong: x 1 of 100 responses, y (a) 2 of 100 responses" in notes
    assert "minus Uni-OPD: the last checkpoint, b, minus the paper's Uni-OPD" in notes


def test_what_was_not_asked_is_blank_and_named() -> None:
    table = sweep_table([score("a", "uniopd_x"), score("a", "uniopd_y"), score("b", "uniopd_x")])
    assert _cells(table)[1][2] == "" and "not evaluated: y (b)" in table.notes


def test_no_checkpoint_finished() -> None:
    table = sweep_table([failed("a", "uniopd_x"), failed("a", "uniopd_y")])
    assert _cells(table)[-1] == ("all, mean of 0 of 2", "", "", "", "", "")
    assert "failed: it ran out of memory: x, y" in table.notes
    assert "failed" in _shown(table) and "**all, mean of 0 of 2**" in markdown(table)


def test_nothing_at_all() -> None:
    table = sweep_table([])
    assert table.rows == () and table.notes == ("Nothing has been evaluated.",)
    assert "Nothing has been evaluated." in _shown(table)
    assert "Nothing has been evaluated." in markdown(table)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_a_failure(value: float | None) -> None:
    assert cell_of(score(value=value)) == "failed"
    assert "failed: the value is not a number: aime24" in sweep_table([score(value=value)]).notes


def test_an_error_that_is_no_number_is_left_out() -> None:
    assert cell_of(score(standard_error=float("nan"))) == "50.0"


def test_of_equal_evaluations_the_last_counts() -> None:
    table = sweep_table([failed("a", "uniopd_x"), score("a", "uniopd_x", 12.0)])
    assert _cells(table)[0][1] == "12.0 ± 1.0" and len(table.rows) == 1


def test_a_difference_that_rounds_to_nothing_has_no_minus() -> None:
    assert _cells(sweep_table([score(value=63.26)]))[0][-1] == "+0.0"


def test_markdown_has_the_same_cells() -> None:
    scores = [score("a", "uniopd_x", 10.0, paper=_NONE), score("a", "uniopd_y", 20.0, paper=_NONE, departures=("few",))]
    assert markdown(sweep_table(scores), "sweep") == (
        "## sweep\n\n"
        "| benchmark | a |\n"
        "| :-- | --: |\n"
        "| x | 10.0 ± 1.0 |\n"
        "| y | 20.0 ± 1.0\\* |\n"
        "| **all, mean of 2** | **15.0 ± 0.7\\*** |\n"
        "\n"
        "- scale of 0 to 100; ± is one standard error, over questions\n"
        "- \\*: few: y\n"
    )


def test_names_are_no_markup() -> None:
    odd = score("[red]a|b[/red]", "uniopd_x", title="<b>*x*</b>\x1b[31m|\nnew", paper=_NONE)
    shown, written = _shown(sweep_table([odd])), markdown(sweep_table([odd]))
    assert "| ? |" in markdown(sweep_table([score(title="\ud800", paper=_NONE)]))
    assert "[red]a|b[/" in shown and "\x1b[31m" not in shown
    assert r"\<b\>\*x\*\</b\>" in written and "\n".join(written.splitlines()[2:3]).count(" | ") == 1


def test_the_terminals_table_shows_everything_at_any_width() -> None:
    scores = [score(f"runs/a{number}/checkpoints/step_50", value=10.0 + number) for number in range(6)]
    for width in (30, 60, 80, 200):
        text = _shown(sweep_table(scores), width, "sweep")
        assert all(f"1{number}.0 ± 1.0" in text for number in range(6)), text
        assert all(len(line) <= width for line in text.splitlines())
        assert text.startswith("sweep\n")


@settings(deadline=None)  # the cores are shared
@given(
    scores=st.lists(
        st.builds(
            Score,
            checkpoint=st.text(max_size=6),
            task=st.sampled_from(["uniopd_x", "uniopd_y", "z"]),
            title=st.text(max_size=30),
            domain=st.text(max_size=4),
            status=st.sampled_from(Status),
            metric=st.just("accuracy"),
            value=st.none() | st.floats(0, 100),
            standard_error=st.none() | st.floats(0, 50) | st.just(float("nan")),
            num_questions=st.integers(0, 9),
            unknown=st.integers(0, 3),
            reason=st.none() | st.text(max_size=5),
        ),
        max_size=6,
    ),
    width=st.integers(20, 100),
)
def test_whatever_was_measured_can_be_shown(scores: list[Score], width: int) -> None:
    table = sweep_table(scores)
    assert all(len(row.cells) == len(table.columns) for row in table.rows)
    assert _shown(table, width)
    columns = [line.replace("\\|", "").count("|") for line in markdown(table).splitlines() if line.startswith("|")]
    assert len(set(columns)) == 1


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["runs/a/checkpoints/step_50", "Qwen/Qwen3-VL-2B"], ("a/step_50", "Qwen3-VL-2B")),
        (["runs/a/checkpoints/step_50", "runs/a/checkpoints/step_9"], ("a/step_50", "a/step_9")),
        (["x/a/checkpoints/step_1", "y/a/checkpoints/step_1"], ("x/a/step_1", "y/a/step_1")),
        (["a", "a/checkpoints"], ("a", "a/checkpoints")),
        (["model"], ("model",)),
        (["", "/"], ("", "/")),
        ([], ()),
    ],
)
def test_short_names_tell_checkpoints_apart(names: list[str], short: tuple[str, ...]) -> None:
    assert short_names(names) == short


@settings(deadline=None)
@given(names=st.lists(st.text("ab/", max_size=6), unique=True, max_size=5))
def test_short_names_are_different(names: list[str]) -> None:
    assert len(set(short_names(names))) == len(names)
