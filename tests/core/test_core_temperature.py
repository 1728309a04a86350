"""One temperature on both sides: a student that samples at 0.6 learns the teacher's logits, not a multiple of them."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from core_parts import plain_logits, routed
from gradient_parts import STUDENT, TEMPERATURE, Model, expected_gradient, nothing, policy
from roster_parts import roster, student_model
from test_core_gradients import likeliest, whole_distribution
from torch import Tensor

from uniopd_mm.config.train import TrainerConfig
from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.distill.exopd import ExtrapolatedDistillation
from uniopd_mm.distill.gkd import GeneralizedDistillation
from uniopd_mm.distill.objective import token_rewards
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.distill.recipe import Balancing, Calibration
from uniopd_mm.distill.supervision import Recipe, supervise
from uniopd_mm.learner.learner import Learner
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.runtime.world import World
from uniopd_mm.teachers.loading import ScoreOptions
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.teachers.self_test import assignments, self_test
from uniopd_mm.types import Outcome, Prompt, Rollout, Sample, Sampling, TeacherScores, Trajectory, UserError

COLD = 0.6


@pytest.fixture
def student(backbone: Backbone, processor: QwenVLProcessor) -> Backbone:
    """Surer than an untrained model, but not of the places of media, which it never writes and its teacher might."""
    weight = backbone.model.get_output_embeddings().weight.data
    weight.mul_(3)
    weight[list(processor.vocabulary.banned_ids)] = 0
    return backbone


@pytest.fixture
def teacher(student: Backbone, processor: QwenVLProcessor) -> LocalTeacher:
    """The student's weights."""
    return LocalTeacher("t", Backbone(copy.deepcopy(student.model)), processor.vocabulary, top_k=5, keep_hidden=True)


@pytest.fixture
def rollouts(student: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]) -> list[Rollout]:
    engine = HFRollout(student, processor)
    groups = engine.generate(prompts[:2], 2, Sampling(temperature=COLD, max_new_tokens=6, seed=1, policy_step=1))
    return [rollout for group in groups for rollout in group]


def reference(model: torch.nn.Module, rollout: Rollout, temperature: float) -> Tensor:
    """log_softmax(logits / temperature) [R, V] by the model's own forward pass, in float64."""
    logits = plain_logits(model, collate_rollouts([rollout], 0))[0].double()
    before = slice(len(rollout.prompt.token_ids) - 1, -1)
    return (logits[before] / temperature).log_softmax(-1)


@pytest.mark.parametrize("temperature", [COLD, 1.0, 1.7])
def test_a_local_teacher_scores_at_the_temperature_that_it_is_asked_for(
    teacher: LocalTeacher, rollouts: list[Rollout], temperature: float
) -> None:
    for rollout, scores in zip(rollouts, routed({"video_qa": teacher}, temperature).score(rollouts), strict=True):
        assert isinstance(scores, TeacherScores) and scores.topk_logprobs is not None and scores.entropy is not None
        whole = reference(teacher.backbone.model, rollout, temperature)
        chosen = whole.gather(-1, rollout.response_ids[:, None]).squeeze(-1)
        torch.testing.assert_close(scores.logprobs.double(), chosen, rtol=1e-6, atol=1e-5)
        torch.testing.assert_close(scores.topk_logprobs.double(), whole.topk(5).values, rtol=1e-6, atol=1e-5)
        torch.testing.assert_close(scores.entropy.double(), -(whole.exp() * whole).sum(-1), rtol=1e-6, atol=1e-5)


def test_rewards_of_a_student_that_is_its_teacher_are_nothing(teacher: LocalTeacher, rollouts: list[Rollout]) -> None:
    """At 1 they are not: the student would unlearn."""
    sizes = {}
    for temperature in (COLD, 1.0):
        scores = routed({"video_qa": teacher}, temperature).score(rollouts)
        rewards = [s.logprobs - r.logprobs for s, r in zip(scores, rollouts, strict=True)]  # type: ignore[union-attr]
        sizes[temperature] = torch.cat(rewards).abs().mean().item()
    assert sizes[COLD] < 1e-4 < 1e-1 < sizes[1.0], sizes


