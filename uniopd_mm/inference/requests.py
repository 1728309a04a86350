"""A prompt and its response as vLLM takes them."""

from typing import Any

from torch import Tensor

from uniopd_mm.types import Prompt


def engine_prompt(prompt: Prompt, response_ids: Tensor | None = None) -> dict[str, Any]:
    """Token ids with one placeholder per medium, which vLLM expands, and the media themselves.

    Already expanded ids would silently be expanded again.
    """
    ids = prompt.engine_token_ids.tolist()
    if response_ids is not None:
        ids += response_ids.tolist()
    media = {kind: list(items) for kind, items in prompt.engine_media.items()}
    return {"prompt_token_ids": ids, **({"multi_modal_data": media} if media else {})}
