"""An update by two processes is that of one, whatever each of them holds: text alone, failures alone, nothing to learn.

In float64, where AdamW leaves nothing of a rounding error.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from job_parts import FORKED, TIMEOUT
from parallel_parts import environment, free_port
from torch import Tensor

from uniopd_mm.config.train import TrainerConfig
from uniopd_mm.distill.gkd import GeneralizedDistillation
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.learner.learner import Learner
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.runtime.world import World
from uniopd_mm.types import (
    Failure,
    FinishReason,
    Head,
    Message,
    Outcome,
    Prompt,
    Rollout,
    Sample,
    TeacherScores,
    Trajectory,
)

# What each of two processes holds, by index among `trajectories`, and the budget of a micro-batch.
HOLDINGS: dict[str, tuple[Sequence[int], Sequence[int], int]] = {
    "text beside videos": ([0, 1], [2, 3, 4], 10**6),
    "videos beside text": ([2, 3, 4], [0, 1], 250),
    "text last on both": ([2, 5], [3, 0, 6], 1),
    "text last on one": ([2, 5], [0, 3, 4], 1),
    "only text": ([0], [1, 5], 1),
    "failures beside scores": ([7, 8], [0, 2, 3], 10**6),
    "scores beside failures, one by one": ([0, 2, 3], [7, 8], 1),
    "an empty response alone": ([9], [2, 0], 250),
    "left out beside taught": ([10], [2, 1], 250),
    "one beside many": ([2], [0, 1, 3, 4, 5, 7, 9], 400),
    "nobody": ([7], [8], 250),
}
OBJECTIVES = {
    "opd": OnPolicyDistillation(policy=PolicyLoss(temperature=1.0)),
    "opd over tokens": OnPolicyDistillation(policy=PolicyLoss(temperature=1.0, reduction="token_mean")),
    "gkd": GeneralizedDistillation(policy=PolicyLoss(temperature=1.0)),
}
CASES = [(name, "opd") for name in HOLDINGS]
CASES += [(name, other) for name in ("failures beside scores", "text last on both") for other in list(OBJECTIVES)[1:]]


@pytest.fixture(scope="module")
def trajectories(processor: QwenVLProcessor, prompts: list[Prompt]) -> list[Trajectory]:
    """0 and 1 text, 2 to 4 with videos, 5 and 6 text longer than those; 7 (with video) and 8 failed, 9 is empty (with
    video), 10 (with video) weighs nothing."""
    generator = torch.Generator().manual_seed(0)
    short = [_text(processor, text) for text in ("How many?", "Which way does it go?")]
    long = [_text(processor, "which way does it go " * times) for times in (60, 70)]
    chosen = [*short, *prompts[:3], *long, prompts[3], short[0], prompts[4], prompts[5]]
    assert min(len(prompt.token_ids) for prompt in long) > max(len(prompt.token_ids) for prompt in prompts) + 10
    made = [_trajectory(prompt, 0 if i == 9 else 2 + i % 4, generator) for i, prompt in enumerate(chosen)]
    for index in (7, 8):
        made[index] = replace(made[index], scores=Failure(teacher="t", reason="down"))
    made[10] = replace(made[10], weight=0.0)
    return made


HEAD = Head(weight=torch.randn(400, 8, generator=torch.Generator().manual_seed(1)))


def _text(processor: QwenVLProcessor, text: str) -> Prompt:
    message = Message(role="user", content=(text,))
    return processor.encode(Sample(sample_id=text, domain="d", messages=(message,), answer="1", source="s"))


def _trajectory(prompt: Prompt, length: int, generator: torch.Generator) -> Trajectory:
    ids = torch.randint(20, 300, (length,), generator=generator)
    old = -6 + torch.rand(length, generator=generator)
    advantages = torch.randn(length, generator=generator)
    rollout = Rollout(
        prompt=prompt, group_id=0, response_ids=ids, logprobs=old, finish_reason=FinishReason.STOP, policy_step=1
    )
    scores = TeacherScores(
        teacher="t",
        token_ids=ids,
        logprobs=old + advantages,
        hidden=torch.randn(length, HEAD.weight.shape[1], generator=generator),
        head=HEAD,
    )
    outcome = Outcome(correct=None, reward=0.0, reason="")
    return Trajectory(rollout=rollout, response="", outcome=outcome, scores=scores, advantages=advantages)


def learn(checkpoint: str, case: tuple[str, str], chosen: Sequence[Trajectory], world: World) -> dict[str, Any]:
    """Two updates in float64 of a student anew: gradients of both, weights after them, and what was measured."""
    torch.set_num_threads(1)
    backbone = Backbone(load_model(checkpoint, "model.path")).double()
    settings = {"learning_rate": 1e-3, "warmup_steps": 0, "weight_decay": 0.1, "max_grad_norm": 1e9}
    plan = TrainerConfig(**settings, tokens_per_microbatch=HOLDINGS[case[0]][2])  # type: ignore[arg-type]
    learner = Learner(backbone, OBJECTIVES[case[1]], plan, pad_id=0, world=world)
    seen: list[dict[str, Tensor]] = []

    def look(*_: object) -> None:
        named = backbone.named_parameters()
        seen.append({name: value.grad.clone() for name, value in named if value.grad is not None})

    learner.optimizer.register_step_pre_hook(look)
    updates = [learner.update(chosen) for _ in range(2)]
    weights = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    return {
        "gradients": seen,
        "weights": weights,
        "values": [update.values for update in updates],
        "sums": [dict(update.sums) for update in updates],
    }


def learn_as(rank: int, port: int, checkpoint: str, folder: str) -> None:
    """One of two processes, through all cases."""
    os.environ.update(environment(rank, 2, port))
    world = World()
    assert (world.rank, world.size) == (rank, 2)
    trajectories: list[Trajectory] = torch.load(Path(folder) / "trajectories.pt", weights_only=False)
    results = []
    for case in CASES:
        chosen = [trajectories[index] for index in HOLDINGS[case[0]][rank]]
        results.append(learn(checkpoint, case, chosen, world))
    torch.save(results, Path(folder) / f"{rank}.pt")


@pytest.fixture(scope="module")
def learnt(
    tmp_path_factory: pytest.TempPathFactory, checkpoint: str, trajectories: list[Trajectory]
) -> list[list[Mapping[str, Any]]]:
    """What each of two processes learnt in each case."""
    folder, port = tmp_path_factory.mktemp("learnt"), free_port()
    torch.save(trajectories, folder / "trajectories.pt")
    both = [FORKED.Process(target=learn_as, args=(rank, port, checkpoint, str(folder))) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(TIMEOUT / 2)
    ended = [process.exitcode for process in both]
    for process in both:  # one that waits for another that failed
        process.kill()
    assert ended == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("number", range(len(CASES)), ids=[", ".join(case) for case in CASES])
def test_two_processes_update_as_one(
    number: int, learnt: list[list[Mapping[str, Any]]], checkpoint: str, trajectories: list[Trajectory]
) -> None:
    """Gradients to rounding, and none where one process has none; weights alike on both; sums of each one's own."""
    case = CASES[number]
    first, second, _ = HOLDINGS[case[0]]
    alone = learn(checkpoint, case, [trajectories[index] for index in (*first, *second)], World())
    ours = [each[number] for each in learnt]
    assert len(alone["gradients"]) == (0 if case[0] == "nobody" else 2)
    for each in ours:
        for gradients, wanted in zip(each["gradients"], alone["gradients"], strict=True):
            assert gradients.keys() == wanted.keys()
            for name, value in wanted.items():
                torch.testing.assert_close(gradients[name], value, rtol=1e-6, atol=1e-10, msg=name)
        for name, value in alone["weights"].items():
            torch.testing.assert_close(each["weights"][name], value, rtol=0, atol=1e-5, msg=name)
        for values, wanted in zip(each["values"], alone["values"], strict=True):
            assert values == pytest.approx(wanted, rel=1e-5, abs=1e-9)
    assert all(torch.equal(value, ours[1]["weights"][name]) for name, value in ours[0]["weights"].items())
    for step, wanted in enumerate(alone["sums"]):
        for name, value in wanted.items():
            together = torch.cat([each["sums"][step][name] for each in ours])
            torch.testing.assert_close(together, value, rtol=1e-5, atol=1e-7, msg=name)
