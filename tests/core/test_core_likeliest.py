"""The teacher's likeliest tokens against a full softmax in float64."""

import math

import pytest
from divergence_parts import (
    M,
    V,
    likeliest_tokens,
    probabilities,
    student,
)
from hypothesis import given, settings
from hypothesis import strategies as st


@settings(max_examples=40, deadline=None)
@given(
    top_k=st.integers(1, V + 3),
    chunk_size=st.integers(1, M + 1),
    temperature=st.sampled_from([0.6, 1.0, 1.7]),
    banned=st.sampled_from([(), (1,), (0, 2)]),
    seed=st.integers(0, 50),
)
def test_the_likeliest_tokens_are_those_of_a_full_softmax(
    top_k: int, chunk_size: int, temperature: float, banned: tuple[int, ...], seed: int
) -> None:
    states, head, targets = (entry.detach() for entry in student(seed))
    logprobs, entropy, ids, values = likeliest_tokens(
        states, head, targets, top_k=top_k, chunk_size=chunk_size, temperature=temperature, banned_ids=banned
    )
    own = [i for i in range(V) if i not in banned]
    known = probabilities(states, head, own, temperature).log()
    rows = [dict(zip(own, row, strict=True)) for row in known.tolist()]
    assert ids.shape == values.shape == (M, min(top_k, V))
    for number, row in enumerate(rows):
        ranked = sorted(own, key=row.__getitem__, reverse=True)[:top_k]
        assert ids[number, : len(ranked)].tolist() == ranked
        assert values[number, : len(ranked)].tolist() == pytest.approx([row[i] for i in ranked], rel=1e-9)
        assert values[number, len(ranked) :].isneginf().all()
        assert logprobs[number].item() == pytest.approx(row[int(targets[number])], rel=1e-9)
        assert entropy[number].item() == pytest.approx(-sum(math.exp(v) * v for v in row.values()), rel=1e-9)
