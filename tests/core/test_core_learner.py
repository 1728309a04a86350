"""One update of a real tiny student: the same however it is split, and none where there is nothing to learn from."""

import copy
import math
from collections.abc import Sequence

import pytest
import torch
from core_parts import rollout, sampling, scored, trajectory
from torch import Tensor

from uniopd_mm.backbone import Backbone
from uniopd_mm.config import TrainerConfig
from uniopd_mm.data.collate import collate
from uniopd_mm.data.microbatch import by_token_budget
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.learner.learner import Learner
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.types import Batch, Failure, Prompt, Trajectory

REDUCTIONS = ["sample_mean", "token_mean"]


def learner(student: Backbone, reduction: str = "sample_mean", **changes: object) -> Learner:
    plan = TrainerConfig(**{"learning_rate": 1e-3, "warmup_steps": 0, "weight_decay": 0.1, **changes})  # type: ignore[arg-type]
    return Learner(student, OnPolicyDistillation(temperature=1.0, reduction=reduction), plan)


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
        made.append(trajectory(one, Failure(teacher="t", reason="down") if number == 3 else scored(one, teacher)))
    return made


def microbatches(of: Learner, trajectories: Sequence[Trajectory], budget: int) -> list[Batch]:
    advantages = [of.objective.advantages(each) for each in trajectories]
    lengths = [len(each.rollout.prompt.token_ids) + len(each.rollout.response_ids) for each in trajectories]
    return [
        collate([trajectories[i] for i in part], [advantages[i] for i in part], 0)
        for part in by_token_budget(lengths, budget)
    ]


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_an_update_does_not_depend_on_the_budget(
    backbone: Backbone, trajectories: list[Trajectory], reduction: str
) -> None:
    """In float64, where AdamW, too, leaves nothing of a rounding error; the rate is 1e-3."""
    backbone.double()
    start, results = weights(backbone), []
    for budget in (1, 250, 10**6):
        backbone.model.load_state_dict(start)
        of = learner(backbone, reduction)
        parts = microbatches(of, trajectories, budget)
        results.append((len(parts), of.update(parts), weights(backbone)))
    assert [count for count, _, _ in results] == sorted({count for count, _, _ in results}, reverse=True)
    _, metrics, moved = results[-1]
    assert max((moved[name] - start[name]).abs().max() for name in start) > 5e-4
    for _, other_metrics, other in results[:-1]:
        assert other_metrics == pytest.approx(metrics, rel=1e-5, abs=1e-7)
        for name, value in moved.items():
            torch.testing.assert_close(other[name], value, rtol=0, atol=1e-7, msg=name)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_accumulated_gradients_are_those_of_one_batch(
    backbone: Backbone, trajectories: list[Trajectory], reduction: str
) -> None:
    """In float32, before AdamW, which turns a rounding error of a gradient near 0 into a step."""
    of, start = learner(backbone, reduction, max_grad_norm=1e9), weights(backbone)
    gradients: list[Tensor] = []
    of.optimizer.register_step_pre_hook(lambda optimizer, arguments, named: gradients.append(gradient(backbone)))
    for budget in (1, 250, 10**6):
        backbone.model.load_state_dict(start)
        of.update(microbatches(of, trajectories, budget))
    assert gradients[0].norm() > 1e-2
    for other in gradients[1:]:
        assert (other - gradients[0]).norm() < 1e-5 * gradients[0].norm()


def test_an_update_makes_what_the_teacher_likes_likelier(backbone: Backbone, prompts: list[Prompt]) -> None:
    one = rollout(prompts[0], [30, 31], [-6.0, -6.0])
    of = learner(backbone)
    parts = microbatches(of, [trajectory(one, scored(one, [-5.0, -7.0]))], 10**6)

    def now() -> Tensor:
        with torch.no_grad():
            return backbone(parts[0].tokens, 1.0)[0][parts[0].tokens.loss_mask]

    before = now()
    of.update(parts)
    change = now() - before
    assert change[0] > 0 > change[1]


