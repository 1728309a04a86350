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

import uniopd_mm.tracking
from uniopd_mm.config.report import ReportConfig
from uniopd_mm.report import report
from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.charts import Chart, smooth, svg
from uniopd_mm.tracking.jsonl import JsonlTracker
from uniopd_mm.tracking.page import other_charts, part_charts, pick_rollouts, token_views
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.tracking.report import curve_png, write_report
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
        values |= {"reverse_kl_k3": 2 / (step + 1), "order_consistency": 0.75, "auc": 0.625, "margin_violations": 0.5}
        values |= {f"{part}/auc": 0.625 for part in ("domain/video_qa", "teacher/expert")}
        evaluated = {"eval/accuracy": 0.46 + step / 50} if step % 10 == 0 else {}
        tracker.log_step(StepMetrics(step=step, values=values | evaluated, timing={"seconds": 0.5}))
    tracker.close()
    lines = [
        make_trajectory([0, 1], [-1.0, -2.0], [-0.5, -5.0], name=EVIL, text=EVIL, reason=EVIL, correct=False),
        make_trajectory([1], [-1.0], f"no answer {EVIL}", correct=None),
    ]
    RolloutsTracker(folder, world=World()).log_rollouts(20, lines, lambda ids: [EVIL] * len(ids))
    return folder


def finish(
    folder: Path,
    num_questions: int = 320,
    *,
    before: float = 0.46,
    after: float = 0.86,
    teacher: float = 0.985,
) -> None:
    summary = Summary(
        task=f"video_qa {EVIL}",
        steps=20,
        accuracy_before={"video_qa": before},
        accuracy_after={"video_qa": after},
        teacher_accuracy={"video_qa": teacher},
        num_questions={"video_qa": num_questions},
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
    for text in ("46.0 % ± 2.8", "86.0 % ± 1.9", "98.5 % ± 0.7", "train.jsonl:17", "2 of 2 responses from step 20"):
        assert text in page.text
    for text in ("before 46.0 %", "after 86.0 %", "teacher 98.5 %"):
        assert text in html


def test_few_questions_are_counted_on_the_page_too(run: Path) -> None:
    finish(run, 4, before=0.0, after=0.75, teacher=1.0)
    html = write_report(run).read_text(encoding="utf-8")
    assert {"0 of 4", "3 of 4", "4 of 4"} <= set(re.findall(r"<td.*?>(.*?)</td>", html))
    for text in ("before 0 of 4", "after 3 of 4", "teacher 4 of 4", "Fewer than\n30 questions are shown as counts"):
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
    for name in ("accuracy", "reverse KL", "loss", "ranked above", "grad_norm", "timing/seconds"):
        assert any(name in title for title in titles), name
    assert all("var(--line-1)" in drawing or "loss" in title for drawing, title in zip(drawings, titles, strict=True))
    assert not re.search("#0a0b0[0-9]", html)


def texts(chart: Chart) -> str:
    return "\n".join(ElementTree.fromstring(svg(chart)).itertext())


def test_one_domain_and_one_teacher_are_not_drawn_twice(run: Path) -> None:
    html = write_report(run).read_text(encoding="utf-8")
    titles = ("correct responses ranked above incorrect ones", "prompts that violate the margin")
    for text in (*titles, "AUC over all pairs", ">k3<"):
        assert text in html
    assert " by domain" not in html and "domain/" not in html and "expert/" not in html


def parted(num_steps: int, **parts: int) -> list[StepMetrics]:
    """Steps with a `margin` of each of so many domains or teachers."""
    names = [f"{kind}/{kind[0]}/{number}" for kind, count in parts.items() for number in range(count)]
    return [
        StepMetrics(step=step, values={f"{name}/margin": step / (1 + place) for place, name in enumerate(names)})
        for step in range(1, num_steps + 1)
    ]


def test_domains_and_teachers_are_compared_in_one_chart_a_value() -> None:
    charts = other_charts(parted(10, domain=2, teacher=3))
    assert [chart.title for chart in charts] == ["margin by domain", "margin by teacher"]
    assert [series.label for series in charts[1].series] == ["t/0", "t/1", "t/2"]
    assert charts[0].series[1].values == [step / 2 for step in range(1, 11)]
    assert [chart.title for chart in other_charts(parted(10, domain=2, teacher=1))] == ["margin by domain"]


@pytest.mark.parametrize(("count", "sizes"), [(6, [6]), (7, [3, 4]), (31, [5, 5, 5, 5, 5, 6])])
def test_many_domains_are_drawn_a_few_at_a_time(count: int, sizes: list[int]) -> None:
    charts = other_charts(parted(10, domain=count))
    assert [len(chart.series) for chart in charts] == sizes
    assert sorted(series.label for chart in charts for series in chart.series) == sorted(f"d/{n}" for n in range(count))
    if len(sizes) > 1:
        assert charts[0].title == f"margin by domain, 1 of {len(sizes)}"


def test_every_series_has_a_colour_of_the_page_and_its_name_below() -> None:
    (chart,) = other_charts(parted(10, domain=6))
    drawing = svg(chart)
    template = (Path(uniopd_mm.tracking.__path__[0]) / "report.html.jinja").read_text(encoding="utf-8")
    for number in range(1, 7):
        assert f"var(--line-{number})" in drawing
        assert template.count(f"--line-{number}: #") == 2, "in the light and in the dark page"
        assert f"d/{number - 1}" in texts(chart)
    assert "#0a0b" not in drawing


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [EVIL, r"$\foo{$", "_private", "漢字\x00", "x" * 300, "&amp;"])
def test_whatever_a_domain_is_called_its_curve_is_named(name: str) -> None:
    values = {f"domain/{name}/auc": 0.5, "domain/other/auc": 0.25}
    (chart,) = part_charts([StepMetrics(step=step, values=values) for step in (1, 2)], "auc")
    shown = texts(chart)
    readable = name.replace("\ud800", "\ufffd").replace("\x00", "\\x00")
    assert (readable if len(name) <= 40 else f"{name[:39]}…") in shown
    assert "other" in shown


