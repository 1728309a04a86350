"""A prompt and its response as vLLM takes them."""

from typing import Any

from torch import Tensor

from uniopd_mm.types import Prompt

# A prompt's media are as the model is to see them. vLLM would fit them to the checkpoint's own bounds, which need not
# be those of the trainer's processor, and sample frames from frames where the checkpoint's processor is set to.
AS_THEY_ARE = {"do_resize": False, "do_sample_frames": False}


def engine_prompt(prompt: Prompt, response_ids: Tensor | None = None) -> dict[str, Any]:
    """Token ids with one placeholder per medium, which vLLM expands, and the media themselves.

    Already expanded ids would silently be expanded again.
    """
    ids = prompt.engine_token_ids.tolist()
    if response_ids is not None:
        ids += response_ids.tolist()
    if not prompt.engine_media:
        return {"prompt_token_ids": ids}
    media = {kind: list(items) for kind, items in prompt.engine_media.items()}
    return {"prompt_token_ids": ids, "multi_modal_data": media, "mm_processor_kwargs": dict(AS_THEY_ARE)}
