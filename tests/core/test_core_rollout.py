"""Sampling with a real tiny Qwen3-VL: reported log-probs, and that nothing but the seed decides a response."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from core_parts import prompt, sampling
from transformers import GenerationConfig

from uniopd_mm.data.collate import collate_rollouts, left_padded
from uniopd_mm.data.seeds import draw
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout, Sampler
from uniopd_mm.types import FinishReason, Prompt, Rollout

LARGEST_DRAW = 1 - 2**-53


@pytest.fixture
def engine(backbone: Backbone, processor: QwenVLProcessor) -> HFRollout:
    return HFRollout(backbone, processor, max_batch_size=16)


@pytest.fixture
def mixed(prompts: list[Prompt], text_prompts: list[Prompt]) -> list[Prompt]:
    """Of different lengths, with and without a clip."""
    chosen = [prompts[0], text_prompts[0], prompts[1], prompts[2], text_prompts[1]]
    assert len({len(prompt.token_ids) for prompt in chosen}) >= 4
    return chosen


def raise_bias(backbone: Backbone, ids: Sequence[int], by: float) -> None:
    """Push up the logits of some ids wherever the model is."""
    bias = torch.zeros(backbone.vocab_size)
    bias[list(ids)] = by
    head = backbone.model.get_output_embeddings()
    head.register_forward_hook(lambda module, inputs, logits: logits + bias)


def flat(groups: list[list[Rollout]]) -> list[Rollout]:
    return [rollout for group in groups for rollout in group]


def by_name(groups: list[list[Rollout]]) -> dict[tuple[str, int], list[int]]:
    return {
        (rollout.prompt.sample.sample_id, index): rollout.response_ids.tolist()
        for group in groups
        for index, rollout in enumerate(group)
    }


def assert_logprobs_are_the_backbones(backbone: Backbone, rollouts: list[Rollout], temperature: float) -> None:
    with torch.no_grad():
        logprobs, *_ = backbone(collate_rollouts(rollouts, pad_id=0), temperature)
    sampled = torch.cat([rollout.logprobs for rollout in rollouts])
    torch.testing.assert_close(sampled, logprobs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_log_probs_are_those_of_the_backbone(
    backbone: Backbone, processor: QwenVLProcessor, mixed: list[Prompt], temperature: float
) -> None:
    """A tenth of all ids ends a response, so that they end at different places; the last is scored as any token."""
    vocabulary = replace(processor.vocabulary, stop_ids=tuple(range(100, 140)))
    engine = HFRollout(backbone, processor)
    engine.vocabulary = vocabulary
    rollouts = flat(engine.generate(mixed, 6, sampling(temperature, max_new_tokens=12)))
    ends = Counter(rollout.finish_reason for rollout in rollouts)
    assert ends[FinishReason.STOP] >= 3 and ends[FinishReason.LENGTH] >= 3
    for rollout in rollouts:
        stopped = int(rollout.response_ids[-1]) in vocabulary.stop_ids
        assert stopped == (rollout.finish_reason is FinishReason.STOP)
        assert not torch.isin(rollout.response_ids[:-1], torch.tensor(vocabulary.stop_ids)).any()
        assert len(rollout.response_ids) == len(rollout.logprobs) <= 12
    assert_logprobs_are_the_backbones(backbone, rollouts, temperature)


def test_a_text_batch_after_a_video_batch_has_no_stale_positions(
    backbone: Backbone, engine: HFRollout, prompts: list[Prompt], text_prompts: list[Prompt]
) -> None:
    before = by_name(engine.generate(text_prompts, 2, sampling()))
    engine.generate(prompts[:2], 2, sampling())
    rollouts = engine.generate(text_prompts, 2, sampling())
    assert by_name(rollouts) == before
    assert_logprobs_are_the_backbones(backbone, flat(rollouts), 1.0)
    with torch.no_grad():
        engine.generate(prompts[:3], 1, sampling())
        assert_logprobs_are_the_backbones(backbone, flat(rollouts), 1.0)


def test_the_rest_of_the_batch_does_not_change_a_sample(
    backbone: Backbone, processor: QwenVLProcessor, mixed: list[Prompt]
) -> None:
    whole = by_name(HFRollout(backbone, processor, max_batch_size=64).generate(mixed, 3, sampling()))
    small = by_name(HFRollout(backbone, processor, max_batch_size=2).generate(mixed, 3, sampling()))
    turned = by_name(HFRollout(backbone, processor).generate(mixed[::-1], 3, sampling()))
    alone = by_name(HFRollout(backbone, processor).generate(mixed[2:3], 2, sampling()))
    assert whole == small == turned
    assert alone.items() <= whole.items()


def test_step_seed_and_index_change_a_sample(engine: HFRollout, prompts: list[Prompt]) -> None:
    chosen = prompts[:1]
    first = by_name(engine.generate(chosen, 2, sampling()))
    assert first == by_name(engine.generate(chosen, 2, sampling()))
    assert len({tuple(ids) for ids in first.values()}) == 2
    for other in (sampling(seed=1), sampling(policy_step=2)):
        assert not set(map(tuple, by_name(engine.generate(chosen, 2, other)).values())) & set(
            map(tuple, first.values())
        )


def test_groups_follow_the_prompts(engine: HFRollout, mixed: list[Prompt]) -> None:
    groups = engine.generate(mixed, 4, sampling(max_new_tokens=1, policy_step=7))
    assert [[rollout.group_id for rollout in group] for group in groups] == [[i] * 4 for i in range(len(mixed))]
    for own, group in zip(mixed, groups, strict=True):
        assert all(rollout.prompt is own and rollout.policy_step == 7 for rollout in group)
    assert engine.generate([], 4, sampling()) == []


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_banned_ids_are_never_sampled(
    backbone: Backbone, processor: QwenVLProcessor, prompts: list[Prompt], temperature: float
) -> None:
    banned = processor.vocabulary.banned_ids
    assert banned
    raise_bias(backbone, banned, 50.0)
    rollouts = flat(HFRollout(backbone, processor).generate(prompts[:4], 4, sampling(temperature)))
    assert not torch.isin(torch.cat([r.response_ids for r in rollouts]), torch.tensor(banned)).any()
    assert all(rollout.logprobs.isfinite().all() for rollout in rollouts)


def test_temperature_zero_is_transformers_greedy_search(
    backbone: Backbone, processor: QwenVLProcessor, mixed: list[Prompt]
) -> None:
    greedy = flat(HFRollout(backbone, processor).generate(mixed, 1, sampling(0, max_new_tokens=10)))
    tokens = left_padded(mixed, processor.vocabulary.pad_id)
    wanted = backbone.model.generate(
        input_ids=tokens.input_ids,
        attention_mask=tokens.attention_mask.long(),
        **tokens.media,
        **tokens.token_features,
        do_sample=False,
        max_new_tokens=10,
        eos_token_id=list(processor.vocabulary.stop_ids),
        pad_token_id=processor.vocabulary.pad_id,
        suppress_tokens=list(processor.vocabulary.banned_ids),
    )[:, tokens.input_ids.shape[1] :]
    for rollout, ids in zip(greedy, wanted, strict=True):
        assert rollout.response_ids.tolist() == ids[: len(rollout.response_ids)].tolist()
        assert (ids[len(rollout.response_ids) :] == processor.vocabulary.pad_id).all()
    assert_logprobs_are_the_backbones(backbone, greedy, 1.0)


def test_the_checkpoints_generation_config_changes_nothing(
    backbone: Backbone, processor: QwenVLProcessor, prompts: list[Prompt]
) -> None:
    engine, chosen = HFRollout(backbone, processor), prompts[:3]
    plain = {t: by_name(engine.generate(chosen, 2, sampling(t))) for t in (0.0, 1.0)}
    common = [token for token, _ in Counter(itertools.chain(*plain[1.0].values(), *plain[0.0].values())).most_common(5)]
    own = GenerationConfig(
        do_sample=True,
        temperature=0.1,
        top_k=1,
        top_p=0.2,
        repetition_penalty=5.0,
        no_repeat_ngram_size=1,
        suppress_tokens=common,
        bad_words_ids=[[token] for token in common],
        min_new_tokens=6,
        num_return_sequences=3,
        max_new_tokens=2,
    )
    backbone.model.generation_config = own
    for temperature, wanted in plain.items():
        rollouts = engine.generate(chosen, 2, sampling(temperature))
        assert by_name(rollouts) == wanted
        assert_logprobs_are_the_backbones(backbone, flat(rollouts), temperature or 1.0)
    assert backbone.model.generation_config is own


def test_global_random_numbers_are_left_alone(engine: HFRollout, prompts: list[Prompt]) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first = by_name(engine.generate(prompts[:2], 2, sampling()))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert by_name(engine.generate(prompts[:2], 2, sampling())) == first


def test_frequencies_are_those_of_the_softmax() -> None:
    """Chi-square of 20,000 seeded draws over 12 ids, one of them banned: below the 99.9 % quantile of 10 degrees."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(12, generator=generator) * 1.5
    num, temperature, banned = 20_000, 0.7, (3,)
    uniforms = torch.cat([draw(prompt([3]), index, sampling(max_new_tokens=1000)) for index in range(20)]).unsqueeze(1)
    sampler = Sampler(uniforms, temperature, banned)
    chosen = sampler(torch.empty(num, 0), logits.expand(num, -1)).argmax(-1)
    expected = torch.softmax((logits / temperature).index_fill(0, torch.tensor(banned), -torch.inf).double(), 0)
    counts = torch.bincount(chosen, minlength=12)
    assert counts[3] == 0
    kept = expected > 0
    statistic = ((counts - num * expected)[kept] ** 2 / (num * expected[kept])).sum()
    assert statistic < 29.6
    torch.testing.assert_close(sampler.logprobs[0].double(), expected.log()[chosen], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("only", [0, 3, 7])
@pytest.mark.parametrize("uniform", [0.0, 1e-300, 0.5, LARGEST_DRAW])
def test_all_mass_on_one_id_is_found_by_every_draw(only: int, uniform: float) -> None:
    scores = torch.full((1, 8), -torch.inf)
    scores[0, only] = 2.0
    sampler = Sampler(torch.tensor([[uniform]], dtype=torch.float64), 1.0, ())
    assert sampler(torch.empty(1, 0), scores).argmax() == only
    assert sampler.logprobs[0].item() == 0


@pytest.mark.parametrize(("uniform", "chosen"), [(0.0, 1), (LARGEST_DRAW, 6)])
def test_extreme_draws_never_reach_banned_ends(uniform: float, chosen: int) -> None:
    torch.manual_seed(0)
    for scale in (0.1, 1.0, 5.0):
        sampler = Sampler(torch.full((64, 1), uniform, dtype=torch.float64), 1.0, (0, 7))
        assert (sampler(torch.empty(64, 0), scale * torch.randn(64, 8)).argmax(-1) == chosen).all()


def test_the_largest_draw_stays_within_a_real_vocabulary() -> None:
    torch.manual_seed(0)
    sampler = Sampler(torch.full((8, 1), LARGEST_DRAW, dtype=torch.float64), 1.0, (151_935,))
    assert (sampler(torch.empty(8, 0), torch.randn(8, 151_936)).argmax(-1) == 151_934).all()


def test_weights_of_another_module_are_copied(backbone: Backbone, engine: HFRollout, prompts: list[Prompt]) -> None:
    before = by_name(engine.generate(prompts[:1], 1, sampling()))
    weights = {name: tensor * 1.5 for name, tensor in backbone.model.state_dict().items()}
    engine.load_weights(weights.items())
    assert all(torch.equal(tensor, weights[name]) for name, tensor in backbone.model.state_dict().items())
    assert by_name(engine.generate(prompts[:1], 1, sampling())) != before


def test_bfloat16_is_sampled_as_it_is_scored(
    backbone: Backbone, processor: QwenVLProcessor, mixed: list[Prompt]
) -> None:
    backbone.dtype = "bfloat16"
    rollouts = flat(HFRollout(backbone, processor).generate(mixed, 4, sampling()))
    with torch.no_grad():
        logprobs, *_ = backbone(collate_rollouts(rollouts, pad_id=0), 1.0)
    assert logprobs.dtype == torch.float32
    sampled = torch.cat([rollout.logprobs for rollout in rollouts])
    assert (sampled - logprobs).abs().mean() < 0.05
