"""A prompt and its response as the input of vLLM."""

from typing import Any

from torch import Tensor

from uniopd_mm.types import Prompt

# Videos are sampled already; by default, vLLM might sample their frames a second time.
SAMPLED = {"do_sample_frames": False}
# Where a prompt's media are already what the model should see, vLLM would resize them to the checkpoint's limits, which
# can differ from those of the trainer's processor.
FINAL = {**SAMPLED, "do_resize": False}


def engine_prompt(prompt: Prompt, response_ids: Tensor | None = None) -> dict[str, Any]:
    """Token ids with one placeholder per medium, which vLLM expands, and the media themselves.

    vLLM would silently expand already expanded ids again.
    """
    ids = prompt.engine_token_ids.tolist()
    if response_ids is not None:
        ids += response_ids.tolist()
    if not prompt.engine_media:
        return {"prompt_token_ids": ids}
    media = {kind: list(items) for kind, items in prompt.engine_media.items()}
    options = dict(SAMPLED if prompt.engine_resizes else FINAL)
    return {"prompt_token_ids": ids, "multi_modal_data": media, "mm_processor_kwargs": options}
