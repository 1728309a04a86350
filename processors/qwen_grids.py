"""Checks the grids of Qwen-VL media against their pixels and placeholders, before a model allocates what they claim."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from uniopd_mm.types import BadSample

PACE = "second_per_grid_ts"  # seconds per temporal patch of each video, in Qwen2.5-VL


@dataclass(frozen=True, kw_only=True, slots=True)
class GridLayout:
    """One kind of media: names of its pixels [patches, `width`] and of its grids i64[items, 3], and the id of its
    placeholder. `merged` patches make one placeholder."""

    pixels: str
    grids: str
    width: int
    merged: int
    placeholder: int


def check_grids(media: Mapping[str, Tensor], token_ids: Tensor, layouts: tuple[GridLayout, ...]) -> None:
    """Check forward arguments that came from elsewhere, for a prompt with expanded ids i64[L].

    Raises:
        BadSample: an argument is unknown or of another form, or grids, pixels and placeholders differ.
    """
    known = {PACE, *(name for layout in layouts for name in (layout.pixels, layout.grids))}
    if unknown := sorted(set(media) - known):
        raise BadSample(f"media {unknown[0]}: this backbone reads {', '.join(sorted(known))}")
    for layout in layouts:
        patches = _num_patches(media, layout)
        placeholders = int((token_ids == layout.placeholder).sum())
        if patches != placeholders * layout.merged:
            raise BadSample(
                f"{layout.grids}: {patches} patches for {placeholders} placeholders of {layout.merged} each"
            )
    pace, grids = media.get(PACE), media.get("video_grid_thw")
    if pace is not None and (grids is None or pace.shape != grids.shape[:1] or not bool((pace > 0).all())):
        raise BadSample(f"{PACE} is not one number above 0 for each video")


def _num_patches(media: Mapping[str, Tensor], layout: GridLayout) -> int:
    """The patches of all grids, which are as many as the pixels have."""
    pixels, grids = media.get(layout.pixels), media.get(layout.grids)
    if pixels is None and grids is None:
        return 0
    if pixels is None or grids is None:
        raise BadSample(f"only one of {layout.pixels} and {layout.grids} is there")
    if not pixels.is_floating_point() or pixels.dim() != 2 or pixels.shape[1] != layout.width:
        raise BadSample(f"{layout.pixels} {list(pixels.shape)} is not a float tensor [patches, {layout.width}]")
    if grids.dtype != torch.int64 or grids.dim() != 2 or grids.shape[1] != 3:
        raise BadSample(f"{layout.grids} {list(grids.shape)} is not an i64 tensor [items, 3]")
    sizes = [time * height * width if min(time, height, width) > 0 else 0 for time, height, width in grids.tolist()]
    if not all(sizes) or sum(sizes) != len(pixels):
        raise BadSample(f"{layout.grids} {grids.tolist()[:4]} has {sum(sizes)} patches, {layout.pixels} {len(pixels)}")
    return len(pixels)
