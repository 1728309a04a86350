"""One batch with everything in it: texts, pictures, several pictures, clips, a picture after a clip. Each sample is
scored, learnt from and answered as it is alone."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from core_parts import plain_logits, rollout, sampling, scored, taught, trajectory
from PIL import Image
from torch import Tensor

from uniopd_mm.config.train import TrainerConfig
from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.distill.gkd import GeneralizedDistillation
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.learner.learner import Learner
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.runtime.world import World
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.types import Failure, Media, Message, Prompt, Rollout, Sample, TeacherScores, Trajectory


def picture(folder: Path, name: str, size: tuple[int, int]) -> Media:
    """No two pixels' neighbourhoods are alike, so that no two patches are."""
    width, height = size
    down, right = np.mgrid[:height, :width]
    colours = np.stack([right * 7 + len(name), down * 11, right * down + ord(name[0])], -1)
    path = folder / f"{name}.png"
    Image.fromarray((colours % 256).astype(np.uint8)).save(path)
    return Media(kind="image", source=str(path))


def asked(name: str, *content: str | Media) -> Sample:
    return Sample(
        sample_id=name,
        domain="d",
        messages=(Message(role="user", content=content),),
        answer="1",
        source=f"{name}:1",
    )


@pytest.fixture(scope="module")
def mixed(
    tmp_path_factory: pytest.TempPathFactory, processor: QwenVLProcessor, samples: tuple[Sample, ...]
) -> list[Prompt]:
    folder = tmp_path_factory.mktemp("pictures")
    first, second, third = (
        picture(folder, name, size) for name, size in (("a", (64, 96)), ("bb", (96, 64)), ("ccc", (32, 128)))
    )
    clip, other = (next(p for p in one.messages[0].content if isinstance(p, Media)) for one in samples[:2])
    made = [
        processor.encode(one)
        for one in (
            asked("text", "How many?"),
            asked("picture", first, "What is it?"),
            asked("clip", clip, "Which way?"),
            asked("pictures", second, "and", third, "Which is larger, and why?"),
            asked("clip and picture", "See", other, "beside", second, "?"),
            asked("long text", "Which way does the circle move, and how often does it turn?"),
        )
    ]
    assert [len(prompt.media) for prompt in made] == [0, 2, 2, 2, 4, 0]
    assert len({len(prompt.token_ids) for prompt in made}) == len(made)
    return made


@pytest.fixture
def rollouts(mixed: list[Prompt]) -> list[Rollout]:
    generator = torch.Generator().manual_seed(1)
    responses = [torch.randint(20, 300, (number,), generator=generator) for number in (3, 1, 7, 4, 2, 5)]
    return [rollout(prompt, ids.tolist()) for prompt, ids in zip(mixed, responses, strict=True)]


def logprobs(backbone: Backbone, of: Sequence[Rollout]) -> list[Tensor]:
    batch = collate_rollouts(of, 0)
    return list(backbone(batch, 1.0)[0].split(batch.loss_mask.sum(-1).tolist()))


def gradient(backbone: Backbone) -> dict[str, Tensor]:
    found = {name: p.grad for name, p in backbone.named_parameters() if p.grad is not None}
    backbone.zero_grad(set_to_none=True)
    return found


ORDERS = [(0, 1, 2, 3, 4, 5), (4, 2, 5, 0, 3, 1), (3, 3, 1, 4)]


@pytest.mark.parametrize("order", ORDERS)
def test_each_is_scored_as_alone(backbone: Backbone, rollouts: list[Rollout], order: tuple[int, ...]) -> None:
    """And alone as by the model's own forward pass."""
    plain = Backbone(backbone.model)
    with torch.no_grad():
        together = logprobs(plain, [rollouts[index] for index in order])
        for index, values in zip(order, together, strict=True):
            one = rollouts[index]
            (alone,) = logprobs(plain, [one])
            torch.testing.assert_close(values, alone, rtol=1e-5, atol=1e-5)
            before = slice(len(one.prompt.token_ids) - 1, -1)
            logits = plain_logits(plain.model, collate_rollouts([one], 0))[0, before].log_softmax(-1)
            torch.testing.assert_close(
                alone, logits.gather(-1, one.response_ids[:, None]).squeeze(-1), rtol=1e-5, atol=1e-5
            )


