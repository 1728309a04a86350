"""Rewards between 0 and 1, as a judge or a document's score gives them, in the objectives that use outcomes."""

from dataclasses import replace

import pytest
import torch
from core_parts import prompt, rollout, scored, trajectory

from uniopd_mm.distill.evidence import collect_evidence
from uniopd_mm.distill.grpo import GroupRelativePolicy
from uniopd_mm.distill.opd_grpo import DistillationAndOutcome
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.types import Outcome

REWARDS = (0.0, 0.25, 0.75, 1.0)  # mean 0.5
POLICY = PolicyLoss(temperature=1.0)
OBJECTIVES = {
    "grpo": GroupRelativePolicy(policy=POLICY, normalize=False),
    "opd_grpo": DistillationAndOutcome(policy=POLICY, distillation=2.0, outcome=3.0, normalize=False),
}


@pytest.mark.parametrize(("name", "distillation", "outcome"), [("grpo", 0.0, 1.0), ("opd_grpo", 2.0, 3.0)])
def test_a_reward_between_0_and_1_counts_as_it_is(name: str, distillation: float, outcome: float) -> None:
    """Tokens of log-prob -1 by the student and -0.9 by the teacher have a token reward of 0.1."""
    entries = []
    for reward in REWARDS:
        one = rollout(prompt([1, 2]), [5, 6], [-1.0, -1.0])
        graded = Outcome(correct=reward >= 0.5, reward=reward, reason="judge")
        entries.append(replace(trajectory(one, scored(one, [-0.9, -0.9])), outcome=graded))
    evidence = collect_evidence(entries)
    objective = OBJECTIVES[name]
    found = objective.advantages(objective.token_rewards(evidence), evidence)
    expected = [[distillation * 0.1 + outcome * (reward - 0.5)] * 2 for reward in REWARDS]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-6, rtol=0)
