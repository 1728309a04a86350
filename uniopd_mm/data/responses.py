"""The text of a response, as it is graded."""

from uniopd_mm.interfaces import Processor
from uniopd_mm.types import Rollout

OPENING = ("<think>", "<thinking>", "[THINK]", "<reasoning>")
PROMPT_END = 8  # last tokens of a prompt, where a chat template may open the response's thoughts


def said(processor: Processor, rollout: Rollout) -> str:
    """The response without special tokens. If the chat template opened its thoughts, the tag comes first: otherwise
    thoughts that do not end would look like an answer."""
    text = processor.decode(rollout.response_ids)
    end = "".join(processor.pieces(rollout.prompt.token_ids[-PROMPT_END:])).rstrip()
    return next((tag for tag in OPENING if end.endswith(tag)), "") + text
