"""The expected gradient of every objective is the exact one, over the full vocabulary, by enumeration in float64.

A model of 50 words reads one token and predicts the next; all 50 * 50 responses of two tokens make one batch, each
weighted by its probability. The exact gradients are of plain softmaxes over tables. Per-token objectives speak of the
token at prefixes as they were drawn: a token is rewarded for itself alone, not for where it leads.
"""

from typing import Any

import pytest
import torch
from gradient_parts import (
    ALL,
    BASE,
    DRAWN,
    ENGINE,
    FIRST,
    OLD,
    OTHER_TEACHER,
    PROMPT,
    REDUCTIONS,
    RESPONSES,
    SECOND,
    STUDENT,
    TEACHER,
    TEMPERATURE,
    Model,
    V,
    at_fixed_prefixes,
    batch,
    different,
    evidence,
    exact_reverse_kl,
    expected_gradient,
    gradient,
    kl,
    nothing,
    policy,
    same,
)
from torch import Tensor

from uniopd_mm.distill.batch import TeacherTokens
from uniopd_mm.distill.exopd import ExtrapolatedDistillation
from uniopd_mm.distill.gkd import GeneralizedDistillation
from uniopd_mm.distill.grpo import GroupRelativePolicy
from uniopd_mm.distill.likeliest import likeliest_tokens
from uniopd_mm.distill.objective import Objective
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.distill.opd_grpo import DistillationAndOutcome
from uniopd_mm.distill.sft import SupervisedFineTuning
from uniopd_mm.types import Head


