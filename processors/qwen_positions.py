"""Where the tokens of a prompt stand in time, height and width: M-RoPE positions of Qwen2-VL and Qwen2.5-VL.

What follows a medium starts behind the largest of its positions, as Qwen trained these models and as vLLM counts.
transformers 5 (up to 5.19 at least) starts behind its height and width instead, so that a text after a video that is
longer than high gets positions of the video's own; and before 5.19 it cuts the seconds between frames to whole ones.
Qwen3-VL is not concerned: its videos are single frames with texts between them.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2_5_VLModel, Qwen2VLModel

IMAGE, VIDEO = 1, 2  # in mm_token_type_ids
CONCERNED = (Qwen2VLModel, Qwen2_5_VLModel)


def mend_positions() -> None:
    """Have the models of these families, in this process, compute their positions with `rope_index`."""
    for model in CONCERNED:
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
    """Positions i64[3, N, T] of `input_ids` [N, T], 0 where `attention_mask` is, and the N rows' largest position + 1
    - length, i64[N, 1]. A method of the models, in the place of `get_rope_index`."""
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
    """Positions i64[3, L] of one sequence, given each token's kind.

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
            assert part.shape[1] == length, "a medium's tokens and its grid disagree"
        else:
            part = torch.arange(length).expand(3, -1)
        parts.append(part + start)
        start = int(parts[-1].max()) + 1
    return torch.cat(parts, dim=1)


def _grid(time: int, height: int, width: int, *, pace: float) -> Tensor:
    """i64[3, time * height * width] of one medium, from 0."""
    # In float64, as vLLM does: in float32 3.9999998 becomes 4.
    moments = (torch.arange(time, dtype=torch.float64) * pace).long()
    axes = torch.meshgrid(moments, torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack(axes).reshape(3, -1)


def _merged(grid_thw: Tensor | None, vision: Any) -> list[tuple[int, int, int]]:
    """Groups of frames, rows and columns of tokens of each medium."""
    merge = vision.spatial_merge_size
    return [(time, height // merge, width // merge) for time, height, width in _rows(grid_thw)]


def _rows(grid_thw: Tensor | None) -> list[list[int]]:
    return [] if grid_thw is None else grid_thw.tolist()


def _paces(second_per_grid_ts: Tensor | None, vision: Any, videos: list[tuple[int, int, int]]) -> list[float]:
    """Positions in time between a video's groups of frames; always 1 for Qwen2-VL."""
    if second_per_grid_ts is None:
        return [1.0] * len(videos)
    return [seconds * vision.tokens_per_second for seconds in second_per_grid_ts.tolist()]
