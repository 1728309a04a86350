"""The page: what it shows, that nothing in it can break out of it, and the command's exit status."""

import math
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from tracking_trajectories import make_trajectory

from uniopd_mm.report import curve_png, main, write_report
from uniopd_mm.tracking.charts import smooth
from uniopd_mm.tracking.jsonl import JsonlTracker
from uniopd_mm.tracking.page import pick_rollouts, token_views
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.tracking.rollouts import RolloutsTracker, rollout_line
from uniopd_mm.tracking.summary import Summary, write_summary
from uniopd_mm.types import Skip, UserError

EVIL = "</span><script>alert(1)</script>\"'&\ud800"


class Page(HTMLParser):
    """The tags, what hovering shows, what is referred to, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.titles: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.titles += [value or "" for name, value in attrs if name == "title"]
        self.references += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "srcset"}]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    tracker = JsonlTracker(folder)
    for step in range(21):
        values = {"accuracy": 0.5 + step / 50, "reverse_kl": 1 / (step + 1), "loss": math.nan, "grad_norm": 1.0}
        evaluated = {"eval/accuracy": 0.46 + step / 50} if step % 10 == 0 else {}
        tracker.log_step(StepMetrics(step=step, values=values | evaluated, timing={"seconds": 0.5}))
    tracker.close()
    lines = [
        make_trajectory([0, 1], [-1.0, -2.0], [-0.5, -5.0], name=EVIL, text=EVIL, reason=EVIL, correct=False),
        make_trajectory([1], [-1.0], f"no answer {EVIL}", correct=None),
    ]
    RolloutsTracker(folder).log_rollouts(20, lines, lambda ids: [EVIL] * len(ids))
    return folder


def finish(folder: Path) -> None:
    summary = Summary(
        task=f"video_qa {EVIL}",
        steps=20,
        accuracy_before={"video_qa": 0.46},
        accuracy_after={"video_qa": 0.86},
        teacher_accuracy={"video_qa": 0.985},
        num_questions={"video_qa": 320},
        seconds=61.0,
        skipped=(Skip(where=f"train.jsonl:17 {EVIL}", reason="no answer"),),
    )
    write_summary(folder, summary)


def test_the_page_shows_the_run_and_loads_nothing(run: Path) -> None:
    finish(run)
    html = write_report(run).read_text(encoding="utf-8")
    page = Page(html)
    assert not {"script", "link", "img", "iframe"} & set(page.tags)
    assert all(reference.startswith("#") for reference in page.references)
    assert re.findall(r"url\((?!#)|@import", html) == []
    for text in ("46.0 % ± 2.8", "86.0 % ± 1.9", "98.5 % ± 0.7", "train.jsonl:17", "2 of the 2 responses of step 20"):
        assert text in page.text
    for text in ("before 46.0%", "after 86.0%", "teacher 98.5%"):
        assert text in html


def test_hovering_over_a_token_tells_both_log_probs(run: Path) -> None:
    titles = Page(write_report(run).read_text(encoding="utf-8")).titles
    assert "student -1.000\nteacher -0.500\ndifference +0.500" in titles
    assert "student -2.000\nteacher -5.000\ndifference -3.000" in titles
    assert "student -1.000\nteacher -" in titles


def test_texts_stand_in_the_page_as_they_were_written(run: Path) -> None:
    page = Page(write_report(run).read_text(encoding="utf-8"))
    assert page.text.count(EVIL.replace("\ud800", "?")) >= 4


def test_every_chart_is_a_well_formed_drawing_in_the_pages_colours(run: Path) -> None:
    html = write_report(run).read_text(encoding="utf-8")
    drawings = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    titles = ["".join(ElementTree.fromstring(drawing).itertext()) for drawing in drawings]
    for name in ("accuracy", "reverse KL", "loss", "grad_norm", "timing/seconds"):
        assert any(name in title for title in titles), name
    assert all("var(--line-1)" in drawing or "loss" in title for drawing, title in zip(drawings, titles, strict=True))
    assert not re.search("#0a0b0[0-9]", html)


def test_a_run_that_goes_on_or_has_not_begun_has_a_page(run: Path, tmp_path: Path) -> None:
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 21, "los')
    assert "has not finished" in write_report(run).read_text(encoding="utf-8")
    JsonlTracker(tmp_path / "new").close()
    assert "No step has been measured" in write_report(tmp_path / "new").read_text(encoding="utf-8")


def test_colour_grows_with_the_difference() -> None:
    student = [-1.0, -1.0, -4.0, -1.0, -math.inf]
    teacher = [-1.0, -1.75, -1.0, -9.0, -math.inf]
    line = rollout_line(make_trajectory([0] * 5, student, teacher), None, lambda ids: ["a"] * 5)
    views = token_views(line)
    assert [view.strength for view in views] == [0.0, 0.5, 1.0, 1.0, 0.0]
    assert [view.kind for view in views][1:4] == ["down", "up", "down"]


def test_rollouts_shown_are_of_every_outcome() -> None:
    outcomes = [True] * 5 + [False, None]
    lines = [
        rollout_line(make_trajectory([0], [-1.0], [-1.0], name=str(index), correct=correct), None, lambda ids: ["a"])
        for index, correct in enumerate(outcomes)
    ]
    assert [line.sample_id for line in pick_rollouts(lines, 5)] == ["5", "0", "6", "1", "2"]
    assert len(pick_rollouts(lines, 12)) == 7


def test_smoothing_by_hand() -> None:
    assert smooth(np.array([1.0, 2.0, 6.0]), 3).tolist() == [1.5, 3.0, 4.0]
    assert smooth(np.array([1.0, np.nan, 3.0]), 3).tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("finished", [True, False])
def test_the_curve_is_a_picture_with_something_on_it(run: Path, tmp_path: Path, finished: bool) -> None:
    if finished:
        finish(run)
    picture = Image.open(curve_png(run, tmp_path / "curve.png")).convert("RGB")
    assert picture.size == (1280, 640)
    blue = np.all(np.abs(np.asarray(picture, dtype=int) - (0x25, 0x63, 0xEB)) < 8, axis=-1)
    columns = np.flatnonzero(blue.any(axis=0))
    rows = [np.flatnonzero(blue[:, column]).mean() for column in (columns[0], columns[-1])]
    assert rows[0] > rows[1] + 100, "the student's line goes up"


def test_a_curve_of_a_run_without_an_evaluation_is_refused(tmp_path: Path) -> None:
    JsonlTracker(tmp_path).close()
    with pytest.raises(UserError, match="no accuracy to draw"):
        curve_png(tmp_path, tmp_path / "curve.png")


def test_the_command_exits_2_with_one_line_for_a_folder_that_is_no_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uniopd_mm.report", str(tmp_path / "nowhere")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith(f"{tmp_path / 'nowhere'}: no run (metrics.jsonl is not there)")


def test_the_command_writes_the_page_and_the_curve(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run), "--curve", str(tmp_path / "curve.png")]) == 0
    assert capsys.readouterr().out.splitlines() == [str(run / "report.html"), str(tmp_path / "curve.png")]
    before = (run / "report.html").read_bytes()
    assert main([str(run)]) == 0
    assert (run / "report.html").read_bytes() == before


def test_a_full_disk_is_one_line(run: Path) -> None:
    (run / ".report.html.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"report\.html: no space left on the device"):
        write_report(run)