def test_the_model_is_a_distribution_over_all_responses() -> None:
    assert DRAWN.sum().item() == pytest.approx(1, abs=1e-12)
    seen = batch(ALL, DRAWN, OLD, OLD).tokens
    torch.testing.assert_close(STUDENT(seen, TEMPERATURE)[0].reshape(-1, 2), OLD, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_opd_is_the_reverse_kl(reduction: str) -> None:
    same(expected_gradient(OnPolicyDistillation(policy=policy(reduction=reduction))), exact_reverse_kl())


@pytest.mark.parametrize("scale", [0.5, 1.25, 3.0])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_exopd_is_the_kl_to_a_teacher_beyond_the_teacher(scale: float, reduction: str) -> None:
    ours, teacher, base = STUDENT.next_token(), TEACHER.next_token(), BASE.next_token()
    reward = scale * (teacher - base) - (ours - base)
    exact = gradient(at_fixed_prefixes(-(ours.exp() * reward).sum(-1)))
    same(expected_gradient(ExtrapolatedDistillation(policy=policy(reduction=reduction), scale=scale)), exact)


def test_exopd_at_scale_one_is_opd() -> None:
    same(expected_gradient(ExtrapolatedDistillation(policy=policy(), scale=1.0)), exact_reverse_kl())


# Outcomes: 1 where the sum of a response's words is a multiple of three, 1/2 for another third of them, 0 for the rest.
REWARDS = ((3 - (FIRST + SECOND) % 3) % 3).float() / 2
LEVELS = [0.0, 0.5, 1.0]


def expected_gradient_of_pairs(objective: Objective) -> tuple[Tensor, ...]:
    """Over all groups of two responses, each drawn by itself. Both members have the same expectation, so the first is
    enough; of the second only its reward matters, so one response stands for all with the same reward. The second has
    no weight, and the weights of the first are doubled: a mean over a group is a mean over two."""
    firsts = ALL.repeat(len(LEVELS))
    seconds = torch.cat([(level == REWARDS).nonzero()[:1, 0].expand(V * V) for level in LEVELS])
    chances = torch.cat([DRAWN * DRAWN[level == REWARDS].sum() for level in LEVELS])
    rows = torch.stack([firsts, seconds], 1).flatten()
    probabilities = torch.stack([chances, torch.zeros_like(chances)], 1).flatten()
    assert chances.sum().item() == pytest.approx(1, abs=1e-12)
    seen = evidence(
        rows,
        OLD,
        correct=REWARDS[rows] == 1,
        incorrect=REWARDS[rows] < 1,
        outcome_rewards=REWARDS[rows],
        group_ids=torch.arange(len(firsts)).repeat_interleave(2),
    )
    advantages = objective.advantages(objective.token_rewards(seen), seen)
    return gradient(objective.loss(STUDENT, batch(rows, probabilities, OLD, advantages))[0])


def exact_outcome() -> tuple[Tensor, ...]:
    """Of minus the expected reward, a mean over two tokens: whole responses count, prefixes are not held fixed."""
    return gradient(-(STUDENT.logprobs().sum(1).exp() * REWARDS).sum() / 2)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_grpo_is_the_policy_gradient_of_the_outcome_but_for_its_own_share_of_the_mean(reduction: str) -> None:
    """A group's mean holds the response itself: of n = 2 a factor of (n - 1) / n is left."""
    ours = expected_gradient_of_pairs(GroupRelativePolicy(policy=policy(reduction=reduction), normalize=False))
    same(ours, tuple(part / 2 for part in exact_outcome()))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_opd_grpo_is_the_weighted_sum(reduction: str) -> None:
    objective = DistillationAndOutcome(
        policy=policy(reduction=reduction), distillation=0.7, outcome=3.0, normalize=False
    )
    parts = zip(exact_reverse_kl(), exact_outcome(), strict=True)
    same(expected_gradient_of_pairs(objective), tuple(0.7 * a + 3.0 * b / 2 for a, b in parts))


def whole_distribution(teacher: Model) -> TeacherTokens:
    """The teacher's hidden states before every token of every response."""
    before = torch.stack([torch.full_like(FIRST, PROMPT), FIRST], 1).flatten()
    return TeacherTokens(hidden=teacher.table[before], head=Head(weight=teacher.head))


def likeliest(teacher: Model, k: int) -> TeacherTokens:
    states = whole_distribution(teacher).hidden
    assert states is not None
    targets = RESPONSES.flatten()
    _, _, ids, logprobs = likeliest_tokens(
        states, Head(weight=teacher.head), targets, top_k=k, chunk_size=1000, temperature=teacher.temperature
    )
    return TeacherTokens(top_ids=ids[:, 0], topk_ids=ids, topk_logprobs=logprobs)


def jsd(teacher: Tensor, student: Tensor, beta: float) -> Tensor:
    if beta in (0.0, 1.0):
        return kl(teacher, student) if beta == 0 else kl(student, teacher)
    middle = (beta * teacher.exp() + (1 - beta) * student.exp()).log()
    return beta * kl(teacher, middle) + (1 - beta) * kl(student, middle)


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gkd_is_the_divergence_at_prefixes_as_drawn(beta: float, reduction: str) -> None:
    objective = GeneralizedDistillation(policy=policy(reduction=reduction), beta=beta)
    exact = gradient(at_fixed_prefixes(jsd(TEACHER.next_token(), STUDENT.next_token(), beta)))
    same(expected_gradient(objective, whole_distribution(TEACHER)), exact)


def test_gkd_at_beta_one_is_opd_without_its_variance() -> None:
    gkd = GeneralizedDistillation(policy=policy(), beta=1.0)
    same(expected_gradient(gkd, whole_distribution(TEACHER)), expected_gradient(OnPolicyDistillation(policy=policy())))


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("k", "tail"), [(1, True), (5, True), (5, False), (V - 1, True)])
def test_gkd_of_the_likeliest_tokens_is_the_divergence_of_their_classes(beta: float, k: int, tail: bool) -> None:
    objective = GeneralizedDistillation(policy=policy(), beta=beta, top_k=k, tail=tail)
    ids = TEACHER.next_token().argsort(-1, descending=True)

    def classes(table: Tensor) -> Tensor:
        ranked = table.exp().gather(-1, ids)
        chosen, rest = ranked[:, :k], ranked[:, k:].sum(-1, keepdim=True)
        return (torch.cat([chosen, rest], -1) if tail else chosen / chosen.sum(-1, keepdim=True)).log()

    exact = gradient(at_fixed_prefixes(jsd(classes(TEACHER.next_token()), classes(STUDENT.next_token()), beta)))
    same(expected_gradient(objective, likeliest(TEACHER, k)), exact)


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0])
def test_gkd_of_all_tokens_is_the_full_one(beta: float) -> None:
    few = GeneralizedDistillation(policy=policy(), beta=beta, top_k=V)
    full = GeneralizedDistillation(policy=policy(), beta=beta)
    same(expected_gradient(few, likeliest(TEACHER, V)), expected_gradient(full, whole_distribution(TEACHER)))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_sft_is_the_forward_kl_from_the_writer(reduction: str) -> None:
    """Responses are drawn from the teacher: the KL between whole responses, a mean over two tokens."""
    theirs = TEACHER.logprobs()
    written = batch(ALL, theirs.sum(1).exp(), theirs, torch.zeros_like(theirs))
    ours = gradient(SupervisedFineTuning(policy=policy(reduction=reduction)).loss(STUDENT, written)[0])
    responses = theirs.sum(1)
    same(ours, gradient((responses.exp() * (responses - STUDENT.logprobs().sum(1))).sum() / 2))


