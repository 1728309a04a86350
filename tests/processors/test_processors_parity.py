"""What QwenVLProcessor yields equals what the stock transformers processor yields for the same pixels.

The stock side is built from the test's own decoding wherever no resizing is needed, and is left to resize and to
render the chat by itself, so that nothing of the code under test takes part in the expected value.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from processor_parts import Checkpoint, decoded, image, moving_square, sample_of, video, write_video
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.types import Media, Prompt, Sample

CASES = ("text", "image", "two_images", "video", "two_videos", "image_and_video", "video_and_image")


def picture(height: int, width: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def processor(checkpoint: Checkpoint) -> QwenVLProcessor:
    return QwenVLProcessor(str(checkpoint.folder))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("media")
    # 112 is a multiple of 28, 128 of 28's neighbour 32; with the other factor each is resized.
    first, second = picture(112, 56), picture(64, 128, seed=1)
    clip = write_video(folder / "clip.mp4", moving_square(31))
    short = write_video(folder / "short.mp4", moving_square(5, 56, 84), fps=3)
    return {
        "text": sample_of("Which way?"),
        "image": sample_of(image(first), "Which way?"),
        "two_images": sample_of(image(first), "and", image(second), "differ how?"),
        "video": sample_of(video(clip), "Which way?"),
        "two_videos": sample_of(video(clip), "then", video(short), "Which way?"),
        "image_and_video": sample_of(image(second), "seen in", video(short), "?"),
        "video_and_image": sample_of(video(clip), "with", image(first), "?"),
    }


def stock_inputs(stock: Any, sample: Sample, prompt: Prompt, **options: Any) -> dict[str, torch.Tensor]:
    """The stock processor's answer for the sample's chat and the pixels handed to an engine."""
    content = [
        {"type": part.kind} if isinstance(part, Media) else {"type": "text", "text": part}
        for part in sample.messages[0].content
    ]
    text = stock.apply_chat_template([{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True)
    media: dict[str, Any] = {}
    if images := prompt.engine_media.get("image"):
        media["images"] = list(images)
    if clips := prompt.engine_media.get("video"):
        media["videos"] = [torch.from_numpy(frames.copy()).permute(0, 3, 1, 2) for frames, _ in clips]
        kept = [dict(metadata) for _, metadata in clips]
        assert all(metadata.pop("do_sample_frames") is False for metadata in kept)
        media["video_metadata"] = kept
        media["do_sample_frames"] = False
    return dict(stock(text=[text], return_tensors="pt", **media, **options))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("do_resize", [True, False])
def test_equals_the_stock_processor(
    case: str, do_resize: bool, checkpoint: Checkpoint, processor: QwenVLProcessor, samples: dict[str, Sample]
) -> None:
    """With do_resize on too: the stock processor leaves our sizes as they are."""
    prompt = processor.encode(samples[case])
    options = {"do_resize": do_resize} if prompt.media else {}
    expected = stock_inputs(checkpoint.stock, samples[case], prompt, **options)
    assert torch.equal(prompt.token_ids, expected.pop("input_ids")[0])
    assert torch.equal(prompt.token_features["mm_token_type_ids"], expected.pop("mm_token_type_ids")[0])
    del expected["attention_mask"]
    assert prompt.media.keys() == expected.keys()
    for name, tensor in expected.items():
        assert prompt.media[name].dtype == tensor.dtype
        if tensor.is_floating_point():
            torch.testing.assert_close(prompt.media[name], tensor, atol=1e-6, rtol=0)
        else:
            assert torch.equal(prompt.media[name], tensor)


def test_video_frames_are_the_files(checkpoint: Checkpoint, processor: QwenVLProcessor, tmp_path: Path) -> None:
    """A clip whose sides need no resizing goes in unchanged: frames decoded by PyAV, chosen by hand."""
    side = 64 if checkpoint.family == "qwen3_vl" else 56
    path = write_video(tmp_path / "clip.mp4", moving_square(31, side, side))
    prompt = processor.encode(sample_of(video(path), "Which way?"))
    frames, metadata = prompt.engine_media["video"][0]
    # 31 frames at 15 a second, 2 a second: 4.13, rounded down to 4 frames.
    assert metadata["frames_indices"] == [0, 10, 20, 30]
    assert metadata["fps"] == 15.0
    assert metadata["total_num_frames"] == 31
    assert metadata["duration"] == pytest.approx(31 / 15)
    np.testing.assert_array_equal(frames, decoded(path)[[0, 10, 20, 30]])
    stock = checkpoint.stock.video_processor(
        [torch.from_numpy(decoded(path)[[0, 10, 20, 30]]).permute(0, 3, 1, 2)],
        do_sample_frames=False,
        return_tensors="pt",
    )
    torch.testing.assert_close(prompt.media["pixel_values_videos"], stock["pixel_values_videos"], atol=1e-6, rtol=0)
    assert torch.equal(prompt.media["video_grid_thw"], stock["video_grid_thw"])


def test_engine_ids_have_one_placeholder_per_medium(processor: QwenVLProcessor, samples: dict[str, Sample]) -> None:
    prompt = processor.encode(samples["two_images"])
    pad = processor.vocabulary.tokens["<|image_pad|>"]
    assert (prompt.engine_token_ids == pad).sum() == 2
    merged = prompt.media["image_grid_thw"].prod(dim=1).sum() // 4
    assert (prompt.token_ids == pad).sum() == merged
    assert len(prompt.engine_media["image"]) == 2


def test_qwen3_writes_the_time_of_each_pair_of_frames(qwen3: Checkpoint, clip_file: Path) -> None:
    processor = QwenVLProcessor(str(qwen3.folder))
    prompt = processor.encode(sample_of(video(clip_file), "?"))
    text = qwen3.stock.tokenizer.decode(prompt.token_ids)
    # Frames 0, 10, 20, 30 at 15 a second: pairs centred at 5/15 s and 25/15 s.
    assert "<0.3 seconds>" in text
    assert "<1.7 seconds>" in text


def test_only_qwen2_5_gets_seconds_per_pair_of_frames(
    tmp_path: Path, checkpoint: Checkpoint, processor: QwenVLProcessor
) -> None:
    path = write_video(tmp_path / "clip.mp4", moving_square(30))
    prompt = processor.encode(sample_of(video(path), "?"))
    assert ("second_per_grid_ts" in prompt.media) == (checkpoint.family == "qwen2_5_vl")
    if checkpoint.family != "qwen2_5_vl":
        return
    # 4 of 30 frames at 15 a second are 2 a second; a group holds 2 of them.
    torch.testing.assert_close(prompt.media["second_per_grid_ts"], torch.tensor([1.0]))


def tiny_model(checkpoint: Checkpoint) -> Any:
    tokenizer = checkpoint.stock.tokenizer
    ids = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in (
            ("image", "image_pad"),
            ("video", "video_pad"),
            ("vision_start", "vision_start"),
            ("vision_end", "vision_end"),
        )
    }
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]},
    }
    vision: dict[str, Any] = {"depth": 1, "num_heads": 2, "spatial_merge_size": 2, "temporal_patch_size": 2}
    if checkpoint.family == "qwen2_vl":
        vision |= {"embed_dim": 32, "hidden_size": 32, "mlp_ratio": 2, "patch_size": 14}
        config, model = Qwen2VLConfig, Qwen2VLForConditionalGeneration
    elif checkpoint.family == "qwen2_5_vl":
        vision |= {"hidden_size": 32, "intermediate_size": 32, "out_hidden_size": 32, "patch_size": 14}
        config, model = Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
        vision |= {"fullatt_block_indexes": [0], "window_size": 112, "tokens_per_second": 2}
    else:
        vision |= {"hidden_size": 32, "intermediate_size": 32, "out_hidden_size": 32, "patch_size": 16}
        vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
        text |= {"head_dim": 16}
        config, model = Qwen3VLConfig, Qwen3VLForConditionalGeneration
    torch.manual_seed(0)
    return model(config(text_config=text, vision_config=vision, **ids)).eval()


@pytest.mark.parametrize("case", CASES[1:])
def test_rope_index_and_forward(
    case: str, checkpoint: Checkpoint, processor: QwenVLProcessor, samples: dict[str, Sample]
) -> None:
    """M-RoPE positions equal those of the stock inputs, and the model runs on media and token features as they are."""
    model = tiny_model(checkpoint)
    prompt = processor.encode(samples[case])
    stock = stock_inputs(checkpoint.stock, samples[case], prompt)
    ids, features = prompt.token_ids[None], {name: value[None] for name, value in prompt.token_features.items()}
    ours = {name: value for name, value in prompt.media.items() if not name.startswith("pixel")}
    theirs = {name: value for name, value in stock.items() if not name.startswith(("pixel", "input"))}
    positions, deltas = model.model.get_rope_index(ids, **features, **ours)
    expected, expected_deltas = model.model.get_rope_index(stock["input_ids"], **theirs)
    assert torch.equal(positions, expected)
    assert torch.equal(deltas, expected_deltas)
    assert (positions.amax() + 1 < ids.shape[1]) or "video" in case  # a medium's tokens share positions
    with torch.no_grad():
        logits = model(input_ids=ids, **features, **prompt.media).logits
        reference = model(**stock).logits
    assert logits.shape == (1, ids.shape[1], len(checkpoint.stock.tokenizer))
    torch.testing.assert_close(logits, reference, atol=1e-5, rtol=0)


def test_same_pixels_from_path_bytes_and_pil(processor: QwenVLProcessor, tmp_path: Path) -> None:
    original = picture(70, 90)
    buffer = io.BytesIO()
    original.save(buffer, "PNG")
    path = tmp_path / "p.png"
    path.write_bytes(buffer.getvalue())
    tensors = [
        processor.encode(sample_of(image(source), "?")).media["pixel_values"]
        for source in (original, path, str(path), buffer.getvalue())
    ]
    assert all(torch.equal(tensor, tensors[0]) for tensor in tensors[1:])
