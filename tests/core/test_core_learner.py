"""One update of a real tiny student: the same however it is split, and none where there is nothing to learn from."""

import copy
import math

import pytest
import torch
from core_parts import rollout, sampling, scored, taught, trajectory
from torch import Tensor

from uniopd_mm.config.train import TrainerConfig
from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.learner.learner import Learner
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.runtime.world import World
from uniopd_mm.types import Failure, Prompt, TeacherScores, Trajectory

REDUCTIONS = ["sample_mean", "token_mean"]


def learner(student: Backbone, reduction: str = "sample_mean", budget: int = 250, **changes: object) -> Learner:
    settings = {"learning_rate": 1e-3, "warmup_steps": 0, "weight_decay": 0.1, "tokens_per_microbatch": budget}
    plan = TrainerConfig(**{**settings, **changes})  # type: ignore[arg-type]
    objective = OnPolicyDistillation(policy=PolicyLoss(temperature=1.0, reduction=reduction))
    return Learner(student, objective, plan, pad_id=0, world=World())


def weights(student: Backbone) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in student.model.state_dict().items()}


def gradient(student: Backbone) -> Tensor:
    """Of all parameters, end to end."""
    return torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None])


@pytest.fixture
def trajectories(backbone: Backbone, prompts: list[Prompt], text_prompts: list[Prompt]) -> list[Trajectory]:
    """Sampled from the student, of different lengths; one teacher failed, one response is empty."""
    chosen = [prompts[0], text_prompts[0], prompts[1], prompts[2], text_prompts[1]]
    generator = torch.Generator().manual_seed(0)
    made = []
    for number, each in enumerate(chosen):
        response = torch.randint(20, 300, (2 * number,), generator=generator)
        one = rollout(each, response.tolist(), (-6 + torch.rand(2 * number, generator=generator)).tolist())
        teacher = one.logprobs + torch.randn(2 * number, generator=generator)
        failed = trajectory(one, Failure(teacher="t", reason="down"))
        made.append(rewarded(failed if number == 3 else trajectory(one, scored(one, teacher))))
    return made


def rewarded(of: Trajectory) -> Trajectory:
    """With its token rewards as advantages; zeros where the teacher failed."""
    old = of.rollout.logprobs
    return taught(of, of.scores.logprobs - old if isinstance(of.scores, TeacherScores) else torch.zeros_like(old))


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_an_update_does_not_depend_on_the_budget(
    backbone: Backbone, trajectories: list[Trajectory], reduction: str
) -> None:
    """In float64, where AdamW, too, leaves nothing of a rounding error; the rate is 1e-3."""
    backbone.double()
    start, results = weights(backbone), []
    for budget in (1, 250, 10**6):
        backbone.model.load_state_dict(start)
        results.append((learner(backbone, reduction, budget).update(trajectories), weights(backbone)))
    update, moved = results[-1]
    assert max((moved[name] - start[name]).abs().max() for name in start) > 5e-4
    for other_update, other in results[:-1]:
        assert other_update.values == pytest.approx(update.values, rel=1e-5, abs=1e-7)
        for name, sums in update.sums.items():
            torch.testing.assert_close(other_update.sums[name], sums, rtol=1e-5, atol=1e-7, msg=name)
        for name, value in moved.items():
            torch.testing.assert_close(other[name], value, rtol=0, atol=1e-7, msg=name)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_accumulated_gradients_are_those_of_one_batch(
    backbone: Backbone, trajectories: list[Trajectory], reduction: str
) -> None:
    """In float32, before AdamW, which turns a rounding error of a gradient near 0 into a step."""
    start = weights(backbone)
    gradients: list[Tensor] = []
    for budget in (1, 250, 10**6):
        backbone.model.load_state_dict(start)
        of = learner(backbone, reduction, budget, max_grad_norm=1e9)
        of.optimizer.register_step_pre_hook(lambda optimizer, arguments, named: gradients.append(gradient(backbone)))
        of.update(trajectories)
    assert gradients[0].norm() > 1e-2
    for other in gradients[1:]:
        assert (other - gradients[0]).norm() < 1e-5 * gradients[0].norm()


def test_an_update_makes_what_the_teacher_likes_likelier(backbone: Backbone, prompts: list[Prompt]) -> None:
    one = rollout(prompts[0], [30, 31], [-6.0, -6.0])
    of = learner(backbone)

    def now() -> Tensor:
        with torch.no_grad():
            return backbone(collate_rollouts([one], 0), 1.0)[0]

    before = now()
    of.update([rewarded(trajectory(one, scored(one, [-5.0, -7.0])))])
    change = now() - before
    assert change[0] > 0 > change[1]