def test_a_whole_divergence_as_an_advantage_teaches_nothing() -> None:
    """It is the same for every token that could have been drawn, and so a baseline."""
    per_prefix = kl(STUDENT.next_token(), TEACHER.next_token()).detach()
    advantages = -torch.stack([per_prefix[PROMPT].expand(V * V), per_prefix[FIRST]], 1)
    assert advantages.std() > 0.1
    nothing(gradient(OnPolicyDistillation(policy=policy()).loss(STUDENT, batch(ALL, DRAWN, OLD, advantages))[0]))


def test_a_back_propagated_log_ratio_of_drawn_tokens_knows_no_teacher() -> None:
    """log pi - log pi_T of sampled tokens: the expected gradient is zero, whoever teaches, whatever the sign."""
    for teacher in (TEACHER, OTHER_TEACHER):
        nothing(gradient((DRAWN[:, None] * (STUDENT.logprobs() - teacher.logprobs())).sum() / 2))
    different(exact_reverse_kl(teacher=OTHER_TEACHER), exact_reverse_kl())


def test_rewards_clamped_at_zero_are_biased() -> None:
    """A token's log pi - log pi_T is negative where the teacher likes it better: held at 0 from below it is no KL."""
    objective = OnPolicyDistillation(policy=policy())
    advantages = objective.token_rewards(evidence(ALL, OLD)).clamp(max=0)
    different(gradient(objective.loss(STUDENT, batch(ALL, DRAWN, OLD, advantages))[0]), exact_reverse_kl())


def off_policy(rewards: Tensor, **changes: Any) -> tuple[Tensor, ...]:
    """Rewards [V * V, 2] of responses drawn from ENGINE, whose log-probs the trainer was given."""
    engine = ENGINE.logprobs()
    seen = batch(ALL, engine.sum(1).exp(), engine, rewards)
    return gradient(policy(**changes).loss(STUDENT, seen)[0])


@pytest.mark.parametrize("correction", ["truncate", "mask"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_importance_weights_without_a_cap_make_up_for_another_sampling_policy(correction: str, reduction: str) -> None:
    """At prefixes as the engine draws them, every token is weighted to the trainer's distribution: with the rewards of
    the trainer's own log-probs the gradient is that of its reverse KL."""
    rewards = TEACHER.logprobs() - OLD
    exact = exact_reverse_kl(drawn_by=ENGINE)
    changes = {"correction": correction, "reduction": reduction}
    same(off_policy(rewards, **changes, correction_cap=float("inf")), exact)
    different(off_policy(rewards, **changes, correction_cap=1.5), exact)


def test_rewards_of_the_engines_log_probs_are_exact_for_the_rewards_that_they_are() -> None:
    """E over the trainer's tokens of log pi_T - log pi_engine: what importance weights make of opd's rewards, which are
    made of the log-probs that came with the rollout. Not the trainer's reverse KL, unless both policies are one."""
    rewards = OnPolicyDistillation(policy=policy()).token_rewards(evidence(ALL, ENGINE.logprobs()))
    ours = off_policy(rewards, correction="truncate", correction_cap=float("inf"))
    table = TEACHER.next_token() - ENGINE.next_token()
    same(ours, gradient(at_fixed_prefixes(-(STUDENT.next_token().exp() * table).sum(-1), ENGINE)))
    different(ours, exact_reverse_kl(drawn_by=ENGINE))


def test_without_a_correction_a_ratio_within_the_clip_is_an_importance_weight() -> None:
    """An engine so close to the trainer that nothing is clipped: the ratio of the policy loss itself is exact."""
    close = Model(*(part.detach() * 1.002 for part in STUDENT.parameters), TEMPERATURE)
    engine = close.logprobs()
    assert ((OLD - engine).exp() - 1).abs().max() < 0.2
    seen = batch(ALL, engine.sum(1).exp(), engine, TEACHER.logprobs() - OLD)
    same(gradient(policy().loss(STUDENT, seen)[0]), exact_reverse_kl(drawn_by=close))
