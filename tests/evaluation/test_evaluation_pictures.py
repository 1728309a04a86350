"""The pictures of a sweep, as files and as what is drawn."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_scores import failed, score
from matplotlib.figure import Figure
from matplotlib.image import imread

from uniopd_mm.evaluation.comparison import compare
from uniopd_mm.evaluation.pictures import pictures, write_pictures
from uniopd_mm.evaluation.radar import checkpoint_name, legend_columns, radar, radii
from uniopd_mm.evaluation.records import Paper, Score
from uniopd_mm.types import UserError

_PNG = b"\x89PNG\r\n\x1a\n"


def _three(*checkpoints: str) -> list[Score]:
    """AIME of the paper, code without figures, and one more."""
    return [
        made
        for shift, name in enumerate(checkpoints)
        for made in (
            score(name, "uniopd_aime24", 40.0 + 10 * shift),
            score(name, "uniopd_code", 60.0 + 10 * shift, domain="code", paper=Paper()),
            score(name, "uniopd_docvqa", 95.0, domain="document", paper=Paper(student=94.9, opd=95.2, uni_opd=95.2)),
        )
    ]


def _texts(figure: Figure) -> list[str]:
    (axes,) = figure.axes
    return [text.get_text() for text in axes.texts]


def test_a_sweep_has_a_radar_and_what_was_gained(tmp_path: Path) -> None:
    paths = write_pictures(tmp_path, _three("a", "b"))
    assert [path.name for path in paths] == ["radar.png", "before_after.png"]
    for path in paths:
        pixels = imread(path)
        assert pixels.shape[1] == 1536 and pixels.shape[0] > 300
        assert 0.5 < (pixels[..., :3] == 1.0).mean() < 0.99  # lines on white


def test_few_benchmarks_have_bars_and_old_pictures_go(tmp_path: Path) -> None:
    write_pictures(tmp_path, _three("a"))
    paths = write_pictures(tmp_path, [score(), score(task="uniopd_x", value=1.0, standard_error=None, paper=Paper())])
    assert [path.name for path in paths] == ["bars.png", "before_after.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bars.png", "before_after.png"]


@pytest.mark.parametrize(
    "scores", [[], [failed("a", "uniopd_x")], [score(value=None)], [score(value=float("nan"))]], ids=repr
)
def test_nothing_is_drawn_of_nothing(tmp_path: Path, scores: list[Score]) -> None:
    (tmp_path / "radar.png").write_bytes(b"old")
    assert write_pictures(tmp_path, scores) == [] and list(tmp_path.iterdir()) == []


def test_equal_sweeps_give_equal_pictures() -> None:
    assert pictures(_three("a", "b")) == pictures(_three("a", "b"))


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".radar.png.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"radar\.png: no space left on the device"):
        write_pictures(tmp_path, _three("a"))


def test_the_radar_has_an_axis_of_its_own_scale_for_each_benchmark() -> None:
    figure = radar(compare(_three("a", "b")))
    assert _texts(figure) == [
        *("23", "63", "aime24\n50.0"),  # student and Uni-OPD of the paper, value of the last checkpoint
        *("60", "70", "code\n70.0"),
        *("91", "99", "docvqa\n95.0"),  # eight points at least: 0.3 are no difference to see
    ]
    (axes,) = figure.axes
    curves = [np.asarray(line.get_ydata())[:3] for line in axes.lines]
    assert len(curves) == 5  # the paper's three, then the checkpoints
    np.testing.assert_allclose(curves[0], [0.25, np.nan, 0.25 + 0.75 * (94.9 - 91.05) / 8])
    np.testing.assert_allclose(curves[2], [1.0, np.nan, 0.25 + 0.75 * (95.2 - 91.05) / 8])
    np.testing.assert_allclose(curves[3][:2], [0.25 + 0.75 * 17.0 / 40.3, 0.25])
    np.testing.assert_allclose(curves[4][:2], [0.25 + 0.75 * 27.0 / 40.3, 1.0])


def test_axes_stay_on_the_scale() -> None:
    scores = [score(task=f"uniopd_{value}", value=value, paper=Paper()) for value in (0.0, 100.0, 99.0)]
    assert _texts(radar(compare(scores)))[:6] == ["0", "8", "0.0\n0.0", "92", "100", "100.0\n100.0"]


def test_radii_by_hand() -> None:
    np.testing.assert_allclose(radii([10.0, 20.0, None], [(10, 30), (10, 30), (0, 1)]), [0.25, 0.625, np.nan])


def test_long_names_keep_their_end_and_their_legend_its_room() -> None:
    name = checkpoint_name("runs/a_name_of_forty_letters_or_even_more/step_50")
    assert len(name) == 32 and name.startswith("…") and name.endswith("/step_50")
    assert legend_columns([name, "b"]) == 2 and legend_columns(["a", "b"]) == 3


def test_names_are_no_formulas_and_any_letter_may_be_in_them() -> None:
    scores = [
        score("$\\frac{1}", f"uniopd_{number}", title="_x $1$ \x00 模型", domain="$", paper=Paper())
        for number in range(3)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert all(png.startswith(_PNG) for png in pictures(scores).values())


@settings(deadline=None, max_examples=8)
@given(
    values=st.lists(st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=5), min_size=1, max_size=3),
    errors=st.none() | st.floats(0, 50) | st.just(float("nan")),
    paper=st.builds(Paper, student=st.none() | st.floats(0, 100), uni_opd=st.none() | st.floats(0, 100)),
)
def test_whatever_was_measured_can_be_drawn(values: list[list[float | None]], errors: float, paper: Paper) -> None:
    scores = [
        score(f"c{number}", f"uniopd_{index}", value, standard_error=errors, paper=paper)
        for number, row in enumerate(values)
        for index, value in enumerate(row)
    ]
    assert all(png.startswith(_PNG) for png in pictures(scores).values())