TWIN = Model(*(part.detach() for part in STUDENT.parameters), TEMPERATURE)
LOSSES: dict[str, Callable[..., Any]] = {
    "opd": lambda of: OnPolicyDistillation(policy=of),
    "exopd": lambda of: ExtrapolatedDistillation(policy=of, scale=1.25),
    "gkd": lambda of: GeneralizedDistillation(policy=of),
    "gkd of a few": lambda of: GeneralizedDistillation(policy=of, top_k=5),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_student_that_is_its_teacher_has_nothing_to_learn(loss: str) -> None:
    """Whole expected gradients, by enumeration: none at one temperature, some with the teacher at 1."""
    other = replace(TWIN, temperature=1.0)
    for model, changes, verdict in ((TWIN, {}, nothing), (other, {"teacher_temperature": 1.0}, learns)):
        tokens = likeliest(model, 5) if loss == "gkd of a few" else whole_distribution(model)
        told = {"teacher_logprobs": model.logprobs(), "base_logprobs": model.logprobs()}
        verdict(expected_gradient(LOSSES[loss](policy(**changes)), tokens, **told))


def learns(gradients: tuple[Tensor, ...]) -> None:
    assert all(part.norm() > 1e-2 for part in gradients)


def test_a_table_of_logits_converges_to_the_teachers() -> None:
    """Exact policy gradient at temperature 0.6: the student's logits become the teacher's, or 0.6 of them."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(6, generator=generator, dtype=torch.float64)
    target -= target.mean()
    for of_teacher, factor in ((COLD, 1.0), (1.0, COLD)):
        logits = torch.zeros(6, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.Adam([logits], lr=0.05)
        for _ in range(6000):
            log_p, log_q = (target / of_teacher).log_softmax(0), (logits / COLD).log_softmax(0)
            rewards = token_rewards(log_p, log_q)
            optimizer.zero_grad()
            (-(log_q.detach().exp() * rewards * log_q).sum()).backward()
            optimizer.step()
        torch.testing.assert_close(logits.detach() - logits.detach().mean(), factor * target, rtol=0, atol=1e-3)


@pytest.mark.parametrize("loss", ["opd", "gkd", "gkd of a few"])
def test_an_update_leaves_a_student_alone_that_is_its_teacher(
    loss: str, student: Backbone, teacher: LocalTeacher, rollouts: list[Rollout]
) -> None:
    """Through the router, supervision and the learner, as in a run."""
    norms = {}
    for temperature in (COLD, 1.0):
        objective = LOSSES[loss](PolicyLoss(temperature=COLD, teacher_temperature=temperature))
        scores = routed({"video_qa": teacher}, temperature).score(rollouts)
        outcome = Outcome(correct=True, reward=1.0, reason="")
        trajectories = [
            Trajectory(rollout=rollout, response="", outcome=outcome, scores=score)
            for rollout, score in zip(rollouts, scores, strict=True)
        ]
        recipe = Recipe(objective=objective, calibration=Calibration(), balancing=Balancing())
        supervised = supervise(
            trajectories, recipe, generator=torch.Generator(), gather=lambda part: [part], rank=0
        ).trajectories
        learner = Learner(student, objective, TrainerConfig(learning_rate=0.0), pad_id=0, world=World())
        norms[temperature] = learner.update(supervised).values["grad_norm"]
    assert norms[COLD] < 1e-3 * norms[1.0], norms


def test_a_self_test_notices_a_teacher_that_ignores_the_temperature(
    checkpoint: str, processor: QwenVLProcessor, backbone: Backbone, samples: tuple[Sample, ...]
) -> None:
    loaded = roster(processor, {"expert": {"path": checkpoint}}, ScoreOptions(temperature=COLD))
    student = student_model(processor, backbone)
    assert loaded.router.temperature == COLD
    (passed,) = assignments(loaded, samples, student)
    assert passed.self_test is not None and passed.self_test.difference < 0.1
    entry = loaded.entries["expert"]
    deaf = replace(entry, model=replace(entry.model, scorer=Deaf(entry.model.scorer)))
    with pytest.raises(UserError, match=r"teacher=expert: at temperature 0\.6 its scores are those at temperature 1"):
        self_test(deaf, samples, student, COLD)


class Deaf:
    """Scores at temperature 1, whatever it is asked for."""

    name, overlaps = "expert", False

    def __init__(self, teacher: Any) -> None:
        self.teacher = teacher

    def score(self, rollouts: list[Rollout], temperature: float = 1.0) -> Any:
        return self.teacher.score(rollouts)