def test_a_batch_without_a_scored_token_changes_nothing(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    """Not even by weight decay or the momentum of the update before."""
    of = learner(backbone)
    of.update(trajectories)
    before, moments = weights(backbone), of.optimizer.state_dict()["state"]
    kept = {index: {name: value.clone() for name, value in entry.items()} for index, entry in moments.items()}
    failure = Failure(teacher="t", reason="down")
    failed = [rewarded(trajectory(each.rollout, failure)) for each in trajectories]
    metrics = of.update(failed).values
    assert metrics["skipped_updates"] == 1 and metrics["loss"] == 0 and metrics["grad_norm"] == 0
    assert all(math.isfinite(value) for value in metrics.values())
    assert all(torch.equal(value, before[name]) for name, value in weights(backbone).items())
    for index, entry in of.optimizer.state_dict()["state"].items():
        assert all(torch.equal(value, kept[index][name]) for name, value in entry.items())
    assert of.schedule.last_epoch == 1


def test_a_gradient_that_is_not_finite_is_skipped_and_counted(
    backbone: Backbone, trajectories: list[Trajectory]
) -> None:
    of, before = learner(backbone), weights(backbone)
    metrics = of.update([taught(trajectories[1], [1.0, math.inf])]).values
    assert metrics["skipped_updates"] == 1 and not math.isfinite(metrics["grad_norm"])
    assert all(torch.equal(value, before[name]) for name, value in weights(backbone).items())
    assert of.schedule.last_epoch == 0 and all(value.grad is None for value in backbone.parameters())
    assert of.update(trajectories).values["skipped_updates"] == 0
    assert all(value.isfinite().all() for value in weights(backbone).values())


def test_the_warm_up_by_hand(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    """Three warm-up steps: quarters of the rate, then the whole."""
    of = learner(backbone, learning_rate=4e-4, warmup_steps=3)
    rates = [of.update(trajectories[1:2]).values["learning_rate"] for _ in range(6)]
    assert rates == pytest.approx([1e-4, 2e-4, 3e-4, 4e-4, 4e-4, 4e-4])


def test_gradients_are_cut_to_the_norm(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    of, norms = learner(backbone, max_grad_norm=0.01), list[float]()
    of.optimizer.register_step_pre_hook(
        lambda optimizer, arguments, named: norms.append(float(gradient(backbone).norm()))
    )
    metrics = of.update(trajectories).values
    assert metrics["grad_norm"] > 0.01 and norms == [pytest.approx(0.01, rel=1e-3)]


def test_sums_are_over_the_tokens_of_each_trajectory(
    backbone: Backbone, processor: QwenVLProcessor, prompts: list[Prompt], text_prompts: list[Prompt]
) -> None:
    """On policy the ratio is 1, and entropy that of the sampling distribution; in the trajectories' order."""
    engine = HFRollout(backbone, processor)
    chosen = [prompts[0], text_prompts[0]]
    made = [one for group in engine.generate(chosen, 2, sampling(max_new_tokens=5)) for one in group]
    trajectories = [rewarded(trajectory(one, scored(one, one.logprobs - 0.5))) for one in made]
    with torch.no_grad():
        entropies = [backbone(collate_rollouts([one], 0), 1.0)[1].sum().item() for one in made]
    update = learner(backbone, budget=1, learning_rate=1e-9).update(trajectories)
    lengths = [float(len(one.response_ids)) for one in made]
    assert update.sums["tokens"].tolist() == lengths
    assert update.sums["ratio"].tolist() == pytest.approx(lengths, abs=1e-3)
    assert not update.sums["clipped"].any() and not update.sums["gated"].any()
    assert not update.sums["agreement_tokens"].any(), "these scores have no likeliest tokens"
    assert update.sums["mismatch"].abs().max() < 1e-6
    assert update.sums["entropy"].tolist() == pytest.approx(entropies, rel=1e-5)
    assert update.values["loss"] == pytest.approx(0.5, abs=1e-4)


def test_gradient_checkpointing_changes_nothing(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    start, moved = weights(backbone), []
    for _ in range(2):
        backbone.model.load_state_dict(start)
        of = learner(backbone)
        of.update(trajectories)
        moved.append(weights(backbone))
        backbone.model.gradient_checkpointing_enable({"use_reentrant": False})
    assert not backbone.training
    for name, value in moved[0].items():
        torch.testing.assert_close(moved[1][name], value, rtol=0, atol=2e-5, msg=name)


def test_the_state_goes_round(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    """Two updates in a row equal one, saved and taken up by another learner, and a second."""
    of = learner(backbone, warmup_steps=3)
    of.update(trajectories)
    middle = weights(backbone)
    saved = copy.deepcopy(of.state_dict())
    second = of.update(trajectories)
    wanted = weights(backbone)
    backbone.model.load_state_dict(middle)
    other = learner(backbone, warmup_steps=3)
    other.load_state_dict(saved)
    assert other.update(trajectories).values == second.values
    assert all(torch.equal(value, wanted[name]) for name, value in weights(backbone).items())
