"""Every family with every kind of prompt in every engine: the same ids, and log-probs to 1e-5 in float32.

What is compared with is a forward pass of transformers over one sequence at a time.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

pytest.importorskip("vllm")

from families import FAMILIES, kinds
from matrix_parts import SAMPLING, TOLERANCE, Lineup, assert_scored, flat, forward, response_to

from uniopd_mm.backbone import Backbone
from uniopd_mm.interfaces import Teacher
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.teachers.vllm import VLLMTeacher
from uniopd_mm.types import Rollout

CELLS = [(family, kind) for family in FAMILIES for kind in kinds(family)]
WRITERS = ("hf", "vllm")
SCORERS = ("hf", "vllm")

cells = pytest.mark.parametrize(("lineup", "kind"), CELLS, indirect=["lineup"])
families = pytest.mark.parametrize("lineup", FAMILIES, indirect=True)
writers = pytest.mark.parametrize("writer", WRITERS)
scorers = pytest.mark.parametrize("scorer", SCORERS)

Scorers = Callable[[str], Teacher]


@pytest.fixture
def teachers(lineup: Lineup) -> Scorers:
    def teacher(scorer: str) -> Teacher:
        if scorer == "hf":
            return LocalTeacher("t", Backbone(lineup.student.model), lineup.processor.vocabulary)
        return VLLMTeacher("t", lineup.engine)

    return teacher


def written(lineup: Lineup, kind: str) -> list[Rollout]:
    """Two responses, and one with ids that only the embedding knows and that ends."""
    sampled = flat(lineup.writer("hf").generate([lineup.prompts[kind]], 2, SAMPLING))
    size, vocabulary = lineup.student.vocab_size, lineup.processor.vocabulary
    assert size - 1 not in vocabulary.tokens.values()
    return [*sampled, response_to(lineup.prompts[kind], [300, size - 1, 301, vocabulary.stop_ids[0]])]


@cells
@scorers
def test_scores(lineup: Lineup, kind: str, scorer: str, teachers: Scorers) -> None:
    rollouts = written(lineup, kind)
    assert_scored(teachers(scorer).score(rollouts), rollouts, lineup)


@families
@scorers
def test_scores_of_all_kinds_in_one_batch(lineup: Lineup, scorer: str, teachers: Scorers) -> None:
    rollouts = [rollout for kind in lineup.prompts for rollout in written(lineup, kind)]
    assert_scored(teachers(scorer).score(rollouts), rollouts, lineup)


@cells
@writers
@pytest.mark.parametrize("temperature", [1.0, 0.7, 0.0])
def test_rollouts(lineup: Lineup, kind: str, writer: str, temperature: float) -> None:
    sampling = replace(SAMPLING, temperature=temperature)
    (group,) = lineup.writer(writer).generate([lineup.prompts[kind]], 3, sampling)
    for rollout in group:
        expected = forward(lineup.student, rollout, temperature)
        torch.testing.assert_close(rollout.logprobs, expected, atol=TOLERANCE, rtol=0)
    assert len({tuple(rollout.response_ids.tolist()) for rollout in group}) == (3 if temperature else 1)


@cells
def test_greedy_responses_are_those_of_transformers(lineup: Lineup, kind: str) -> None:
    sampling = replace(SAMPLING, temperature=0.0, max_new_tokens=16)
    groups = [lineup.writer(how).generate([lineup.prompts[kind]], 2, sampling) for how in WRITERS]
    assert len(groups[0][0]) == len(groups[1][0]) == 2
    for one, other in zip(*map(flat, groups), strict=True):
        assert torch.equal(one.response_ids, other.response_ids)
