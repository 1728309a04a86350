"""What a rollout engine is given: the plain model's names and tensors, from plain and adapted students."""

import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, PrefixTuningConfig, get_peft_model
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from weight_parts import ADAPTED, ATTENTION, adapted, assert_equal, loaded, logits, moved, plain

from uniopd_mm.learner.weights import exported
from uniopd_mm.types import Prompt, UserError


def test_a_plain_student_gives_its_own_tensors(checkpoint: str) -> None:
    student = plain(checkpoint)
    ours, wanted = dict(exported(student)), student.state_dict()
    assert_equal(ours, wanted)
    assert all(ours[name].data_ptr() == wanted[name].data_ptr() for name in wanted), "no copies"
    assert ours["lm_head.weight"].data_ptr() == ours["model.language_model.embed_tokens.weight"].data_ptr()


@pytest.mark.parametrize("case", ADAPTED)
def test_an_adapted_student_gives_the_plain_model_that_says_the_same(
    case: str, checkpoint: str, prompts: list[Prompt]
) -> None:
    student = adapted(checkpoint, **ADAPTED[case])
    before = {name: value.clone() for name, value in student.state_dict().items()}
    said, untrained = logits(student, prompts), plain(checkpoint)
    ours = dict(exported(student))
    assert list(ours) == list(untrained.state_dict())
    assert not any(value.requires_grad for value in ours.values())
    torch.testing.assert_close(logits(loaded(checkpoint, ours), prompts), said, rtol=1e-5, atol=2e-5)
    assert (logits(untrained, prompts) - said).abs().max() > 1e-2
    assert_equal(student.state_dict(), before)


@pytest.mark.parametrize("case", [case for case in ADAPTED if case != "tied"])  # whose delta peft merges twice
def test_an_adapted_student_gives_what_peft_merges(case: str, checkpoint: str) -> None:
    student = adapted(checkpoint, **ADAPTED[case])
    ours = {name: value.clone() for name, value in exported(student)}
    merged = student.merge_and_unload().state_dict()
    assert list(ours) == list(merged)
    for name, value in merged.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-6, msg=name)


def test_only_active_adapters_count(checkpoint: str, prompts: list[Prompt]) -> None:
    student = adapted(checkpoint, target_modules=ATTENTION, modules_to_save=["merger"])
    first = dict(exported(student))
    student.add_adapter("other", LoraConfig(r=2, target_modules=["o_proj", "q_proj"], modules_to_save=["merger"]))
    assert_equal(dict(exported(student)), first)
    student.set_adapter("other")
    moved(student, seed=1)
    for context in (student.disable_adapter(), torch.no_grad()):
        with context:
            ours, said = dict(exported(student)), logits(student, prompts)
            torch.testing.assert_close(logits(loaded(checkpoint, ours), prompts), said, rtol=1e-5, atol=2e-5)
            assert not torch.equal(said, logits(loaded(checkpoint, first), prompts))


def test_several_active_adapters_are_added_up(checkpoint: str, prompts: list[Prompt]) -> None:
    student = adapted(checkpoint, target_modules=ATTENTION)
    student.add_adapter("other", LoraConfig(r=2, target_modules=["o_proj", "q_proj"]))
    student.add_adapter("biased", LoraConfig(r=2, target_modules=["qkv"], lora_bias=True))
    student.base_model.set_adapter(["default", "other", "biased"])
    moved(student, seed=1)
    ours = loaded(checkpoint, dict(exported(student)))
    torch.testing.assert_close(logits(ours, prompts), logits(student, prompts), rtol=1e-5, atol=2e-5)


def test_adapters_that_transformers_added_are_found(checkpoint: str, prompts: list[Prompt]) -> None:
    student = plain(checkpoint)
    student.add_adapter(LoraConfig(r=3, target_modules=ATTENTION))
    moved(student, seed=0)
    ours = loaded(checkpoint, dict(exported(student)))
    torch.testing.assert_close(logits(ours, prompts), logits(student, prompts), rtol=1e-5, atol=2e-5)
    assert (logits(plain(checkpoint), prompts) - logits(student, prompts)).abs().max() > 1e-2


