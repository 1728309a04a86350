"""Lines of JSON hold every float bit by bit and stay standard JSON whatever the number or the text."""

import json
import math
import struct
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tracking.records import StepMetrics, json_line

names = st.text(min_size=1, max_size=12).filter(lambda name: name not in {"step", "timing"})


def strict(line: bytes) -> dict:
    """Standard JSON only: Python's own reader would accept a bare NaN."""

    def refuse(constant: str) -> NoReturn:
        raise AssertionError(f"bare {constant}")

    return json.loads(line, parse_constant=refuse)


def bits(value: float) -> bytes:
    return b"nan" if math.isnan(value) else struct.pack("<d", value)


@given(st.integers(0, 10**9), st.dictionaries(names, st.floats()), st.dictionaries(st.text(), st.floats()))
def test_a_line_gives_every_float_back(step: int, values: dict[str, float], timing: dict[str, float]) -> None:
    line = json_line(StepMetrics(step=step, values=values, timing=timing).to_json())
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    read = StepMetrics.from_json(strict(line))
    assert read.step == step
    assert {name: bits(value) for name, value in read.values.items()} == {n: bits(v) for n, v in values.items()}
    assert {name: bits(value) for name, value in read.timing.items()} == {n: bits(v) for n, v in timing.items()}


def test_the_line_as_the_readme_of_a_run_shows_it() -> None:
    metrics = StepMetrics(
        step=3, values={"loss": 0.1, "eval/accuracy": math.nan, "skipped": 2}, timing={"seconds": 1.5}
    )
    expected = b'{"step": 3, "loss": 0.1, "eval/accuracy": "NaN", "skipped": 2, "timing": {"seconds": 1.5}}\n'
    assert json_line(metrics.to_json()) == expected


def test_a_lone_surrogate_is_written_and_read_back() -> None:
    assert strict(json_line({"response": "a\ud800b\u2028c"})) == {"response": "a\ud800b\u2028c"}


@pytest.mark.parametrize(("step", "name"), [(-1, "loss"), (0, "step"), (0, "timing")])
def test_what_would_break_the_line_is_refused(step: int, name: str) -> None:
    with pytest.raises(ValueError, match="steps count from 0"):
        StepMetrics(step=step, values={name: 1.0})
