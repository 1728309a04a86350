"""M-RoPE positions of Qwen2-VL and Qwen2.5-VL: the time, height and width of each token of a prompt.

Tokens after an image or video start behind the largest of its positions, as in Qwen's training and in vLLM.
transformers 5 (up to at least 5.19) starts behind its height and width instead. Then the text after a video that is
longer than high gets positions of the video's own. Before 5.19 it also truncates the seconds between frames to whole
numbers. Qwen3-VL is not affected, because its videos are single frames with text between them.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2_5_VLModel, Qwen2VLModel

IMAGE, VIDEO = 1, 2  # in mm_token_type_ids
AFFECTED = (Qwen2VLModel, Qwen2_5_VLModel)


def patch_positions() -> None:
    """Make the affected models of this process compute their positions with `rope_index`."""
    for model in AFFECTED:
        model.get_rope_index = rope_index


def rope_index(
    self: Any,
    input_ids: Tensor,
    mm_token_type_ids: Tensor,
    image_grid_thw: Tensor | None = None,
    video_grid_thw: Tensor | None = None,
    second_per_grid_ts: Tensor | None = None,
    attention_mask: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Replacement for the models' method `get_rope_index`.

    Returns positions i64[3, N, T] of `input_ids` [N, T], 0 where `attention_mask` is 0, and for each of the N rows its
    largest position + 1 - length, i64[N, 1].
    """
    vision = self.config.vision_config
    grids = {IMAGE: _merged(image_grid_thw, vision), VIDEO: _merged(video_grid_thw, vision)}
    paces = iter(_paces(second_per_grid_ts, vision, grids[VIDEO]))
    rows = {kind: iter(sizes) for kind, sizes in grids.items()}
    mask = torch.ones_like(input_ids, dtype=torch.bool) if attention_mask is None else attention_mask.bool()
    positions = torch.zeros((3, *input_ids.shape), dtype=torch.long)
    deltas = []
    for row, (kinds, kept) in enumerate(zip(mm_token_type_ids.cpu(), mask.cpu(), strict=True)):
        found = row_positions(kinds[kept].tolist(), rows, paces)
        positions[:, row, kept] = found
        deltas.append(int(found.max()) + 1 - found.shape[1])
    return positions.to(input_ids.device), torch.tensor(deltas, device=input_ids.device)[:, None]


def row_positions(
    kinds: list[int], grids: Mapping[int, Iterator[tuple[int, int, int]]], paces: Iterator[float]
) -> Tensor:
    """Positions i64[3, L] of one sequence, from the kind of each token.

    Two words, a video of 3 groups of 1 x 2 tokens at pace 2, a word:

        time    0 1  2 2 4 4 6 6  7
        height  0 1  2 2 2 2 2 2  7
        width   0 1  2 3 2 3 2 3  7
    """
    parts: list[Tensor] = []
    start = 0
    for kind, group in groupby(kinds):
        length = len(list(group))
        if kind in grids:
            part = _grid(*next(grids[kind]), pace=next(paces) if kind == VIDEO else 1.0)
            assert part.shape[1] == length, "the tokens of an image or video do not match its grid"
        else:
            part = torch.arange(length).expand(3, -1)
        parts.append(part + start)
        start = int(parts[-1].max()) + 1
    return torch.cat(parts, dim=1)


def _grid(time: int, height: int, width: int, *, pace: float) -> Tensor:
    """i64[3, time * height * width] for one image or video, starting at 0."""
    # In float64, as in vLLM: float32 would round 3.9999998 up to 4.
    moments = (torch.arange(time, dtype=torch.float64) * pace).long()
    axes = torch.meshgrid(moments, torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(axes).reshape(3, -1)


def _merged(grid_thw: Tensor | None, vision: Any) -> list[tuple[int, int, int]]:
    """Numbers of frame groups, token rows and token columns of each image or video."""
    merge = vision.spatial_merge_size
    return [(time, height // merge, width // merge) for time, height, width in _rows(grid_thw)]


def _rows(grid_thw: Tensor | None) -> list[list[int]]:
    return [] if grid_thw is None else grid_thw.tolist()


def _paces(second_per_grid_ts: Tensor | None, vision: Any, videos: list[tuple[int, int, int]]) -> list[float]:
    """Time positions between a video's groups of frames; always 1 for Qwen2-VL."""
    if second_per_grid_ts is None:
        return [1.0] * len(videos)
    return [seconds * vision.tokens_per_second for seconds in second_per_grid_ts.tolist()]