def test_sums_are_rounded_once_to_the_weights_type(checkpoint: str) -> None:
    student = get_peft_model(plain(checkpoint).bfloat16(), LoraConfig(r=3, target_modules=["q_proj"]))  # adapters: f32
    moved(student, seed=0)
    name, place = "model.language_model.layers.0.self_attn.q_proj.weight", "base_model.model"
    layer = student.get_submodule(f"{place}.{name.removesuffix('.weight')}")
    wanted = (layer.get_base_layer().weight + layer.get_delta_weight("default")).bfloat16()
    assert torch.equal(dict(exported(student))[name], wanted)


class Living(TorchDispatchMode):
    """Counts the bytes of tensors that were made under it and are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[weakref.ref[Tensor]] = []
        self.most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.made.append(weakref.ref(result))
        alive = [tensor for each in self.made if (tensor := each()) is not None]
        storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in alive}
        self.most = max(self.most, sum(storages.values()))
        return result


def test_one_merged_tensor_lives_at_a_time(checkpoint: str) -> None:
    student = adapted(checkpoint, target_modules="all-linear")
    own = {value.data_ptr() for value in student.state_dict().values()}
    weights = exported(student)
    seen: list[weakref.ref[Tensor]] = []
    with Living() as living:
        for _, value in weights:
            seen += [weakref.ref(value)] if value.data_ptr() not in own else []
            assert sum(each() is not None for each in seen) <= 1
    layers = [module for module in student.modules() if isinstance(module, nn.Linear)]
    assert len(seen) == sum(".lora_A." in name for name, _ in student.named_parameters())
    largest = max(layer.weight.nbytes for layer in layers if layer is not student.get_output_embeddings())
    assert largest < living.most <= 4 * largest, "the consumer's, a delta in the making, the sum"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"target_modules": ["q_proj"], "use_dora": True}, r"layers\.0\.self_attn\.q_proj is a DoraLinear.*use_dora"),
        ({"target_modules": ["q_proj"], "lora_bias": True}, "q_proj, which has none; set lora_bias=False"),
        ({"target_modules": ["q_proj"], "trainable_token_indices": [1]}, "TrainableTokensWrapper; train with plain"),
        ({"target_modules": ["q_proj", "embed_tokens"]}, "are tied .* ensure_weight_tying=True"),
        ({"target_modules": ["q_proj", "lm_head"]}, "lm_head.weight and .*embed_tokens.weight are tied"),
        ({"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}, "are tied"),
        ({"target_modules": ["q_proj"], "modules_to_save": ["merger", "norm"]}, "merger.norm is inside the one at"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_plain_weights_cannot_hold_is_refused(settings: dict[str, Any], complaint: str, checkpoint: str) -> None:
    student = adapted(checkpoint, **settings)
    with pytest.raises(UserError, match=complaint) as refused:
        exported(student)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "config",
    [
        IA3Config(target_modules=["q_proj"], feedforward_modules=[]),
        PrefixTuningConfig(
            task_type="CAUSAL_LM", num_virtual_tokens=2, num_layers=1, token_dim=64, num_attention_heads=4
        ),
    ],
    ids=["IA3", "PREFIX_TUNING"],
)
def test_adapters_of_other_kinds_are_refused(config: Any, checkpoint: str) -> None:
    student = get_peft_model(plain(checkpoint), config)
    with pytest.raises(UserError, match=f"'default' is of type {config.peft_type.value}; train with plain LoRA"):
        exported(student)


def test_merged_adapters_are_refused(checkpoint: str) -> None:
    student = adapted(checkpoint, target_modules=ATTENTION)
    student.merge_adapter()
    with pytest.raises(UserError, match="merged and not trained; call unmerge_adapter"):
        exported(student)


def test_peft_is_not_imported_for_a_student_without_adapters(checkpoint: str) -> None:
    code = (
        "import sys; from uniopd_mm.models.backbone import load_model; from uniopd_mm.learner.weights import exported; "
    )
    code += "dict(exported(load_model(sys.argv[1], 'model.path'))); assert 'peft' not in sys.modules"
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code, checkpoint], cwd=root, check=True, timeout=120)
