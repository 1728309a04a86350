"""The families' models in transformers, in vLLM and behind servers, each loaded once."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from matrix_parts import EngineUnderTest, Lineup


@pytest.fixture(scope="session")
def lineups(tmp_path_factory: pytest.TempPathFactory) -> "Callable[[str], Lineup]":
    from matrix_parts import line_up  # needs vLLM

    return cache(lambda family: line_up(family, tmp_path_factory.mktemp(family)))


@pytest.fixture
def lineup(request: pytest.FixtureRequest, lineups: "Callable[[str], Lineup]") -> "Iterator[Lineup]":
    """Of the family that is the parameter."""
    yield (one := lineups(request.param))
    one.restore()


@pytest.fixture(scope="session")
def servers(lineups: "Callable[[str], Lineup]") -> "Callable[[str, str], EngineUnderTest]":
    from remote_parts import over_loopback

    return cache(lambda family, how: over_loopback(lineups(family), how))


@pytest.fixture
def asked(
    request: pytest.FixtureRequest, lineup: "Lineup", servers: "Callable[[str, str], EngineUnderTest]"
) -> "EngineUnderTest":
    """The engine that is the parameter: hf, vllm, remote_hf or remote_vllm."""
    from matrix_parts import in_process

    place, _, how = request.param.rpartition("_")
    return servers(lineup.family, how) if place else in_process(lineup, how)
