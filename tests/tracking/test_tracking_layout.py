"""Lines of a live bar at every width: nothing is wider than the terminal, and no value is cut."""

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from uniopd_mm.tracking.layout import GAP, title_line, value_lines

values = st.lists(st.text("ab1 .漢", min_size=1, max_size=12).map(str.strip).filter(bool), max_size=8)


def drawn(title: str, times: list[str], width: int) -> str:
    file = StringIO()
    Console(file=file, width=width).print(title_line(title, 100, 200, times, width))
    return file.getvalue()


def test_optional_values_take_the_room_that_is_left() -> None:
    first, optional = ["KL 0.1", "ETA 0:01"], ["reward 0.5", "1 tok/s"]
    assert value_lines(first, optional, 40) == ["KL 0.1  ETA 0:01  reward 0.5  1 tok/s"]
    assert value_lines(first, optional, 36) == ["KL 0.1  ETA 0:01  reward 0.5"]
    assert value_lines(first, optional, 25) == ["KL 0.1  ETA 0:01  1 tok/s"]
    assert value_lines(first, optional, 15) == ["KL 0.1", "ETA 0:01"]
    assert value_lines([], [], 80) == []


@given(values, values, st.integers(1, 60))
def test_no_value_is_cut_and_none_of_the_first_is_missing(first: list[str], optional: list[str], width: int) -> None:
    lines = value_lines(first, optional, width)
    whole = GAP.join(lines)
    assert whole.startswith(GAP.join(first))
    rest = iter(optional)
    shown = whole[len(GAP.join(first)) :].removeprefix(GAP if first else "")
    while shown:  # each of the rest is one of the optional values, in their order
        value = next(value for value in rest if (shown + GAP).startswith(value + GAP))
        shown = shown[len(value) :].removeprefix(GAP)
    assert all(cell_len(line) <= width or line in first for line in lines)


@pytest.mark.parametrize("title", ["step", "validation after step 100", "評価", "x" * 50])
@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_the_bar_shrinks_so_that_the_count_is_always_whole(title: str, width: int) -> None:
    line = drawn(title, ["ETA 0:01:05", "elapsed 0:10:00"], width)
    assert line.count("\n") == 1 and cell_len(line.strip("\n")) <= width
    assert "100/200" in line and ("━" in line or "╸" in line)
    assert ("ETA" in line) == ("ETA 0:01:05" in line) and ("elapsed" in line) == ("elapsed 0:10:00" in line)


def test_times_are_dropped_from_the_last() -> None:
    title, times = "validation after step 100", ["ETA 0:01:05", "elapsed 0:10:00"]
    assert drawn(title, times, 80).rstrip().endswith("100/200  ETA 0:01:05  elapsed 0:10:00")
    assert drawn(title, times, 60).rstrip().endswith("100/200  ETA 0:01:05")
    assert drawn(title, times, 45).rstrip().endswith("100/200")