def test_media_are_seen_in_their_own_samples(backbone: Backbone, mixed: list[Prompt], rollouts: list[Rollout]) -> None:
    """The oracle above could not tell if nothing were seen: other pictures, other log-probs."""
    with torch.no_grad():
        (seen,) = logprobs(backbone, [rollouts[3]])
        pictures = mixed[3].media["pixel_values"]
        turned = Prompt(
            sample=mixed[3].sample,
            token_ids=mixed[3].token_ids,
            media={**mixed[3].media, "pixel_values": pictures.flip(0)},
            token_features=mixed[3].token_features,
            engine_token_ids=mixed[3].engine_token_ids,
        )
        (other,) = logprobs(backbone, [rollout(turned, rollouts[3].response_ids.tolist())])
    assert (seen - other).abs().max() > 1e-3


def test_the_gradient_of_a_batch_is_the_sum_of_its_samples(backbone: Backbone, rollouts: list[Rollout]) -> None:
    backbone.double()
    torch.cat(logprobs(backbone, rollouts)).sum().backward()
    together = gradient(backbone)
    total: dict[str, Tensor] = {}
    for one in rollouts:
        logprobs(backbone, [one])[0].sum().backward()
        for name, value in gradient(backbone).items():
            total[name] = total.get(name, torch.zeros_like(value)) + value
    assert together.keys() == total.keys() and any("visual" in name for name in total)
    for name, value in total.items():
        assert (together[name] - value).norm() <= 1e-8 * (1 + value.norm()), name


def test_each_is_answered_as_alone(backbone: Backbone, processor: QwenVLProcessor, mixed: list[Prompt]) -> None:
    engine = HFRollout(backbone, processor)
    for temperature in (0, 1.0):
        plan = sampling(temperature, max_new_tokens=6)
        together = engine.generate(mixed, 2, plan)
        for prompt, group in zip(mixed, together, strict=True):
            (alone,) = engine.generate([prompt], 2, plan)
            for one, wanted in zip(group, alone, strict=True):
                assert torch.equal(one.response_ids, wanted.response_ids)
                torch.testing.assert_close(one.logprobs, wanted.logprobs, rtol=1e-5, atol=1e-5)


def learner(student: Backbone, objective: object, budget: int) -> Learner:
    plan = TrainerConfig(
        learning_rate=1e-9, warmup_steps=0, weight_decay=0.0, tokens_per_microbatch=budget, max_grad_norm=1e9
    )
    return Learner(student, objective, plan, pad_id=0, world=World())  # type: ignore[arg-type]


def update_gradient(student: Backbone, objective: object, trajectories: Sequence[Trajectory], budget: int) -> Tensor:
    of, seen = learner(student, objective, budget), list[Tensor]()

    def note(optimizer: object, arguments: object, named: object) -> None:
        seen.append(torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None]))

    of.optimizer.register_step_pre_hook(note)
    of.update(trajectories)
    return seen[0]


