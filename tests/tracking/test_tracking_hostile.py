"""Text that acts on a page or a terminal: shown as text, of bounded length, and alone in its place."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console
from tracking_trajectories import make_trajectory

from uniopd_mm.cli.errors import visible
from uniopd_mm.evaluation.page import render
from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.jsonl import JsonlTracker
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.tracking.report import write_report
from uniopd_mm.tracking.rollouts import RolloutsTracker
from uniopd_mm.tracking.shown import shown
from uniopd_mm.tracking.summary import Summary, summary_table
from uniopd_mm.tracking.tables import table_of

MARKS = "\u202e\u2066\u200f"  # override, isolate, right-to-left mark
NAME = "[red]<b>\x1b[31m\x00" + MARKS
ACTING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def test_characters_that_act_are_escapes_and_others_are_kept() -> None:
    assert shown(NAME) == r"[red]<b>\x1b[31m\x00\u202e\u2066\u200f"
    kept = "two\nlines\tand 漢字 שלום é 👩\u200d🔬"
    assert shown(kept) == kept
    assert visible("a\x1b[2J\nb") == "a\\x1b[2J\nb"


def test_a_long_text_keeps_its_beginning_and_its_end() -> None:
    text = shown("a" * 4_000_000 + "b" * 1_000_000, most=200)
    assert text.startswith("a" * 100) and text.endswith("b" * 100) and "4999800 characters" in text and len(text) < 250


def test_a_page_stays_small_and_without_acting_characters(tmp_path: Path) -> None:
    JsonlTracker(tmp_path).log_step(StepMetrics(step=1, values={f"domain/{NAME}/auc": 0.5, "domain/b/auc": 0.25}))
    line = make_trajectory([0, 1], [-1.0, -2.0], [-0.5, -5.0], name=NAME, text=NAME, reason=NAME)
    tokens = [NAME, "\x00" * 5_000_000]
    RolloutsTracker(tmp_path, world=World()).log_rollouts(1, [line], lambda ids: tokens)
    html = write_report(tmp_path).read_text()
    assert not ACTING.search(html) and len(html) < 200_000
    assert "unicode-bidi: isolate" in html and "<b>\\x1b" not in html
    assert f'<bdi class="id">{"[red]&lt;b&gt;"}' in html


def test_the_page_of_a_sweep_has_no_acting_characters() -> None:
    sample = {"task": NAME, "checkpoint": NAME, "prompt": NAME, "response": "\x00" * 5_000_000, "target": NAME}
    html = render([], {NAME: NAME}, title=NAME, samples=[sample])
    assert not ACTING.search(html) and 0 < html.count(r"\x00") < 7000


@pytest.mark.parametrize("name", [NAME, "[/]", "[link=http://h]x[/link]"])
def test_names_in_tables_are_plain_text(name: str) -> None:
    summary = Summary(
        task=name,
        steps=1,
        accuracy_before={name: 0.5},
        accuracy_after={name: 0.5},
        teacher_accuracy={},
        num_questions={name: 4},
        seconds=1.0,
    )
    screen = Console(file=io.StringIO(), width=200, force_terminal=True, color_system="truecolor", record=True)
    screen.print(summary_table(summary))
    screen.print(table_of(name, [{"domain": name}], left=()))
    text = screen.export_text()
    assert text.count(name[:5]) == 4 and not ACTING.search(text)
