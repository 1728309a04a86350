"""M-RoPE positions of Qwen2-VL and Qwen2.5-VL, worked out by hand; and that the models use them."""

import numpy as np
import pytest
import torch
from PIL import Image
from processor_parts import Checkpoint, image, moving_square, sample_of, video
from test_processors_parity import tiny_model

from uniopd_mm.processors.qwen_positions import rope_index, row_positions
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.types import Media


def clip(num_frames: int, fps: float) -> Media:
    return video([Image.fromarray(frame) for frame in moving_square(num_frames, 56, 84)], sample_fps=fps)


def positions(kinds: list[int], *, videos: list[tuple[int, int, int]], paces: list[float]) -> list[list[int]]:
    return row_positions(kinds, {1: iter([(1, 2, 2)]), 2: iter(videos)}, iter(paces)).tolist()


def test_a_text_after_a_long_video_starts_behind_its_last_frame() -> None:
    assert positions([0, 0, 2, 2, 2, 2, 2, 2, 0], videos=[(3, 1, 2)], paces=[2.0]) == [
        [0, 1, 2, 2, 4, 4, 6, 6, 7],
        [0, 1, 2, 2, 2, 2, 2, 2, 7],
        [0, 1, 2, 3, 2, 3, 2, 3, 7],
    ]


def test_a_text_after_a_picture_starts_behind_its_larger_side() -> None:
    assert positions([0, 1, 1, 1, 1, 0, 0], videos=[], paces=[]) == [
        [0, 1, 1, 1, 1, 3, 4],
        [0, 1, 1, 2, 2, 3, 4],
        [0, 1, 2, 1, 2, 3, 4],
    ]


def test_a_moment_is_cut_to_a_whole_number_only_after_it_is_multiplied() -> None:
    times = positions([2, 2, 2, 2], videos=[(4, 1, 1)], paces=[0.7])[0]
    assert times == [0, 0, 1, 2]


def test_each_video_has_its_own_pace() -> None:
    times = positions([2, 2, 0, 2, 2], videos=[(2, 1, 1), (2, 1, 1)], paces=[1.0, 5.0])[0]
    assert times == [0, 1, 2, 3, 8]


@pytest.mark.parametrize("fps", [0.3, 2.5, 7.0])
def test_models_of_two_families_use_them(checkpoint: Checkpoint, fps: float) -> None:
    """Twelve frames at 0.3 a second are long for Qwen2.5-VL; Qwen3-VL keeps its own way."""
    processor = QwenVLProcessor(str(checkpoint.folder))
    model = tiny_model(checkpoint).model
    prompt = processor.encode(
        sample_of(image(Image.fromarray(np.zeros((56, 84, 3), np.uint8))), "and", clip(12, fps), "?")
    )
    grids = {name: tensor for name, tensor in prompt.media.items() if not name.startswith("pixel")}
    kinds = prompt.token_features["mm_token_type_ids"]
    found, deltas = model.get_rope_index(prompt.token_ids[None], mm_token_type_ids=kinds[None], **grids)
    assert int(deltas) == int(found.max()) + 1 - len(kinds)
    if checkpoint.family == "qwen3_vl":
        return
    seconds = 2 / fps if checkpoint.family == "qwen2_5_vl" else 0.5
    last_group = int(found[0, 0, kinds == 2].max() - found[0, 0, kinds == 2].min())
    assert last_group == int(5 * seconds * 2)
    behind = int((kinds == 2).nonzero().max()) + 1
    assert (found[:, 0, behind] == found[:, 0, kinds == 2].max() + 1).all()


def test_padding_on_either_side_moves_nothing(checkpoint: Checkpoint) -> None:
    if checkpoint.family == "qwen3_vl":
        pytest.skip("keeps transformers' positions")
    model = tiny_model(checkpoint).model
    prompt = QwenVLProcessor(str(checkpoint.folder)).encode(sample_of(clip(6, 1.0), "?"))
    grids = {name: tensor for name, tensor in prompt.media.items() if not name.startswith("pixel")}
    ids, kinds = prompt.token_ids, prompt.token_features["mm_token_type_ids"]
    alone, deltas = rope_index(model, ids[None], kinds[None], **grids)
    for left, right in ((3, 0), (0, 3)):
        pad = (left, right)
        mask = torch.nn.functional.pad(torch.ones_like(ids), pad)
        padded = [torch.nn.functional.pad(row, pad)[None] for row in (ids, kinds)]
        found, padded_deltas = rope_index(model, *padded, **grids, attention_mask=mask[None])
        assert torch.equal(found[:, :, left : left + len(ids)], alone)
        assert torch.equal(padded_deltas, deltas)
