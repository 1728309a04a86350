"""The models of further families, of 0.2 to 0.4 M parameters: real classes with small configurations."""

from typing import Any

import transformers as hf
from families import HIDDEN, ROWS

ROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [8, 4, 4], "mrope_interleaved": True}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": HIDDEN}
HYBRID = {
    "layer_types": ["linear_attention", "full_attention"],
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
}


def text_config(tokenizer: Any, **changed: Any) -> dict[str, Any]:
    return {
        "vocab_size": ROWS,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "max_position_embeddings": 4096,
        "initializer_range": HIDDEN**-0.5,
        **changed,
    }


def siglip(**changed: Any) -> dict[str, Any]:
    return {
        "hidden_size": HIDDEN,
        "intermediate_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "patch_size": 14,
        "image_size": 28,
        **changed,
    }


def gemma3(t: Any) -> Any:
    text = hf.Gemma3TextConfig(**text_config(t, sliding_window=16, layer_types=["sliding_attention", "full_attention"]))
    vision = hf.SiglipVisionConfig(**siglip(image_size=56), vision_use_head=False)
    ids = {"image_token_index": t.image_token_id, "boi_token_index": t.boi_token_id, "eoi_token_index": t.eoi_token_id}
    return hf.Gemma3ForConditionalGeneration(
        hf.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, **ids)
    )


def gemma4(t: Any) -> Any:
    text = hf.Gemma4TextConfig(
        **text_config(t, sliding_window=16, layer_types=["sliding_attention", "full_attention"], head_dim=32),
        global_head_dim=32,
        vocab_size_per_layer_input=ROWS,
        hidden_size_per_layer_input=16,
        final_logit_softcapping=30.0,
    )
    vision = hf.Gemma4VisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=32,
        patch_size=8,
        position_embedding_size=64,
        pooling_kernel_size=2,
        default_output_length=70,
    )
    ids = {f"{name}_token_id": getattr(t, f"{name}_token_id") for name in ("boi", "eoi", "image", "boa", "audio")}
    ids |= {"video_token_id": t.convert_tokens_to_ids("<|video|>"), "eoa_token_index": t.eoa_token_id}
    return hf.Gemma4ForConditionalGeneration(
        hf.Gemma4Config(text_config=text, vision_config=vision, audio_config=None, **ids)
    )


def internvl(t: Any) -> Any:
    return hf.InternVLForConditionalGeneration(
        hf.InternVLConfig(
            text_config=hf.Qwen3Config(**text_config(t)),
            vision_config=siglip(image_size=[56, 56], patch_size=[14, 14]),
            image_token_id=t.context_image_token_id,
            image_seq_length=4,
            tie_word_embeddings=True,
        )
    )


def smolvlm(t: Any) -> Any:
    return hf.SmolVLMForConditionalGeneration(
        hf.SmolVLMConfig(
            text_config=hf.LlamaConfig(**text_config(t)),
            vision_config=siglip(image_size=56),
            image_token_id=t.image_token_id,
            scale_factor=2,
            pad_token_id=t.pad_token_id,
        )
    )


def llava_onevision(t: Any) -> Any:
    return hf.LlavaOnevisionForConditionalGeneration(
        hf.LlavaOnevisionConfig(
            text_config=hf.Qwen2Config(**text_config(t)),
            vision_config=hf.SiglipVisionConfig(**siglip(image_size=56), vision_use_head=False),
            image_token_index=t.image_token_id,
            video_token_index=t.video_token_id,
            image_grid_pinpoints=[[56, 112], [112, 56], [112, 112]],
            vision_aspect_ratio="anyres_max_9",
            tie_word_embeddings=True,
        )
    )


def mistral3(t: Any) -> Any:
    return hf.Mistral3ForConditionalGeneration(
        hf.Mistral3Config(
            text_config=hf.MistralConfig(**text_config(t, sliding_window=None)),
            vision_config=hf.PixtralVisionConfig(**siglip(image_size=112), head_dim=32),
            image_token_index=t.convert_tokens_to_ids("[IMG]"),
            spatial_merge_size=2,
            tie_word_embeddings=True,
        )
    )


