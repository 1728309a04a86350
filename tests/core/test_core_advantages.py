"""Outcome advantages, extrapolated rewards and importance weights, by hand and by brute force."""

import itertools
import math
import random
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uniopd_mm.distill.advantages import extrapolated_rewards, importance_weights, k3, mismatch_kl, outcome_advantages
from uniopd_mm.distill.choices import Correction
from uniopd_mm.distill.objective import token_rewards

INF = math.inf


def advantages(rewards: list[float], known: list[bool], groups: list[int], normalize: bool) -> list[float]:
    values = torch.tensor(rewards, dtype=torch.float64)
    result = outcome_advantages(
        values, torch.tensor(known, dtype=torch.bool), torch.tensor(groups), normalize=normalize
    )
    assert result.dtype == torch.float64
    return result.tolist()


def test_one_group_by_hand() -> None:
    """Mean 1/4, variance (9/16 + 3/16) / 4 = 3/16."""
    raw = [0.75, -0.25, -0.25, -0.25]
    assert advantages([1, 0, 0, 0], [True] * 4, [0] * 4, False) == raw
    deviation = math.sqrt(3) / 4
    wanted = [value / (deviation + 1e-6) for value in raw]
    assert advantages([1, 0, 0, 0], [True] * 4, [0] * 4, True) == pytest.approx(wanted, rel=1e-12)


def test_groups_are_found_by_any_ids_in_any_order() -> None:
    """Group 7 has rewards 1, 0; group -3 has 4, 1, 1 (mean 2); 2**62 has a sample of its own."""
    assert advantages([4, 1, 1, 0, 5, 1], [True] * 6, [-3, 7, -3, 7, 2**62, -3], False) == [2, 0.5, -1, -0.5, 0, -1]


@pytest.mark.parametrize("normalize", [True, False])
def test_an_unknown_outcome_counts_for_nobody_and_has_no_advantage(normalize: bool) -> None:
    """Not even as a zero: of 1, 0 and an unknown the mean is 1/2. What its reward says does not matter."""
    for noise in (0.0, 1e9, math.nan, INF):
        ours = advantages([1, noise, 0], [True, False, True], [0, 0, 0], normalize)
        assert ours == ([pytest.approx(1, rel=1e-5), 0, pytest.approx(-1, rel=1e-5)] if normalize else [0.5, 0, -0.5])
    assert advantages([1, 1], [False, False], [0, 0], normalize) == [0, 0]


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("reward", [1.0, 0.1, -0.7, 1e-3, 123456.789, 1e9 + 0.1, 0.0])
@pytest.mark.parametrize("count", [1, 3, 7, 10])
def test_equal_rewards_have_no_advantage_at_all(reward: float, count: int, normalize: bool) -> None:
    """0.1 + 0.1 + 0.1 over 3 is not 0.1 in floating point: the difference must not be divided by itself."""
    assert advantages([reward] * count, [True] * count, [5] * count, normalize) == [0] * count


def test_no_samples_have_no_advantages() -> None:
    assert advantages([], [], [], True) == []


SAMPLES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 0.1, 0.25, -2.0, 1e3]),
        st.booleans(),
        st.sampled_from([-(2**63), -1, 0, 3, 2**63 - 1]),
    ),
    max_size=14,
)


@settings(max_examples=200, deadline=None)
@given(samples=SAMPLES, normalize=st.booleans(), order=st.randoms(use_true_random=False))
def test_advantages_are_those_of_a_loop_over_groups(
    samples: list[tuple[float, bool, int]], normalize: bool, order: random.Random
) -> None:
    wanted = []
    for reward, known, group in samples:
        peers = [r for r, k, g in samples if k and g == group]
        if not known or len(set(peers)) < 2:
            wanted.append(0.0)
            continue
        centred = reward - statistics.fmean(peers)
        wanted.append(centred / (statistics.pstdev(peers) + 1e-6) if normalize else centred)
    columns = [list(column) for column in zip(*samples, strict=True)] or [[], [], []]
    assert advantages(*columns, normalize) == pytest.approx(wanted, rel=1e-9, abs=1e-11)

    places = list(range(len(samples)))
    order.shuffle(places)
    shuffled = [[column[place] for place in places] for column in columns]
    assert advantages(*shuffled, normalize) == pytest.approx([wanted[place] for place in places], rel=1e-9, abs=1e-11)


