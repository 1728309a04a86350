"""What teaches nothing counts for nothing: failed teachers in outcome advantages, responses ruled out whole in
balancing, and updates of which no sample is left."""

import math
from dataclasses import replace

import torch
from supervision_parts import EVEN, answer, learner, supervised, weights

from uniopd_mm.distill.evidence import collect_evidence
from uniopd_mm.distill.grpo import group_relative
from uniopd_mm.distill.opd_grpo import DistillationAndOutcome
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.distill.recipe import Calibration
from uniopd_mm.models.backbone import Backbone

PLAIN = Calibration()


def test_a_failed_teachers_sample_is_in_no_mean_of_outcomes() -> None:
    """Right three times, and wrong where the teacher failed: the three are all alike."""
    trajectories = [answer([0.0], True), answer([0.0], True), answer([0.0], True), answer([0.0], False, failed=True)]
    assert group_relative(collect_evidence(trajectories), normalize=True).tolist() == [0.0] * 4
    objective = DistillationAndOutcome(policy=PolicyLoss(temperature=1.0))
    evidence = collect_evidence([*trajectories, answer([0.0], False)])
    both = objective.advantages(objective.token_rewards(evidence), evidence)[:, 0].tolist()
    assert both[0] > 0 > both[4] and both[3] == 0


def test_a_response_ruled_out_whole_fills_no_class() -> None:
    """One of two right answers is impossible for the teacher: one wrong answer is left beside the other."""
    trajectories = [answer([-math.inf], True), answer([0.5], True), answer([0.0], False), answer([0.25], False)]
    taught = supervised(trajectories, PLAIN, EVEN)
    assert weights(taught)[:2] == [1.0, 1.0] and sum(weights(taught)[2:]) == 1.0


def test_an_update_of_which_nothing_is_left_is_none(backbone: Backbone) -> None:
    """A step that a mask leaves without a sample must not move weights by decay and momentum."""
    trajectories = [answer([1.0], True), answer([0.5], False)]
    left_out = supervised(trajectories, PLAIN).trajectories
    of = learner(backbone)
    assert of.update(left_out).values["skipped_updates"] == 0
    before = {name: tensor.clone() for name, tensor in backbone.model.state_dict().items()}
    update = of.update([replace(each, weight=0.0) for each in left_out])
    assert update.values["skipped_updates"] == 1 and update.values["grad_norm"] == 0
    nothing = [replace(each, advantages=torch.zeros(1)) for each in left_out]
    assert of.update(nothing).values["skipped_updates"] == 1
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.model.state_dict().items())