def lfm2_vl(t: Any) -> Any:
    text = text_config(
        t,
        layer_types=["conv", "full_attention"],
        block_auto_adjust_ff_dim=False,
        conv_dim=HIDDEN,
        block_dim=HIDDEN,
        block_ff_dim=2 * HIDDEN,
        block_norm_eps=1e-5,
    )
    return hf.Lfm2VlForConditionalGeneration(
        hf.Lfm2VlConfig(
            text_config=hf.Lfm2Config(**text),
            vision_config=hf.Siglip2VisionConfig(**siglip(num_patches=16), vision_use_head=False),
            image_token_id=t.image_token_id,
            projector_hidden_size=HIDDEN,
            tie_word_embeddings=True,
        )
    )


def minicpm(t: Any) -> Any:
    return hf.MiniCPMV4_6ForConditionalGeneration(
        hf.MiniCPMV4_6Config(
            text_config=hf.Qwen3Config(**text_config(t)),
            vision_config=siglip(image_size=112) | {"insert_layer_id": 0},
            insert_layer_id=0,
            image_size=56,
            image_token_id=t.image_token_id,
            video_token_id=t.video_token_id,
            tie_word_embeddings=True,
        )
    )


def glm4v(t: Any) -> Any:
    ids = {
        f"{name}_token_id": t.convert_tokens_to_ids(token)
        for name, token in (
            ("image", "<|image|>"),
            ("video", "<|video|>"),
            ("image_start", "<|begin_of_image|>"),
            ("image_end", "<|end_of_image|>"),
            ("video_start", "<|begin_of_video|>"),
            ("video_end", "<|end_of_video|>"),
        )
    }
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [8, 4, 4], "partial_rotary_factor": 1.0}
    text = hf.Glm4vTextConfig(**text_config(t, rope_parameters=rope), attention_bias=True)
    vision = hf.Glm4vVisionConfig(
        depth=2,
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        num_heads=2,
        out_hidden_size=HIDDEN,
        patch_size=14,
        image_size=56,
        spatial_merge_size=2,
        temporal_patch_size=2,
    )
    return hf.Glm4vForConditionalGeneration(hf.Glm4vConfig(text_config=text, vision_config=vision, **ids))


def _qwen_ids(t: Any) -> dict[str, int]:
    names = {"image": "image_pad", "video": "video_pad", "vision_start": "vision_start", "vision_end": "vision_end"}
    return {f"{name}_token_id": t.convert_tokens_to_ids(f"<|{token}|>") for name, token in names.items()}


def _qwen_vision(**changed: Any) -> dict[str, Any]:
    return {
        "depth": 2,
        "num_heads": 2,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "hidden_size": HIDDEN,
        "intermediate_size": HIDDEN,
        "out_hidden_size": HIDDEN,
        "num_position_embeddings": 64,
        "initializer_range": HIDDEN**-0.5,
        **changed,
    }


def qwen3_5(t: Any) -> Any:
    text = hf.Qwen3_5TextConfig(**text_config(t, rope_parameters={**ROPE, "partial_rotary_factor": 1.0}, **HYBRID))
    vision = hf.Qwen3_5VisionConfig(**_qwen_vision())
    return hf.Qwen3_5ForConditionalGeneration(
        hf.Qwen3_5Config(text_config=text, vision_config=vision, tie_word_embeddings=True, **_qwen_ids(t))
    )


def qwen3_5_moe(t: Any) -> Any:
    rope = {**ROPE, "partial_rotary_factor": 1.0}
    text = hf.Qwen3_5MoeTextConfig(
        **text_config(t, rope_parameters=rope, shared_expert_intermediate_size=HIDDEN, **HYBRID, **EXPERTS)
    )
    vision = hf.Qwen3_5MoeVisionConfig(**_qwen_vision())
    return hf.Qwen3_5MoeForConditionalGeneration(
        hf.Qwen3_5MoeConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **_qwen_ids(t))
    )


def qwen3_vl_moe(t: Any) -> Any:
    text = hf.Qwen3VLMoeTextConfig(**text_config(t, rope_parameters=ROPE, norm_topk_prob=True, **EXPERTS))
    vision = hf.Qwen3VLMoeVisionConfig(**_qwen_vision(deepstack_visual_indexes=[0]))
    return hf.Qwen3VLMoeForConditionalGeneration(
        hf.Qwen3VLMoeConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **_qwen_ids(t))
    )
