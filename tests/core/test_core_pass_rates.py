"""Pass rates that are kept, the rows of a balanced corpus, and the histogram, with numbers worked out by hand."""

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
import torch
from PIL import Image
from rich.console import Console

from uniopd_mm.data.repeats import balanced_rows
from uniopd_mm.run.pass_rates import Tallies, Tally, fingerprint
from uniopd_mm.tracking.histogram import Histogram, histogram, histogram_table
from uniopd_mm.types import Media, Message, Sample


@pytest.fixture
def made() -> Callable[..., Sample]:
    def make(name: str, **fields: Any) -> Sample:
        plain = {"domain": "d", "messages": (), "answer": "a", "source": name, "row": {"id": name, "question": "q"}}
        return Sample(sample_id=name, **{**plain, **fields})

    return make


def test_repeats_have_ids_that_no_sample_has(made: Callable[..., Sample]) -> None:
    splits = {"train": [made("a"), made("a#2"), made("b")], "validation": [made("a#3")]}
    rows = list(balanced_rows(splits, {"a": 0.25, "a#3": 0.5}, {"a": 3, "a#2": 2, "a#3": 9}))
    assert [entry["id"] for entry in rows] == ["a", "a#4", "a#5", "a#2", "a#2#2", "b", "a#3"]
    assert [entry.get("pass_rate") for entry in rows] == [0.25, 0.25, 0.25, None, None, None, 0.5]


def test_a_tally_counts_only_known_outcomes() -> None:
    assert Tally(correct=1, incorrect=3, unknown=4).pass_rate == 0.25
    assert Tally(correct=0, incorrect=0, unknown=8).pass_rate is None


def test_tallies_outlive_the_process_but_not_their_origin(made: Callable[..., Sample]) -> None:
    sample, tally = made("a"), Tally(correct=1, incorrect=2, unknown=3, reason="r")
    Tallies("m", {"seed": 0}).add([(sample, tally)])
    assert Tallies("m", {"seed": 0}).of(sample) == tally
    assert Tallies("m", {"seed": 1}).of(sample) is None
    assert Tallies("m", {"seed": 0}).of(made("a", answer="b")) is None


def test_a_fingerprint_knows_media_that_are_no_files(made: Callable[..., Sample]) -> None:
    def asked(source: Any) -> str:
        return fingerprint(made("a", messages=(Message(role="user", content=(Media(kind="image", source=source),)),)))

    red, blue = (Image.new("RGB", (2, 2), color) for color in ("red", "blue"))
    assert asked(red) == asked(red.copy()) != asked(blue)
    assert asked(b"1") != asked(b"2")


def test_a_histogram_has_bins_of_their_own_for_never_and_always() -> None:
    rates = torch.tensor([0.0, 0.0, 0.25, 0.5, 1.0])
    counted = histogram(rates, torch.tensor([1, 1, 2, 3, 1]), 2)
    assert counted == Histogram(labels=("0", "0 - 0.5", "0.5 - 1", "1"), before=(2, 1, 1, 1), after=(2, 2, 3, 1))


def test_the_longest_bar_fills_its_column_and_the_shortest_is_seen() -> None:
    counted = Histogram(labels=("0", "0 - 1", "1"), before=(400, 1, 0), after=(400, 4, 0))
    console = Console(file=StringIO(), width=80)
    console.print(histogram_table(counted))
    lines = [line.split() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert ["0", "400", "█" * 20, "400", "█" * 20] in lines
    assert ["0", "-", "1", "1", "█", "4", "█"] in lines
    assert ["1", "0", "0"] in lines
    assert ["all", "401", "404"] in lines
