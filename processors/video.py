"""Videos: from a path, encoded bytes or a list of pictures to sampled, resized frames and their times.

Not here: patches, normalisation and timestamp text, which the stock video processor makes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.image import open_image
from uniopd_mm.processors.readers import BACKEND, Choice, read_frames, resized
from uniopd_mm.processors.sampling import FrameSampling
from uniopd_mm.processors.source import locate, naming, reject_unknown
from uniopd_mm.processors.timeline import Timeline
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

    Frame i is shown at frames_indices[i] / fps seconds. `fps` is the file's own rate, and frames_indices are numbers of
    its frames; for a file of varying rate see `Timeline`. `total_num_frames` is the number of frames in the sampled
    time range, and `duration` its length in seconds.
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
        choice, frames = read_frames(encoded.content, partial(_chosen, sampling, budget))
    return Clip(frames=frames, metadata=_metadata(frames, choice, BACKEND))


def _chosen(sampling: FrameSampling, budget: PixelBudget, line: Timeline) -> Choice:
    ticks, length = sampling.choose(line.num_ticks, line.fps)
    frames = line.frames_at(ticks)
    return Choice(
        frames=frames,
        fit=partial(budget.fit, num_frames=len(frames)),
        indices=line.ticks_of(frames),
        length=length,
        fps=line.fps,
    )


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
    line = Timeline(fps=fps, num_ticks=len(pictures))
    choice = _chosen(replace(sampling, fps=float("inf"), num_frames=None), budget, line)
    frames: dict[int, Tensor] = {}
    shape = None
    for index in dict.fromkeys(choice.frames):
        # Resized one by one, so that a long list of large pictures is never held at full size.
        frame_CHW = torch.from_numpy(np.array(open_image(pictures[index])[0])).permute(2, 0, 1)
        shape = shape or frame_CHW.shape
        if frame_CHW.shape != shape:
            raise BadSample("the frames differ in size")
        frames[index] = resized(frame_CHW, choice.fit(*shape[-2:]))
    clip = torch.stack([frames[index] for index in choice.frames])
    return Clip(frames=clip, metadata=_metadata(clip, choice, "pictures"))


def _metadata(frames: Tensor, choice: Choice, backend: str) -> dict[str, Any]:
    return {
        "total_num_frames": choice.length,
        "fps": choice.fps,
        "frames_indices": list(choice.indices),
        "duration": choice.length / choice.fps,
        "height": frames.shape[-2],
        "width": frames.shape[-1],
        "video_backend": backend,
    }
