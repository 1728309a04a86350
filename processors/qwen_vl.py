"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: from a sample's messages and media to token ids and forward arguments.

Media are decoded, sampled and resized here (image.py, video.py). The stock transformers processor makes patches, grids,
expanded placeholders and timestamp text, so the result equals what it yields for the same pixels. Not here: caching. A
prompt is encoded once and shared by its rollouts.
"""

from pathlib import Path
from threading import Lock
from typing import Any, final

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, Qwen2_5_VLProcessor, Qwen2VLProcessor, Qwen3VLProcessor

from uniopd_mm.processors.chat import (
    chat_messages,
    end_of_turn,
    load_error,
    media_of,
    rendered,
    response_ids,
    token_bytes,
    token_texts,
    vocabulary_of,
)
from uniopd_mm.processors.image import load_image
from uniopd_mm.processors.qwen_budget import image_budget, video_budget
from uniopd_mm.processors.qwen_grids import GridLayout, check_grids
from uniopd_mm.processors.qwen_positions import patch_positions
from uniopd_mm.processors.sampling import FrameSampling
from uniopd_mm.processors.settings import budget_settings, prompt_settings, sampling_settings, tensor_settings
from uniopd_mm.processors.video import Clip, load_video
from uniopd_mm.types import BadSample, Prompt, Sample, Settings, UserError, Vocabulary

FAMILIES = (Qwen2VLProcessor, Qwen2_5_VLProcessor, Qwen3VLProcessor)
KINDS = ("image", "video")


@final
class QwenVLProcessor:
    """The processor of the Qwen-VL family.

    Args:
        path: a folder (or hub name) that `AutoProcessor.from_pretrained` loads.
        max_pixels, min_pixels: limits on the area of an image; None keeps the checkpoint's own.
        video_fps: frames to sample per second of video, between `video_min_frames` and `video_max_frames` in total.
        video_num_frames: sample this many frames instead, whatever the length.
        video_max_pixels, video_min_pixels: limits on the area of a frame; `video_total_pixels`: of all frames of a
            clip.
        enable_thinking: passed to the chat template; templates that do not use it ignore it.
        system_prompt: added to samples that have no system message.

    Raises:
        UserError: nothing can be loaded from `path`, it is of another family, or the limits contradict each other.
    """

    def __init__(
        self,
        path: str,
        *,
        max_pixels: int | None = None,
        min_pixels: int | None = None,
        video_fps: float | None = 2.0,
        video_num_frames: int | None = None,
        video_min_frames: int = 4,
        video_max_frames: int = 768,
        video_max_pixels: int | None = None,
        video_min_pixels: int | None = None,
        video_total_pixels: int | None = None,
        enable_thinking: bool = False,
        system_prompt: str | None = None,
    ) -> None:
        self._stock = _load(path)
        self._lock = Lock()  # tokenizers of transformers cannot be used by two threads at once
        patch_positions()
        self._image_budget = image_budget(self._stock.image_processor, min_pixels, max_pixels)
        self._video_budget = video_budget(
            self._stock.video_processor, video_min_pixels, video_max_pixels, video_total_pixels
        )
        self._sampling = FrameSampling(
            fps=video_fps,
            num_frames=video_num_frames,
            min_frames=video_min_frames,
            max_frames=video_max_frames,
            multiple=self._stock.video_processor.temporal_patch_size,
        )
        self._vocabulary = vocabulary_of(self._stock.tokenizer, path)
        self._end = end_of_turn(self._stock.tokenizer, self._stock.chat_template, self._vocabulary.stop_ids)
        self._enable_thinking = enable_thinking
        self._system_prompt = system_prompt
        self._check_template(path)

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def settings(self) -> Settings:
        """`video.family` is included because each family encodes the times of video frames in its own way."""
        stock = self._stock
        family = {"video.family": type(stock).__name__}
        tensors = {**tensor_settings("image", stock.image_processor), **tensor_settings("video", stock.video_processor)}
        chat = prompt_settings(
            stock.tokenizer,
            stock.chat_template,
            enable_thinking=self._enable_thinking,
            system_prompt=self._system_prompt,
        )
        image, video = budget_settings("image", self._image_budget), budget_settings("video", self._video_budget)
        sampling = sampling_settings("video", self._sampling)
        return Settings(binding=family | tensors, informative=chat | image | video | sampling)

    def encode(self, sample: Sample) -> Prompt:
        """Tokens and media of a sample.

        `media` has pixel_values [patches, D] and image_grid_thw [images, 3], pixel_values_videos and video_grid_thw
        likewise, and for Qwen2.5-VL second_per_grid_ts f32[videos]. Entries are absent if the sample has no such media.
        `token_features` has mm_token_type_ids [L]: 0 text, 1 image, 2 video. `engine_media` has the same pixels:
        {"image": [PIL, ...], "video": [(uint8 [T, H, W, C], metadata), ...]}. They must not be resized or sampled
        again.

        Raises:
            BadSample: an image or video cannot be read or used, or a text contains a media token.
        """
        messages = chat_messages(sample, self._system_prompt)
        images, clips = self._read_media(sample)
        with self._lock:
            text = self._render(messages)
            inputs = self._stock_inputs(text, images, clips)
            unexpanded = self._stock.tokenizer(text)["input_ids"] if images or clips else inputs["input_ids"][0]
        token_ids = inputs.pop("input_ids")[0]
        del inputs["attention_mask"]
        features = {"mm_token_type_ids": inputs.pop("mm_token_type_ids")[0]}
        return Prompt(
            sample=sample,
            token_ids=token_ids,
            media=inputs,
            token_features=features,
            engine_token_ids=torch.as_tensor(unexpanded),
            engine_media=_engine_media(images, clips),
        )

    def check_media(self, prompt: Prompt) -> None:
        check_grids(prompt.media, prompt.token_ids, self._layouts())

    def decode(self, ids: Tensor) -> str:
        return self._stock.tokenizer.decode(ids.tolist(), skip_special_tokens=True)

    def encode_response(self, text: str) -> Tensor:
        return response_ids(self._stock.tokenizer, text, self._end)

    def pieces(self, ids: Tensor) -> list[str]:
        return token_texts(self._stock.tokenizer, ids)

    def token_bytes(self, ids: Tensor) -> list[bytes]:
        return token_bytes(self._stock.tokenizer, ids)

    def save(self, folder: Path) -> None:
        self._stock.save_pretrained(folder)

    def _layouts(self) -> tuple[GridLayout, ...]:
        stock = self._stock
        return tuple(
            GridLayout(
                pixels=pixels,
                grids=grids,
                width=3 * reader.temporal_patch_size * reader.patch_size**2,
                merged=reader.merge_size**2,
                placeholder=stock.tokenizer.convert_tokens_to_ids(token),
            )
            for pixels, grids, reader, token in (
                ("pixel_values", "image_grid_thw", stock.image_processor, stock.image_token),
                ("pixel_values_videos", "video_grid_thw", stock.video_processor, stock.video_token),
            )
        )

    def _render(self, messages: list[dict[str, Any]]) -> str:
        # Use the tokenizer's method: the processor's warns about every variable that a template does not use.
        stock = self._stock
        return rendered(
            stock.tokenizer, messages, chat_template=stock.chat_template, enable_thinking=self._enable_thinking
        )

    def _read_media(self, sample: Sample) -> tuple[list[Image.Image], list[Clip]]:
        images, clips = [], []
        for item in media_of(sample):
            if item.kind == "image":
                images.append(load_image(item.source, self._image_budget, item.options))
            elif item.kind == "video":
                clips.append(load_video(item.source, self._sampling, self._video_budget, item.options))
            else:
                raise BadSample(
                    f"media of kind {item.kind!r} cannot be read; this backbone reads {' and '.join(KINDS)}"
                )
        return images, clips

    def _stock_inputs(self, text: str, images: list[Image.Image], clips: list[Clip]) -> dict[str, Tensor]:
        media: dict[str, Any] = {}
        if images:
            media["images"] = images
        if clips:
            # Pass copies: the stock processor writes into the metadata it is given.
            metadata = [{**clip.metadata, "frames_indices": list(clip.metadata["frames_indices"])} for clip in clips]
            media |= {"videos": [clip.frames for clip in clips], "video_metadata": metadata, "do_sample_frames": False}
        if media:
            media["do_resize"] = False
        return dict(self._stock(text=[text], return_tensors="pt", **media))

    def _check_template(self, path: str) -> None:
        chat = [{"role": "user", "content": [{"type": kind} for kind in KINDS]}]
        text = self._render(chat)
        if (text.count(self._stock.image_token), text.count(self._stock.video_token)) != (1, 1):
            raise UserError(
                f"chat template of {path!r} does not insert one placeholder per image and video; use the template of "
                "a Qwen-VL checkpoint"
            )


def _load(path: str) -> Any:
    try:
        stock = AutoProcessor.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise load_error(path, error) from error
    if not isinstance(stock, FAMILIES):
        known = ", ".join(family.__name__ for family in FAMILIES)
        raise UserError(f"processor path {path!r} holds a {type(stock).__name__}; QwenVLProcessor reads {known}")
    if stock.chat_template is None:
        raise UserError(f"processor path {path!r} has no chat template; add chat_template.jinja to that folder")
    return stock


def _engine_media(images: list[Image.Image], clips: list[Clip]) -> dict[str, list[Any]]:
    media: dict[str, list[Any]] = {}
    if images:
        media["image"] = images
    if clips:
        media["video"] = [
            (clip.frames.permute(0, 2, 3, 1).numpy(), {**clip.metadata, "do_sample_frames": False}) for clip in clips
        ]
    return media
