"""Videos: from a path, encoded bytes or a list of pictures to sampled, resized frames and their times.

Not here: patches, normalisation and timestamp text, which the stock video processor makes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.image import open_image
from uniopd_mm.processors.readers import probe, read_frames
from uniopd_mm.processors.sampling import FrameSampling
from uniopd_mm.processors.source import locate, naming, reject_unknown
from uniopd_mm.types import BadSample, UserError

SAMPLING_OPTIONS = {
    "fps": "fps",
    "num_frames": "num_frames",
    "min_frames": "min_frames",
    "max_frames": "max_frames",
    "video_start": "start",
    "video_end": "end",
}
BUDGET_OPTIONS = {"min_pixels": "min_pixels", "max_pixels": "max_pixels", "total_pixels": "max_total_pixels"}
LIST_FPS = "sample_fps"
VIDEO_OPTIONS = (*SAMPLING_OPTIONS, *BUDGET_OPTIONS, LIST_FPS)
DEFAULT_LIST_FPS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """Frames uint8 [T, C, H, W] in RGB, and their metadata with the keys of transformers' VideoMetadata.

    `fps` is the file's own rate; frame i is at frames_indices[i] / fps seconds. `total_num_frames` is the number of
    frames in the sampled time range, and `duration` its length in seconds.
    """

    frames: Tensor
    metadata: Mapping[str, Any]


def load_video(
    source: Any, sampling: FrameSampling, budget: PixelBudget, options: Mapping[str, Any] | None = None
) -> Clip:
    """Sample and resize a video. `source` may also be a list of pictures, at `sample_fps` (default 2) pictures per
    second.

    `options` (VIDEO_OPTIONS) override the sampling and the budget for this video; `fps` overrides a default of
    `num_frames`. A list is used as it is, unless it is longer than max_frames.

    Raises:
        BadSample: "<name>: <reason>".
    """
    options = options or {}
    if isinstance(source, Sequence) and not isinstance(source, str | bytes | bytearray | memoryview):
        with naming(f"<list of {len(source)} frames>"):
            sampling, budget = _overridden(sampling, budget, options)
            return _from_pictures(source, sampling, budget, options.get(LIST_FPS, DEFAULT_LIST_FPS))
    encoded = locate(source)
    with naming(encoded.name):
        sampling, budget = _overridden(sampling, budget, options)
        info = probe(encoded.content)
        indices, length = sampling.choose(info.num_frames, info.fps)
        frames, backend = read_frames(encoded.content, info, indices, lambda part: _resized(part, budget, len(indices)))
    return Clip(frames=frames, metadata=_metadata(frames, indices, length, info.fps, backend))


def _overridden(
    sampling: FrameSampling, budget: PixelBudget, options: Mapping[str, Any]
) -> tuple[FrameSampling, PixelBudget]:
    reject_unknown(options, VIDEO_OPTIONS)
    chosen = {SAMPLING_OPTIONS[key]: value for key, value in options.items() if key in SAMPLING_OPTIONS}
    if "fps" in chosen:
        chosen.setdefault("num_frames", None)
    bounds = {BUDGET_OPTIONS[key]: value for key, value in options.items() if key in BUDGET_OPTIONS}
    try:
        return replace(sampling, **chosen), replace(budget, **bounds)
    except (UserError, TypeError) as error:
        raise BadSample(str(error)) from error


def _from_pictures(pictures: Sequence[Any], sampling: FrameSampling, budget: PixelBudget, fps: float) -> Clip:
    if not pictures:
        raise BadSample("the video has no frames")
    indices, length = replace(sampling, fps=float("inf"), num_frames=None).choose(len(pictures), fps)
    arrays = [np.array(open_image(pictures[index])[0]) for index in indices]
    if len({array.shape for array in arrays}) > 1:
        raise BadSample("the frames differ in size")
    frames_TCHW = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)
    frames = _resized(frames_TCHW, budget, len(indices))
    return Clip(frames=frames, metadata=_metadata(frames, indices, length, fps, "pictures"))


def _resized(frames: Tensor, budget: PixelBudget, num_frames: int) -> Tensor:
    height, width = frames.shape[-2:]
    size = budget.fit(height, width, num_frames)
    if size == (height, width):
        return frames.contiguous()
    # The same call as in the stock video processors: uint8 in, rounded uint8 out.
    return resize(frames.contiguous(), list(size), interpolation=InterpolationMode.BICUBIC, antialias=True)


def _metadata(frames: Tensor, indices: list[int], length: int, fps: float, backend: str) -> dict[str, Any]:
    return {
        "total_num_frames": length,
        "fps": fps,
        "frames_indices": indices,
        "duration": length / fps,
        "height": frames.shape[-2],
        "width": frames.shape[-1],
        "video_backend": backend,
    }