def test_float32_rewards_of_many_equal_samples() -> None:
    rewards = torch.full((1000,), 0.1)
    ours = outcome_advantages(rewards, torch.ones(1000, dtype=torch.bool), torch.zeros(1000).long(), normalize=True)
    assert not ours.any()


def extrapolated(teacher: float, base: float, old: float, scale: float) -> float:
    values = [torch.tensor([value], dtype=torch.float64) for value in (teacher, base, old)]
    return extrapolated_rewards(*values, scale=scale).item()


@pytest.mark.parametrize(
    ("teacher", "base", "old", "scale", "reward"),
    [
        (-1.0, -2.0, -3.0, 1.0, 2.0),  # the teacher's log-ratio
        (-1.0, -2.0, -3.0, 2.0, 3.0),  # 2 * 1 + 1
        (-2.0, -1.0, -3.0, 2.0, 0.0),  # 2 * -1 + 2
        (-1.0, -2.0, -3.0, 0.5, 1.5),  # half way from the base
        (-INF, -2.0, -3.0, 1.25, -INF),  # the teacher rules it out
        (-INF, -INF, -3.0, 1.25, -INF),  # so does the base: not inf - inf
        (-INF, -INF, -3.0, 1.0, -INF),
        (-INF, -INF, -3.0, 0.5, -INF),
        (-1.0, -INF, -3.0, 1.25, 2.0),  # an infinite reward is none: the teacher's log-ratio alone
        (-1.0, -INF, -3.0, 0.5, 2.0),
        (-1.0, -INF, -3.0, 1.0, 2.0),  # at scale 1 the base does not matter
    ],
)
def test_extrapolated_rewards_by_hand(teacher: float, base: float, old: float, scale: float, reward: float) -> None:
    assert extrapolated(teacher, base, old, scale) == pytest.approx(reward)


LOGPROBS = st.one_of(st.floats(-1e4, 0), st.just(-INF))


@settings(max_examples=200, deadline=None)
@given(teacher=LOGPROBS, base=LOGPROBS, old=st.floats(-1e4, 0), scale=st.floats(0.01, 10))
def test_extrapolated_rewards_are_never_nan_nor_infinitely_good(
    teacher: float, base: float, old: float, scale: float
) -> None:
    reward = extrapolated(teacher, base, old, scale)
    assert reward < INF
    if teacher == -INF:
        assert reward == -INF
    elif base > -INF:
        assert reward == pytest.approx(scale * (teacher - base) + (base - old), rel=1e-9, abs=1e-9)
    plain = token_rewards(*(torch.tensor([value], dtype=torch.float64) for value in (teacher, old)))
    assert extrapolated(teacher, base, old, 1.0) == plain.item()


def test_rewards_are_detached() -> None:
    values = [torch.randn(2, 3, requires_grad=True) for _ in range(3)]
    assert not any(extrapolated_rewards(*values, scale=scale).requires_grad for scale in (1.0, 1.25))
    assert extrapolated_rewards(*values, scale=1.25).shape == (2, 3)


# Ratios 1, 1/4, 1/2, 2, 4 and, outside the mask, 8.
RATIOS = [1.0, 0.25, 0.5, 2.0, 4.0, 8.0]
MASK = torch.tensor([[True, True, True, True, True, False]])


def weights(correction: str, cap: float) -> list[float]:
    rollout = torch.full((1, 6), -3.0, dtype=torch.float64)
    logprobs = (rollout + torch.tensor([RATIOS]).double().log()).requires_grad_()
    result = importance_weights(logprobs, rollout, MASK, correction=correction, cap=cap)
    assert not result.requires_grad and result.dtype == torch.float64
    return result[0].tolist()