def test_a_batch_without_a_scored_token_changes_nothing(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    """Not even by weight decay or the momentum of the update before."""
    of = learner(backbone)
    of.update(microbatches(of, trajectories, 10**6))
    before, moments = weights(backbone), of.optimizer.state_dict()["state"]
    kept = {index: {name: value.clone() for name, value in entry.items()} for index, entry in moments.items()}
    failure = Failure(teacher="t", reason="down")
    failed = [trajectory(each.rollout, failure) for each in trajectories]
    metrics = of.update(microbatches(of, failed, 250))
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
    metrics = of.update([collate(trajectories[1:2], [torch.tensor([1.0, math.inf])], 0)])
    assert metrics["skipped_updates"] == 1 and not math.isfinite(metrics["grad_norm"])
    assert all(torch.equal(value, before[name]) for name, value in weights(backbone).items())
    assert of.schedule.last_epoch == 0 and all(value.grad is None for value in backbone.parameters())
    assert of.update(microbatches(of, trajectories, 250))["skipped_updates"] == 0
    assert all(value.isfinite().all() for value in weights(backbone).values())


def test_the_warm_up_by_hand(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    """Three warm-up steps: quarters of the rate, then the whole."""
    of = learner(backbone, learning_rate=4e-4, warmup_steps=3)
    parts = microbatches(of, trajectories[1:2], 10**6)
    rates = [of.update(parts)["learning_rate"] for _ in range(6)]
    assert rates == pytest.approx([1e-4, 2e-4, 3e-4, 4e-4, 4e-4, 4e-4])


def test_gradients_are_cut_to_the_norm(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    of, norms = learner(backbone, max_grad_norm=0.01), list[float]()
    of.optimizer.register_step_pre_hook(
        lambda optimizer, arguments, named: norms.append(float(gradient(backbone).norm()))
    )
    metrics = of.update(microbatches(of, trajectories, 10**6))
    assert metrics["grad_norm"] > 0.01 and norms == [pytest.approx(0.01, rel=1e-3)]


def test_metrics_are_means_over_tokens_of_the_whole_update(
    backbone: Backbone, processor: QwenVLProcessor, prompts: list[Prompt], text_prompts: list[Prompt]
) -> None:
    """On policy the ratio is 1, and entropy that of the sampling distribution, averaged over every token."""
    engine = HFRollout(backbone, processor.vocabulary)
    chosen = [prompts[0], text_prompts[0]]
    made = [one for group in engine.generate(chosen, 2, sampling(max_new_tokens=5)) for one in group]
    of = learner(backbone, learning_rate=1e-9)
    trajectories = [trajectory(one, scored(one, one.logprobs - 0.5)) for one in made]
    parts = microbatches(of, trajectories, 1)
    with torch.no_grad():
        entropies = [backbone(part.tokens, 1.0)[1][part.tokens.loss_mask] for part in parts]
    metrics = of.update(parts)
    assert metrics["ratio"] == pytest.approx(1, abs=1e-4) and metrics["clipped"] == metrics["gated"] == 0
    assert metrics["loss"] == pytest.approx(0.5, abs=1e-4)
    assert metrics["entropy"] == pytest.approx(torch.cat(entropies).mean().item(), rel=1e-5)


def test_gradient_checkpointing_changes_nothing(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    start, moved = weights(backbone), []
    for _ in range(2):
        backbone.model.load_state_dict(start)
        of = learner(backbone)
        of.update(microbatches(of, trajectories, 250))
        moved.append(weights(backbone))
        backbone.model.gradient_checkpointing_enable({"use_reentrant": False})
    assert not backbone.training
    for name, value in moved[0].items():
        torch.testing.assert_close(moved[1][name], value, rtol=0, atol=2e-5, msg=name)


def test_the_state_goes_round(backbone: Backbone, trajectories: list[Trajectory]) -> None:
    """Two updates in a row equal one, saved and taken up by another learner, and a second."""
    of = learner(backbone, warmup_steps=3)
    parts = microbatches(of, trajectories, 250)
    of.update(parts)
    middle = weights(backbone)
    saved = copy.deepcopy(of.state_dict())
    second = of.update(parts)
    wanted = weights(backbone)
    backbone.model.load_state_dict(middle)
    other = learner(backbone, warmup_steps=3)
    other.load_state_dict(saved)
    assert other.update(parts) == second
    assert all(torch.equal(value, wanted[name]) for name, value in weights(backbone).items())