def test_the_page_repeats_the_warnings_of_the_run(run: Path) -> None:
    assert "Warnings" not in Page(write_report(run).read_text(encoding="utf-8")).text
    tracker = JsonlTracker(run, 20)
    for step in range(21, 27):
        tracker.log_step(StepMetrics(step=step, values={f"domain/{EVIL}/auc": 0.25}))
    tracker.close()
    shown = Page(write_report(run).read_text(encoding="utf-8")).text
    assert shown.count("supervision is unreliable") == 1
    assert f"step 25: supervision is unreliable for domain {EVIL}".replace("\ud800", "?") in shown


def test_a_run_that_goes_on_or_has_not_begun_has_a_page(run: Path, tmp_path: Path) -> None:
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 21, "los')
    assert "has not finished" in write_report(run).read_text(encoding="utf-8")
    JsonlTracker(tmp_path / "new").close()
    assert "No steps yet" in write_report(tmp_path / "new").read_text(encoding="utf-8")


def test_colour_grows_with_the_difference() -> None:
    student = [-1.0, -1.0, -4.0, -1.0, -math.inf]
    teacher = [-1.0, -1.75, -1.0, -9.0, -math.inf]
    line = rollout_line(make_trajectory([0] * 5, student, teacher), lambda ids: ["a"] * 5)
    views = token_views(line)
    assert [view.strength for view in views] == [0.0, 0.5, 1.0, 1.0, 0.0]
    assert [view.kind for view in views][1:4] == ["down", "up", "down"]


def test_rollouts_shown_are_of_every_outcome() -> None:
    outcomes = [True] * 5 + [False, None]
    lines = [
        rollout_line(make_trajectory([0], [-1.0], [-1.0], name=str(index), correct=correct), lambda ids: ["a"])
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
    assert result.stderr.startswith(f"error: {tmp_path / 'nowhere'}: not a run folder (metrics.jsonl not found)")


def test_the_command_writes_the_page_and_the_curve(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(ReportConfig(run=str(run), curve=str(tmp_path / "curve.png")), [])
    assert capsys.readouterr().out.splitlines() == [str(run / "report.html"), str(tmp_path / "curve.png")]
    before = (run / "report.html").read_bytes()
    report(ReportConfig(run=str(run)), [])
    assert (run / "report.html").read_bytes() == before


def test_a_full_disk_is_one_line(run: Path) -> None:
    (run / ".report.html.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"report\.html: no space left on the device"):
        write_report(run)
