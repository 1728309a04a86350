"""Gradient checkpointing saves memory and nothing else: a student with dropout everywhere learns as it does without."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from core_parts import prompt, rollout, scored, taught, trajectory
from head_parts import SIZES, tiny
from torch import Tensor
from transformers import FalconConfig, GPTNeoXConfig, LlamaConfig, OPTConfig, PhiConfig, PreTrainedConfig
from transformers.modeling_layers import GradientCheckpointingLayer

from uniopd_mm.config.train import TrainerConfig
from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.learner.learner import Learner, Update
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.runtime.world import World
from uniopd_mm.types import Trajectory

P = 0.1
CONFIGS: dict[str, Callable[[], PreTrainedConfig]] = {
    "in the attention": lambda: LlamaConfig(**SIZES, attention_dropout=P),
    "in modules": lambda: PhiConfig(**SIZES, attention_dropout=P, resid_pdrop=P, embd_pdrop=P),
    "in the layers themselves": lambda: OPTConfig(
        **SIZES, ffn_dim=48, word_embed_proj_dim=32, dropout=P, attention_dropout=P, activation_dropout=P, layerdrop=P
    ),
    "in the layers, from the configuration": lambda: FalconConfig(
        **SIZES, attention_dropout=P, hidden_dropout=P, alibi=False
    ),
    "in residuals": lambda: GPTNeoXConfig(**SIZES, attention_dropout=P, hidden_dropout=P),
}


@pytest.fixture
def trajectories() -> list[Trajectory]:
    """Responses of two lengths; the teacher is surer than the student of some tokens, and less sure of others."""
    generator = torch.Generator().manual_seed(1)
    made = []
    for length in (3, 6):
        ids = torch.randint(3, 40, (4 + length,), generator=generator).tolist()
        one = rollout(prompt(ids[:4]), ids[4:])
        advantages = torch.randn(length, generator=generator)
        made.append(taught(trajectory(one, scored(one, one.logprobs + advantages)), advantages))
    return made


def on_policy(student: Backbone, of: Trajectory) -> Trajectory:
    """With the student's own log-probs, which it would have generated with."""
    with torch.no_grad():
        (logprobs, *_) = student(collate_rollouts([of.rollout], 0), 1.0)
    own = replace(of.rollout, logprobs=logprobs.float())
    return replace(of, rollout=own, scores=scored(own, own.logprobs + of.advantages))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_student_with_dropout_learns_as_without_checkpointing(name: str, trajectories: list[Trajectory]) -> None:
    """At the first step of a policy every importance ratio is 1, exactly."""
    results: list[tuple[Update, dict[str, Tensor], int]] = []
    for enabled in (False, True):
        student = Backbone(tiny(CONFIGS[name]()).double())
        if enabled:
            student.model.gradient_checkpointing_enable({"use_reentrant": False})
        before = config_of(student)
        own = [on_policy(student, one) for one in trajectories]
        calls = count_calls(student)
        plan = TrainerConfig(learning_rate=1e-3, warmup_steps=0, tokens_per_microbatch=10**6)
        objective = OnPolicyDistillation(policy=PolicyLoss(temperature=1.0))
        update = Learner(student, objective, plan, pad_id=0, world=World()).update(own)
        results.append((update, dict(student.model.named_parameters()), len(calls)))
        assert not any(module.training for module in student.modules())
        assert config_of(student) == before, "what is saved with the student"
    (plain, wanted, once), (recomputed, found, twice) = results
    assert twice == 2 * once > 0
    lengths = [float(len(one.rollout.response_ids)) for one in trajectories]
    assert recomputed.sums["ratio"].tolist() == plain.sums["ratio"].tolist() == pytest.approx(lengths, abs=1e-5)
    assert recomputed.values == pytest.approx(plain.values, rel=1e-9)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)


def config_of(student: Backbone) -> dict[str, object]:
    return student.model.config.to_dict()


def count_calls(student: Backbone) -> list[None]:
    """One entry for each time that the first layer's attention or what is inside of it computes."""
    calls: list[None] = []
    layer = next(module for module in student.model.modules() if isinstance(module, GradientCheckpointingLayer))
    inner = next(module for module in layer.children() if any(True for _ in module.children()))
    inner.register_forward_hook(lambda *_: calls.append(None))
    return calls
