"""Log-probs are those of the model's own logits, whatever it does to them: a soft cap, a factor, a bias.

Compared with the forward passes of transformers' own classes.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from core_parts import plain_logits, prompt, rollout
from divergence_parts import naive_divergence
from head_parts import CONFIGS, NUM_IDS, SIZES, tiny
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.distill.divergence import full_divergence
from uniopd_mm.models.backbone import Backbone, load_backbone
from uniopd_mm.models.head import head_of
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.types import Rollout, TeacherScores, TokenBatch, UserError, Vocabulary

VOCABULARY = Vocabulary(tokens={}, stop_ids=(2,), banned_ids=(), pad_id=0)
NAMES = list(CONFIGS)


def some_rollouts() -> list[Rollout]:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(3, 40, (3, 9), generator=generator).tolist()
    return [rollout(prompt(row[:4]), row[4 : 9 - index]) for index, row in enumerate(ids)]


def responses(tokens: TokenBatch, logits: Tensor) -> Tensor:
    """Log-probs [M, V] of the distributions that the M response tokens were drawn from."""
    return logits[:, :-1][tokens.loss_mask[:, 1:]].log_softmax(-1)


@pytest.mark.parametrize("name", NAMES)
def test_a_teacher_scores_every_id_as_its_own_forward_pass_does(name: str) -> None:
    model = tiny(CONFIGS[name]())
    tokens = collate_rollouts(some_rollouts(), 0)
    wanted = responses(tokens, plain_logits(model, tokens))
    assert wanted.min() < -2, "log-probs that differ"
    teacher = LocalTeacher("t", Backbone(model), VOCABULARY, top_k=NUM_IDS)
    scores = [one for one in teacher.score(some_rollouts()) if isinstance(one, TeacherScores)]
    ids, values = (torch.cat([getattr(one, part) for one in scores]) for part in ("topk_ids", "topk_logprobs"))
    torch.testing.assert_close(torch.zeros(wanted.shape).scatter(-1, ids, values), wanted, rtol=1e-5, atol=1e-5)
    chosen = wanted.gather(-1, tokens.input_ids[tokens.loss_mask][:, None]).squeeze(-1)
    torch.testing.assert_close(torch.cat([one.logprobs for one in scores]), chosen, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_its_own_forward_pass(name: str) -> None:
    model = tiny(CONFIGS[name]()).double()
    tokens = collate_rollouts(some_rollouts(), 0)
    ours = Backbone(model, logits_budget=5 * NUM_IDS)(tokens, temperature=0.7)[0].sum()
    gradients = with_gradients(model, ours)
    logits = model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask.long()).logits / 0.7
    chosen = responses(tokens, logits).gather(-1, tokens.input_ids[tokens.loss_mask][:, None])
    torch.testing.assert_close(gradients, with_gradients(model, chosen.sum()), rtol=1e-6, atol=1e-6)
    assert all(value.any() for name, value in gradients.items() if name.endswith("lm_head.bias"))


def with_gradients(model: PreTrainedModel, value: Tensor) -> dict[str, Tensor]:
    named = dict(model.named_parameters())
    found = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    return {name: gradient for name, gradient in zip(named, found, strict=True) if gradient is not None}


def test_whole_distributions_are_compared_by_each_models_own_logits() -> None:
    student, teacher = (tiny(CONFIGS[name](), seed) for name, seed in (("cap", 0), ("bias", 1)))
    tokens = collate_rollouts(some_rollouts(), 0)
    states = teacher.base_model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask.long())
    theirs = states.last_hidden_state[:, :-1][tokens.loss_mask[:, 1:]].detach()

    def read(*arguments: Any, **settings: Any) -> tuple[Tensor, ...]:
        return full_divergence(*arguments, **settings, teacher_states=theirs, teacher_head=head_of(teacher), beta=0.5)

    divergence = Backbone(student)(tokens, 1.0, read=read)[3]
    p, q = (responses(tokens, plain_logits(model, tokens)).double().exp() for model in (teacher, student))
    torch.testing.assert_close(divergence.double(), naive_divergence(p, q, 0.5), rtol=1e-4, atol=1e-6)
    assert divergence.min() > 0.1


def test_small_logits_do_not_hide_what_is_done_to_large_ones() -> None:
    """With an embedding of almost zero, a model with a cap and one without have the same log-probs."""
    model = tiny(CONFIGS["cap"]())
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(1e-3)
    assert Backbone(model).head.cap == 5.0


class OddConfig(LlamaConfig):
    model_type = "odd"
    odd_ceiling: float = 4.0
    odd_factor: float = 1.0


class OddModel(LlamaForCausalLM):
    """Does to its logits what no known entry of its configuration says."""

    config_class = OddConfig

    def forward(self, **inputs: Any) -> Any:
        output = super().forward(**inputs)
        output.logits = self.config.odd_factor * output.logits.clamp(max=self.config.odd_ceiling)
        return output


AutoConfig.register("odd", OddConfig, exist_ok=True)
AutoModelForCausalLM.register(OddConfig, OddModel, exist_ok=True)


@pytest.mark.parametrize("odd", [{"odd_ceiling": 4.0}, {"odd_ceiling": 1e9, "odd_factor": 1.01}])
def test_another_kind_of_logits_is_refused_with_the_difference(tmp_path: Path, odd: dict[str, float]) -> None:
    """Even if the logits of a young model are small, as here."""
    OddModel(OddConfig(**SIZES, **odd)).save_pretrained(tmp_path)
    refusal = rf"^teacher.path={tmp_path}: log-probs of its own .* differ by up to [\d.]+ nats .*; choose another model"
    with pytest.raises(UserError, match=refusal) as error:
        load_backbone(str(tmp_path), "teacher.path")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["cap", "scale that divides", "bias"])
def test_weights_in_half_precision_are_recognised(name: str) -> None:
    config = CONFIGS[name]()
    exact, half = Backbone(tiny(config)).head, Backbone(tiny(config).bfloat16()).head
    assert (half.scale, half.cap, half.bias is None) == (exact.scale, exact.cap, exact.bias is None)
