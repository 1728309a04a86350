"""Any vision-language family of transformers: from a sample's messages and media to token ids and forward arguments.

Media are decoded and sampled here (image.py, video.py). The stock transformers processor of the checkpoint does
everything else: resizing, tiles, patches and the expansion of placeholders. What a family reads, its media tokens and
its tensors are found by encoding one picture and one clip. Not here: pixel budgets that follow from a token limit
(`qwen_vl.QwenVLProcessor` has them); `max_pixels` bounds what the stock processor is given.
"""

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any, final

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, ProcessorMixin

from uniopd_mm.processors.budget import PixelBudget
from uniopd_mm.processors.chat import (
    TEMPLATE_ERRORS,
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
from uniopd_mm.processors.image import MAX_DECODED_PIXELS, load_image
from uniopd_mm.processors.layouts import LAYOUTS, NOT_READ, REFUSED
from uniopd_mm.processors.sampling import FrameSampling
from uniopd_mm.processors.settings import prompt_settings, sampling_settings, stock_settings
from uniopd_mm.processors.video import Clip, load_video
from uniopd_mm.types import BadSample, Media, Message, Prompt, Sample, Settings, UserError, Vocabulary

KINDS = ("image", "video")
FRAME_PIXELS = 768 * 28 * 28  # of a frame, unless the user says otherwise; stock processors make most frames smaller
SIDE = 64  # of the pictures that a checkpoint is tried with
LARGEST_SIZE = 1 << 16  # of the sizes and counts in a prompt that was encoded elsewhere


@final
class GenericProcessor:
    """The processor of any vision-language checkpoint that transformers loads.

    Args:
        path: a folder (or hub name) that `AutoProcessor.from_pretrained` loads.
        max_pixels: limit on the area of an image that the stock processor is given; None for no limit.
        video_fps: frames to sample per second of video, between `video_min_frames` and `video_max_frames` in total.
        video_num_frames: sample this many frames instead, whatever the length.
        video_max_pixels: limit on the area of a frame that the stock processor is given.
        enable_thinking: passed to the chat template; templates that do not use it ignore it.
        system_prompt: added to samples that have no system message.

    Raises:
        UserError: nothing can be loaded from `path`, or the family reads neither images nor videos in a way that is
            supported. The error says what failed.
    """

    def __init__(
        self,
        path: str,
        *,
        max_pixels: int | None = None,
        video_fps: float | None = 2.0,
        video_num_frames: int | None = None,
        video_min_frames: int = 4,
        video_max_frames: int = 768,
        video_max_pixels: int | None = None,
        enable_thinking: bool = False,
        system_prompt: str | None = None,
    ) -> None:
        self._stock = load_stock(path)
        self._lock = Lock()  # tokenizers of transformers cannot be used by two threads at once
        self._image_budget = _budget(max_pixels or MAX_DECODED_PIXELS)
        self._video_budget = _budget(video_max_pixels or FRAME_PIXELS)
        self._sampling = FrameSampling(
            fps=video_fps,
            num_frames=video_num_frames,
            min_frames=video_min_frames,
            max_frames=video_max_frames,
            multiple=_frames_in_a_group(self._stock),
        )
        self._enable_thinking = enable_thinking
        self._system_prompt = system_prompt
        self._media_tokens: tuple[str, ...] = ()
        self._not_read: dict[str, str] = {}
        tried = {kind: self._tried(kind, path) for kind in KINDS}
        self._examples = tuple(prompt for prompt in tried.values() if isinstance(prompt, Prompt))
        if not self._examples:
            reasons = "; ".join(f"{kind}: {reason}" for kind, reason in tried.items())
            raise UserError(f"processor path {path!r}: {type(self._stock).__name__} reads no media ({reasons})")
        self._not_read = {kind: reason for kind, reason in tried.items() if isinstance(reason, str)}
        self._media_tokens = self._tokens_of_media()
        self._vocabulary = vocabulary_of(self._stock.tokenizer, path, self._media_tokens)
        self._end = end_of_turn(self._stock.tokenizer, self._stock.chat_template, self._vocabulary.stop_ids)

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def settings(self) -> Settings:
        stock = self._stock
        chat = prompt_settings(
            stock.tokenizer,
            stock.chat_template,
            enable_thinking=self._enable_thinking,
            system_prompt=self._system_prompt,
        )
        binding = {"family": type(stock).__name__, **stock_settings(stock)}
        return Settings(binding=binding, informative=chat | sampling_settings("video", self._sampling))

    def encode(self, sample: Sample) -> Prompt:
        """Tokens and media of a sample. `media` has the stock processor's tensors, an entry of dim 0 for each image,
        tile or patch. `token_features` has its token types [L]. `engine_media` has the pixels that the stock processor
        was given.

        Raises:
            BadSample: an image or video cannot be read or used, or a text contains a media token.
        """
        messages = chat_messages(sample, self._system_prompt, self._media_tokens)
        images, clips = self._read_media(sample)
        with self._lock:
            text = self._render(messages)
            inputs = self._stock_inputs(text, images, clips)
            unexpanded = self._ids(text) if images or clips else inputs["input_ids"][0]
        token_ids = inputs.pop("input_ids")[0]
        inputs.pop("attention_mask", None)
        features = {name: inputs.pop(name)[0] for name in list(inputs) if name.endswith("token_type_ids")}
        layout = LAYOUTS.get(type(self._stock).__name__, dict)
        return Prompt(
            sample=sample,
            token_ids=token_ids,
            media=layout(inputs),
            token_features=features if images or clips else {},
            engine_token_ids=unexpanded,
            engine_media=engine_media(images, clips),
            engine_resizes=True,
        )

    def check_media(self, prompt: Prompt) -> None:
        known = {name: tensor for example in self._examples for name, tensor in example.media.items()}
        for name, tensor in prompt.media.items():
            if name not in known or tensor.dim() != known[name].dim() or tensor.dtype != known[name].dtype:
                raise BadSample(f"media {name} of shape {list(tensor.shape)}: this backbone has no such input")
            sizes = tensor if not tensor.is_floating_point() else tensor.new_zeros(1)
            if sizes.numel() and not -1 <= sizes.min() <= sizes.max() < LARGEST_SIZE:
                raise BadSample(f"media {name} has sizes beyond {LARGEST_SIZE}")

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

    def _render(self, messages: list[dict[str, Any]]) -> str:
        stock = self._stock
        return rendered(
            stock.tokenizer, messages, chat_template=stock.chat_template, enable_thinking=self._enable_thinking
        )

    def _ids(self, text: str) -> Tensor:
        # The template has already written all special tokens.
        return torch.tensor(self._stock.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _read_media(self, sample: Sample) -> tuple[list[Image.Image], list[Clip]]:
        images, clips = [], []
        for item in media_of(sample):
            if item.kind in self._not_read or item.kind not in KINDS:
                reason = self._not_read.get(item.kind, "no such kind")
                raise BadSample(f"media of kind {item.kind!r} cannot be read by this backbone: {reason}")
            if item.kind == "image":
                images.append(load_image(item.source, self._image_budget, item.options))
            else:
                clips.append(load_video(item.source, self._sampling, self._video_budget, item.options))
        return images, clips

    def _stock_inputs(self, text: str, images: list[Image.Image], clips: list[Clip]) -> dict[str, Tensor]:
        # Nested by sample, because some families treat pictures of one sample in another way than a batch of pictures.
        media: dict[str, Any] = {"images": [images]} if images else {}
        if clips:
            # Pass copies: stock processors write into the metadata they are given.
            metadata = [{**clip.metadata, "frames_indices": list(clip.metadata["frames_indices"])} for clip in clips]
            media |= {"videos": [clip.frames for clip in clips], "video_metadata": metadata, "do_sample_frames": False}
        return dict(self._stock(text=[text], add_special_tokens=False, return_tensors="pt", **media))

    def _tried(self, kind: str, path: str) -> Prompt | str:
        """The prompt of one small picture or clip, or why there is none."""
        if getattr(self._stock, f"{kind}_processor", None) is None:
            return "it has no processor for them"
        if reason := NOT_READ.get((type(self._stock).__name__, kind)):
            return reason
        try:
            texts = [self._render(chat_messages(_example(name), None, ())) for name in (None, kind)]
            if texts[0] == texts[1]:
                return "its chat template has no place for them"
            prompt = self.encode(_example(kind))
        except (*TEMPLATE_ERRORS, ImportError, RuntimeError, BadSample) as error:
            return str(error).strip().split("\n")[0]
        if len(prompt.token_ids) <= len(prompt.engine_token_ids) and not prompt.media:
            return "its processor makes no tensors of them"
        return prompt

    def _tokens_of_media(self) -> tuple[str, ...]:
        """The special tokens that stand for media: those of prompts with media that a prompt of text does not have."""
        plain = set(self.encode(_example(None)).token_ids.tolist())
        ids = {index for prompt in self._examples for index in prompt.token_ids.tolist()}
        ids |= {index for prompt in self._examples for index in prompt.engine_token_ids.tolist()}
        special = self._stock.tokenizer.added_tokens_decoder
        return tuple(special[index].content for index in sorted(ids - plain) if index in special)


def load_stock(path: str) -> Any:
    """The transformers processor of a vision-language checkpoint.

    Raises:
        UserError: it cannot be loaded, has no chat template, or is of a family that is known not to work.
    """
    try:
        stock = AutoProcessor.from_pretrained(path, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise load_error(path, error) from error
    name = type(stock).__name__
    if not isinstance(stock, ProcessorMixin):
        raise UserError(f"processor path {path!r} holds a {name}, which reads no media; use a TextProcessor")
    if name in REFUSED:
        raise UserError(f"processor path {path!r} holds a {name}, which is not supported: {REFUSED[name]}")
    if stock.chat_template is None:
        raise UserError(f"processor path {path!r} has no chat template; add chat_template.jinja to that folder")
    return stock


def engine_media(images: list[Image.Image], clips: list[Clip]) -> dict[str, list[Any]]:
    """What an inference engine is given: the same pixels, by kind."""
    media: dict[str, list[Any]] = {}
    if images:
        media["image"] = images
    if clips:
        media["video"] = [
            (clip.frames.permute(0, 2, 3, 1).numpy(), {**clip.metadata, "do_sample_frames": False}) for clip in clips
        ]
    return media


def _budget(max_pixels: int) -> PixelBudget:
    return PixelBudget(factor=1, min_pixels=1, max_pixels=max_pixels)


def _frames_in_a_group(stock: Any) -> int:
    """Frames that become one step of time: temporal_patch_size in the families that have it."""
    return getattr(getattr(stock, "video_processor", None), "temporal_patch_size", None) or 1


def _example(kind: str | None) -> Sample:
    """A sample with one small picture or clip, or with neither."""
    picture = Image.new("RGB", (SIDE, SIDE), "red")
    sources: Mapping[str | None, Any] = {"image": picture, "video": [picture] * 4}
    media = (Media(kind=kind, source=sources[kind]),) if kind else ()
    message = Message(role="user", content=(*media, "a"))
    return Sample(sample_id="example", domain="example", messages=(message,), answer=None, source="example")
