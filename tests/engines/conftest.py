"""The families' models in transformers and vLLM, each loaded once."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from matrix_parts import Lineup


@pytest.fixture(scope="session")
def lineups(tmp_path_factory: pytest.TempPathFactory) -> "Callable[[str], Lineup]":
    from matrix_parts import line_up  # needs vLLM

    return cache(lambda family: line_up(family, tmp_path_factory.mktemp(family)))


@pytest.fixture
def lineup(request: pytest.FixtureRequest, lineups: "Callable[[str], Lineup]") -> "Iterator[Lineup]":
    """Of the family that is the parameter."""
    yield (one := lineups(request.param))
    one.restore()
