"""Every family with every kind of prompt in every engine: the same ids, and log-probs to 1e-5 in float32.

What is compared with is a forward pass of transformers over one sequence at a time.
"""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("vllm")

from families import FAMILIES, kinds
from matrix_parts import (
    SAMPLING,
    TOLERANCE,
    EngineUnderTest,
    Lineup,
    assert_scored,
    disturb,
    flat,
    forward,
    in_process,
    response_to,
)

from uniopd_mm.types import Rollout, TeacherScores

CELLS = [(family, kind) for family in FAMILIES for kind in kinds(family)]
ENGINES = ("hf", "vllm", "remote_hf", "remote_vllm")

cells = pytest.mark.parametrize(("lineup", "kind"), CELLS, indirect=["lineup"])
families = pytest.mark.parametrize("lineup", FAMILIES, indirect=True)
engines = pytest.mark.parametrize("asked", ENGINES, indirect=True)


def written(lineup: Lineup, kind: str) -> list[Rollout]:
    """Two responses, and one with ids that only the embedding knows and that ends."""
    sampled = flat(lineup.rollout_engine("hf").generate([lineup.prompts[kind]], 2, SAMPLING))
    size, vocabulary = lineup.student.vocab_size, lineup.processor.vocabulary
    assert size - 1 not in vocabulary.tokens.values()
    return [*sampled, response_to(lineup.prompts[kind], [300, size - 1, 301, vocabulary.stop_ids[0]])]


@cells
@engines
def test_scores(lineup: Lineup, kind: str, asked: EngineUnderTest) -> None:
    rollouts = written(lineup, kind)
    assert_scored(asked.scorer.score(rollouts), rollouts, lineup)


def of_all_kinds(lineup: Lineup) -> list[Rollout]:
    return [rollout for kind in lineup.prompts for rollout in written(lineup, kind)]


@families
@engines
def test_scores_of_all_kinds_in_one_batch(lineup: Lineup, asked: EngineUnderTest) -> None:
    rollouts = of_all_kinds(lineup)
    assert_scored(asked.scorer.score(rollouts), rollouts, lineup)


@families
@engines
def test_likeliest_tokens_are_those_of_transformers(lineup: Lineup, asked: EngineUnderTest) -> None:
    rollouts = of_all_kinds(lineup)
    answers = [teacher.score(rollouts) for teacher in (in_process(lineup, "hf").scorer, asked.scorer)]
    for one, other in zip(*answers, strict=True):
        assert isinstance(one, TeacherScores) and isinstance(other, TeacherScores)
        assert one.topk_ids is not None and other.topk_ids is not None and other.topk_logprobs is not None
        assert one.topk_ids.shape == (len(one.token_ids), 4)
        assert torch.equal(one.topk_ids, other.topk_ids)
        torch.testing.assert_close(one.topk_logprobs, other.topk_logprobs, atol=TOLERANCE, rtol=0)


@families
@engines
def test_scores_and_rollouts_after_a_sync(lineup: Lineup, asked: EngineUnderTest) -> None:
    rollouts = of_all_kinds(lineup)
    asked.scorer.score(rollouts)
    disturb(lineup.student, seed=0)
    lineup.sync()
    assert_scored(asked.scorer.score(rollouts), rollouts, lineup)
    for rollout in flat(asked.engine.generate(list(lineup.prompts.values()), 3, SAMPLING)):
        torch.testing.assert_close(rollout.logprobs, forward(lineup.student, rollout), atol=TOLERANCE, rtol=0)


@cells
@engines
@pytest.mark.parametrize("temperature", [1.0, 0.7, 0.0])
def test_rollouts(lineup: Lineup, kind: str, asked: EngineUnderTest, temperature: float) -> None:
    sampling = replace(SAMPLING, temperature=temperature)
    (group,) = asked.engine.generate([lineup.prompts[kind]], 3, sampling)
    for rollout in group:
        expected = forward(lineup.student, rollout, temperature)
        torch.testing.assert_close(rollout.logprobs, expected, atol=TOLERANCE, rtol=0)
    assert len({tuple(rollout.response_ids.tolist()) for rollout in group}) == (3 if temperature else 1)


@cells
@engines
def test_greedy_responses_are_those_of_transformers(lineup: Lineup, kind: str, asked: EngineUnderTest) -> None:
    sampling = replace(SAMPLING, temperature=0.0, max_new_tokens=16)
    expected, given = (
        engine.generate([lineup.prompts[kind]], 2, sampling) for engine in (lineup.rollout_engine("hf"), asked.engine)
    )
    for one, other in zip(flat(expected), flat(given), strict=True):
        assert torch.equal(one.response_ids, other.response_ids)
