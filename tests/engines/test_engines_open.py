"""Further families of vision-language models through the generic processor: what transformers itself makes of the same
conversation, log-probs to 1e-5 however samples are batched, gradients, and checkpoints that load again."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from families import image, sample_of, samples, video
from open_families import OPEN, QWEN, write_open
from torch import Tensor
from transformers import AutoProcessor

from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.learner.weights import exported
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.auto import auto_processor
from uniopd_mm.processors.generic import GenericProcessor
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.types import BadSample, Message, Prompt, Rollout, Sample, Sampling, UserError

SAMPLING = Sampling(temperature=1.0, max_new_tokens=8, seed=3, policy_step=1)
RECURRENT = {"qwen3_5": 1e-4, "qwen3_5_moe": 1e-4}
"""Tolerances [nats] between steps of a recurrence and the scan over a whole sequence, whose roundings differ."""

families = pytest.mark.parametrize("name", sorted(OPEN))
cells = pytest.mark.parametrize(("name", "kind"), [(name, kind) for name in sorted(OPEN) for kind in OPEN[name].kinds])


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    torch.set_num_threads(1)
    return cache(lambda name: write_open(name, tmp_path_factory.mktemp(name)))


@pytest.fixture(scope="module")
def parts_of(folder_of: Any) -> Any:
    def load(name: str) -> tuple[Any, Backbone]:
        processor = auto_processor(folder_of(name))
        return processor, Backbone(load_model(folder_of(name), "m"), processor.vocabulary.banned_ids)

    return cache(load)


def prompts_of(name: str, processor: Any) -> list[Prompt]:
    return [processor.encode(samples()[kind]) for kind in OPEN[name].kinds]


@torch.no_grad()
def together(backbone: Backbone, rollouts: list[Rollout]) -> Tensor:
    return backbone(collate_rollouts(rollouts, 0), 1.0)[0]


def one_by_one(backbone: Backbone, rollouts: list[Rollout]) -> Tensor:
    return torch.cat([together(backbone, [rollout]) for rollout in rollouts])


@families
def test_the_processor_follows_from_the_checkpoint(name: str, parts_of: Any) -> None:
    kind = QwenVLProcessor if name in QWEN else GenericProcessor
    assert isinstance(parts_of(name)[0], kind)


@pytest.mark.parametrize(("name", "kind"), [(n, k) for n in sorted(OPEN) if n not in QWEN for k in OPEN[n].kinds[:3]])
def test_ids_and_tensors_are_those_of_the_stock_processor(name: str, kind: str, folder_of: Any, parts_of: Any) -> None:
    """Its own way from a conversation to tensors, which renders and expands at once."""
    stock = AutoProcessor.from_pretrained(folder_of(name))
    sample = samples()[kind]
    content = [
        {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": part.source}
        for part in sample.messages[0].content
    ]
    expected = stock.apply_chat_template(
        [{"role": "user", "content": content}],
        tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True,
    )  # fmt: skip
    prompt = parts_of(name)[0].encode(sample)
    assert prompt.token_ids.tolist() == expected["input_ids"][0].tolist()
    for medium, tensor in prompt.media.items():
        assert torch.equal(tensor.flatten(), expected[medium].flatten()), medium


@families
def test_a_batch_changes_no_logprob(name: str, parts_of: Any) -> None:
    processor, backbone = parts_of(name)
    groups = HFRollout(backbone, processor).generate(prompts_of(name, processor), 2, SAMPLING)
    rollouts = [rollout for group in groups for rollout in group]
    alone = one_by_one(backbone, rollouts)
    torch.testing.assert_close(together(backbone, rollouts), alone, atol=1e-5, rtol=0)
    sampled = torch.cat([rollout.logprobs for rollout in rollouts])
    torch.testing.assert_close(sampled, alone, atol=RECURRENT.get(name, 1e-5), rtol=0)


@pytest.mark.parametrize("name", sorted(RECURRENT))
def test_left_padding_reaches_no_recurrence(name: str, parts_of: Any) -> None:
    """A prompt that waits for longer ones is answered as by itself."""
    processor, backbone = parts_of(name)
    engine = HFRollout(backbone, processor)
    prompts = prompts_of(name, processor)
    padded = [rollout for group in engine.generate(prompts, 2, SAMPLING) for rollout in group]
    alone = [rollout for prompt in prompts for rollout in engine.generate([prompt], 2, SAMPLING)[0]]
    for one, other in zip(padded, alone, strict=True):
        assert torch.equal(one.response_ids, other.response_ids)
        torch.testing.assert_close(one.logprobs, other.logprobs, atol=2e-5, rtol=0)


@cells
def test_gradients_reach_every_part(name: str, kind: str, parts_of: Any) -> None:
    processor, backbone = parts_of(name)
    prompt = processor.encode(samples()[kind])
    rollouts = HFRollout(backbone, processor).generate([prompt], 1, SAMPLING)[0]
    backbone.zero_grad()
    backbone(collate_rollouts(rollouts, 0), 1.0)[0].sum().backward()
    sizes = {
        part: max(float(p.grad.abs().max()) for p in parameters if p.grad is not None)
        for part, parameters in _parts(backbone).items()
        if any(p.grad is not None for p in parameters)
    }
    assert all(0 < size < float("inf") for size in sizes.values()), sizes
    assert ("vision" in sizes) == (kind != "text")


def _parts(backbone: Backbone) -> dict[str, list[Any]]:
    named = list(backbone.model.named_parameters())
    vision = [p for name, p in named if "vision" in name or "visual" in name]
    assert vision and len(vision) < len(named)
    return {"vision": vision, "text": [p for name, p in named if "vision" not in name and "visual" not in name]}


@families
def test_a_saved_student_is_the_same_model(name: str, parts_of: Any, tmp_path: Path) -> None:
    processor, backbone = parts_of(name)
    backbone.model.save_pretrained(tmp_path)
    processor.save(tmp_path)
    again, model = auto_processor(str(tmp_path)), load_model(str(tmp_path), "m")
    assert again.settings == processor.settings and again.vocabulary == processor.vocabulary
    rollouts = HFRollout(backbone, processor).generate(prompts_of(name, processor), 1, SAMPLING)
    flat = [rollout for group in rollouts for rollout in group]
    found = together(Backbone(model, again.vocabulary.banned_ids), flat)
    assert torch.equal(found, together(backbone, flat))
    assert {key for key, _ in exported(backbone.model)} == set(model.state_dict())


def test_a_family_that_cannot_be_batched_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="MiniCPMV4_6Processor, which is not supported: it joins the patches"):
        auto_processor(write_open("minicpmv4_6", tmp_path))


@pytest.mark.parametrize("name", [name for name in sorted(OPEN) if name not in QWEN])
class TestBadInput:
    def test_tokens_of_media_are_banned_and_refused_in_texts(self, name: str, parts_of: Any) -> None:
        processor, _ = parts_of(name)
        vocabulary = processor.vocabulary
        banned = {text for text, index in vocabulary.tokens.items() if index in vocabulary.banned_ids}
        assert set(OPEN[name].image.replace(">", ">\n").split()) & banned
        assert not set(vocabulary.banned_ids) & set(vocabulary.stop_ids)
        for token in banned:
            with pytest.raises(BadSample, match="media placeholder"):
                processor.encode(sample_of("a", f"what is {token}?"))

    def test_kinds_that_it_does_not_read_are_refused_with_the_reason(self, name: str, parts_of: Any) -> None:
        processor, _ = parts_of(name)
        if OPEN[name].video:
            pytest.skip("it reads videos")
        with pytest.raises(BadSample, match="'video' cannot be read by this backbone: it"):
            processor.encode(sample_of("a", video(4, 1.0), "what?"))

    def test_media_of_another_shape_are_refused(self, name: str, parts_of: Any) -> None:
        processor, _ = parts_of(name)
        prompt = processor.encode(sample_of("a", image(64, 64), "what?"))
        processor.check_media(prompt)
        flat = {key: tensor.flatten() for key, tensor in prompt.media.items()}
        for media in (flat, {"pixels": torch.zeros(1)}, {"pixel_values": prompt.media["pixel_values"].long()}):
            with pytest.raises(BadSample, match="this backbone has no such input"):
                processor.check_media(replace(prompt, media=media))

    def test_turns_and_a_system_prompt_are_kept(self, name: str, folder_of: Any) -> None:
        processor = auto_processor(folder_of(name), system_prompt="Be brief.")
        turns = (
            Message(role="user", content=(image(64, 64), "How many?")),
            Message(role="assistant", content=("Two.",)),
            Message(role="user", content=("And where?",)),
        )
        sample = Sample(sample_id="a", domain="d", messages=turns, answer=None, source="s")
        prompt = processor.encode(sample)
        text = "".join(processor.pieces(prompt.token_ids))
        assert text.index("Be brief.") < text.index("How many?") < text.index("Two.") < text.index("And where?")