@pytest.mark.parametrize(
    ("correction", "cap", "wanted"),
    [
        ("none", 3.0, [1, 1, 1, 1, 1, 1]),
        ("truncate", 3.0, [1, 0.25, 0.5, 2, 3, 1]),
        ("truncate", 1.0, [1, 0.25, 0.5, 1, 1, 1]),
        ("truncate", INF, [1, 0.25, 0.5, 2, 4, 1]),
        ("mask", 3.0, [1, 0, 0.5, 2, 0, 1]),
        ("mask", INF, [1, 0.25, 0.5, 2, 4, 1]),
    ],
)
def test_importance_weights_by_hand(correction: str, cap: float, wanted: list[float]) -> None:
    assert weights(correction, cap) == pytest.approx(wanted, rel=1e-12)


def test_a_ratio_at_the_cap_is_within_it() -> None:
    """exp(0) is 1 exactly."""
    assert weights("mask", 1.0) == [1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("padding", [math.nan, INF, -INF, 1e30])
@pytest.mark.parametrize("correction", list(Correction))
def test_what_stands_outside_the_mask_does_not_matter(correction: str, padding: float) -> None:
    logprobs = torch.tensor([[-1.0, padding]])
    rollout = torch.tensor([[-1.0, 0.0]])
    mask = torch.tensor([[True, False]])
    assert importance_weights(logprobs, rollout, mask, correction=correction, cap=2.0).tolist() == [[1, 1]]


@pytest.mark.parametrize("correction", list(Correction))
@pytest.mark.parametrize("cap", [0.99, 0.0, -1.0, math.nan])
def test_a_cap_below_one_is_refused(correction: str, cap: float) -> None:
    with pytest.raises(ValueError, match=r"cap=.* must be at least 1"):
        weights(correction, cap)


def test_an_unknown_correction_names_the_choices() -> None:
    with pytest.raises(ValueError, match=r"correction='clip'.*none, truncate, mask"):
        weights("clip", 2.0)


def distributions(seed: int, words: int = 7) -> Tensor:
    """log p and log q, [2, words]."""
    return torch.randn(2, words, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).log_softmax(-1)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 1000))
def test_k3_is_never_negative_and_has_the_kl_as_its_mean(seed: int) -> None:
    p, q = distributions(seed)
    values = k3(p - q)
    assert (values >= 0).all()
    assert (q.exp() * values).sum().item() == pytest.approx((q.exp() * (q - p)).sum().item(), rel=1e-9, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(log_ratio=st.floats(-50, 50))
def test_k3_is_not_negative_anywhere(log_ratio: float) -> None:
    value = k3(torch.tensor(log_ratio, dtype=torch.float64)).item()
    assert value >= -1e-15
    assert value == pytest.approx(math.exp(log_ratio) - 1 - log_ratio, rel=1e-6, abs=1e-12)


def test_k3_of_a_small_ratio_is_half_its_square() -> None:
    """exp(x) - 1 would round 1e-6 away in float32."""
    assert k3(torch.tensor(0.0)).item() == 0
    assert k3(torch.tensor(1e-3)).item() == pytest.approx(5e-7, rel=1e-2)


def test_the_mismatch_is_the_kl_from_the_rollout_policy() -> None:
    """By enumeration of what the rollout engine may draw; of two tokens it is the sum."""
    (p, q), (r, s) = distributions(1), distributions(2)
    pairs = list(itertools.product(range(7), repeat=2))
    first, second = (torch.tensor(column) for column in zip(*pairs, strict=True))
    trainer = torch.stack([p[first], r[second]], 1).requires_grad_()
    engine = torch.stack([q[first], s[second]], 1)
    estimates = mismatch_kl(trainer, engine)
    assert not estimates.requires_grad
    mean = (engine.sum(1).exp() * estimates.sum(1)).sum()
    assert mean.item() == pytest.approx(((q.exp() * (q - p)).sum() + (s.exp() * (s - r)).sum()).item(), rel=1e-9)
