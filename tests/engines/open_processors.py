"""The stock processors of further families, for pictures of 56 pixels."""

from typing import Any

import transformers as hf

SAMPLED = {"video_size": {"longest_edge": 56}, "fps": 1, "max_frames": 8}


def gemma3_processor(t: Any, template: str) -> Any:
    images = hf.Gemma3ImageProcessor(size={"height": 56, "width": 56})
    return hf.Gemma3Processor(images, t, chat_template=template, image_seq_length=4)


def gemma4_processor(t: Any, template: str) -> Any:
    shape = {"patch_size": 8, "pooling_kernel_size": 2, "max_soft_tokens": 70}
    return hf.Gemma4Processor(
        feature_extractor=hf.Gemma4AudioFeatureExtractor(),
        image_processor=hf.Gemma4ImageProcessor(**shape),
        video_processor=hf.Gemma4VideoProcessor(**shape),
        tokenizer=t,
        chat_template=template,
    )


def internvl_processor(t: Any, template: str) -> Any:
    size = {"height": 56, "width": 56}
    return hf.InternVLProcessor(
        image_processor=hf.GotOcr2ImageProcessor(size=size, crop_to_patches=True, max_patches=3),
        tokenizer=t,
        video_processor=hf.InternVLVideoProcessor(size=size),
        image_seq_length=4,
        chat_template=template,
    )


def smolvlm_processor(t: Any, template: str) -> Any:
    sizes = {"size": {"longest_edge": 112}, "max_image_size": {"longest_edge": 56}}
    return hf.SmolVLMProcessor(
        image_processor=hf.SmolVLMImageProcessor(**sizes),
        tokenizer=t,
        video_processor=hf.SmolVLMVideoProcessor(
            size={"longest_edge": 56},
            max_image_size={"longest_edge": 56},
            video_sampling=SAMPLED,
        ),
        image_seq_len=4,
        chat_template=template,
    )


def llava_onevision_processor(t: Any, template: str) -> Any:
    size = {"height": 56, "width": 56}
    return hf.LlavaOnevisionProcessor(
        image_processor=hf.LlavaOnevisionImageProcessor(
            size=size, image_grid_pinpoints=[[56, 112], [112, 56], [112, 112]]
        ),
        tokenizer=t,
        video_processor=hf.LlavaOnevisionVideoProcessor(size=size),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=template,
        vision_aspect_ratio="anyres_max_9",
    )


def mistral3_processor(t: Any, template: str) -> Any:
    images = hf.PixtralImageProcessor(size={"longest_edge": 112}, patch_size=14)
    return hf.PixtralProcessor(images, t, patch_size=14, spatial_merge_size=2, chat_template=template)


def lfm2_vl_processor(t: Any, template: str) -> Any:
    images = hf.Lfm2VlImageProcessor(
        encoder_patch_size=14, tile_size=56, max_image_tokens=16, min_image_tokens=4, max_num_patches=64, max_tiles=4
    )
    return hf.Lfm2VlProcessor(images, t, chat_template=template)


def minicpm_processor(t: Any, template: str) -> Any:
    sizes = {"scale_resolution": 112, "patch_size": 14, "max_slice_nums": 4}
    return hf.MiniCPMV4_6Processor(
        image_processor=hf.MiniCPMV4_6ImageProcessor(**sizes),
        video_processor=hf.MiniCPMV4_6VideoProcessor(**sizes),
        tokenizer=t,
        chat_template=template,
    )


def glm4v_processor(t: Any, template: str) -> Any:
    size = {"shortest_edge": 28**2, "longest_edge": 12 * 28**2}
    return hf.Glm4vProcessor(
        image_processor=hf.Glm4vImageProcessor(size=size),
        tokenizer=t,
        video_processor=hf.Glm4vVideoProcessor(size={**size, "longest_edge": 96 * 28**2}),
        chat_template=template,
    )


def qwen_processor(t: Any, template: str) -> Any:
    frame = {"shortest_edge": 32**2, "longest_edge": 12 * 32**2}
    shape = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
    return hf.Qwen3VLProcessor(
        image_processor=hf.Qwen2VLImageProcessor(size=frame, **shape),
        tokenizer=t,
        video_processor=hf.Qwen3VLVideoProcessor(
            size={**frame, "longest_edge": 96 * 32**2}, cap_pixels_per_frame=True, **shape
        ),
        chat_template=template,
    )