@pytest.mark.parametrize("budget", [1, 400, 10**6])
def test_an_update_on_mixed_media_is_the_mean_over_samples_alone(
    backbone: Backbone, rollouts: list[Rollout], budget: int
) -> None:
    """The clipped loss written out, sample by sample; of its ratios some are clipped."""
    objective = OnPolicyDistillation(policy=PolicyLoss(temperature=1.0, gate=1e9))
    advantages = [torch.linspace(-1, 1, len(one.response_ids)) + 0.3 for one in rollouts]
    with torch.no_grad():
        near = [values + 0.3 * torch.sin(torch.arange(len(values))) for values in logprobs(backbone, rollouts)]
    rollouts = [replace(one, logprobs=old) for one, old in zip(rollouts, near, strict=True)]
    for one, advantage in zip(rollouts, advantages, strict=True):
        ratio = torch.exp(logprobs(backbone, [one])[0] - one.logprobs)
        losses = torch.maximum(-ratio * advantage, -ratio.clamp(0.8, 1.28) * advantage)
        (losses.mean() / len(rollouts)).backward()
    wanted = torch.cat([value.flatten() for value in gradient(backbone).values()])
    made = [
        taught(trajectory(one, scored(one, one.logprobs)), advantage)
        for one, advantage in zip(rollouts, advantages, strict=True)
    ]
    found = update_gradient(backbone, objective, made, budget)
    assert wanted.norm() > 1e-2 and (found - wanted).norm() < 1e-4 * wanted.norm()


def with_hidden(
    student: Backbone, processor: QwenVLProcessor, rollouts: Sequence[Rollout], seeds: Sequence[int]
) -> list[Trajectory]:
    """Scored by a teacher of the seed's weights, or by nobody with seed 0."""
    teachers = {seed: other(student, processor, seed) for seed in set(seeds) if seed}
    made = []
    for one, seed in zip(rollouts, seeds, strict=True):
        scores: TeacherScores | Failure = Failure(teacher="t", reason="down")
        if seed:
            (scores,) = teachers[seed].score([one])
        made.append(taught(trajectory(one, scores), torch.zeros(len(one.response_ids))))
    return made


def other(student: Backbone, processor: QwenVLProcessor, seed: int) -> LocalTeacher:
    model = type(student.model)(student.model.config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            own = student.model.get_parameter(name)
            value.copy_(own + 0.1 * torch.randn(own.shape, generator=generator))
    return LocalTeacher(f"t{seed}", Backbone(model.eval()), processor.vocabulary, keep_hidden=True)


@pytest.mark.parametrize("reduction", ["token_mean", "sample_mean"])
@pytest.mark.parametrize("budget", [1, 300, 10**6])
def test_distributions_of_two_teachers_in_one_update_are_their_weighted_gradients(
    backbone: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout], reduction: str, budget: int
) -> None:
    """Each teacher's part counts by its tokens, or by its samples; somebody failed on one of them."""
    objective = GeneralizedDistillation(policy=PolicyLoss(temperature=1.0, reduction=reduction))
    made = with_hidden(backbone, processor, rollouts, (1, 2, 2, 0, 1, 2))
    heads = {id(one.scores.head) for one in made if isinstance(one.scores, TeacherScores)}
    assert len(heads) == 2
    together = update_gradient(backbone, objective, made, budget)
    wanted = torch.zeros_like(together)
    scored_by = {seed: [one for one, by in zip(made, (1, 2, 2, 0, 1, 2), strict=True) if by == seed] for seed in (1, 2)}
    counts = {
        seed: sum(len(one.rollout.response_ids) for one in own) if reduction == "token_mean" else len(own)
        for seed, own in scored_by.items()
    }
    for seed, own in scored_by.items():
        wanted += counts[seed] / sum(counts.values()) * update_gradient(backbone, objective, own, 10**6)
    assert wanted.norm() > 1e-3
    assert (together - wanted).norm() < 1e-4 * wanted.norm()


def test_sums_of_an_update_with_two_teachers_stand_in_the_trajectories_order(
    backbone: Backbone, processor: QwenVLProcessor, rollouts: list[Rollout]
) -> None:
    objective = GeneralizedDistillation(policy=PolicyLoss(temperature=1.0))
    made = with_hidden(backbone, processor, rollouts, (1, 2, 2, 0, 1, 2))
    lengths = [0.0 if isinstance(one.scores, Failure) else float(len(one.rollout.response_ids)) for one in made]
    for order in itertools.islice(itertools.permutations(range(6)), 0, 720, 239):
        sums = learner(backbone, objective, 300).update([made[index] for index in order]).sums
        assert sums["tokens"].tolist() == [lengths[index] for index in order]
