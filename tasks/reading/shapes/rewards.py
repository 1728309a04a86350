"""Rows of reinforcement learning, whose prompt is a chat beside the answer: verl and TRL; and ms-swift's pairs."""

from uniopd_mm.tasks.reading.kinds import is_chat
from uniopd_mm.tasks.reading.shapes.plain import FINAL_ANSWERS, QUESTIONS, WORKED_ANSWERS
from uniopd_mm.tasks.reading.shapes.seen import Seen, Shape, is_text

TRUTH = "reward_model.ground_truth"


def recognise(seen: Seen) -> Shape | None:
    """verl: `prompt` and `reward_model`. TRL: `prompt` and `completion`, both chats, or `prompt` and `solution`.
    ms-swift: `query` and `response`."""
    prompt = seen.first(("prompt",), is_chat)
    if prompt is None:
        return _pair(seen)
    if seen.actual(TRUTH):
        return Shape(name="verl rows", columns={"question": prompt, "answer": TRUTH})
    if (completion := seen.first(("completion",), is_chat)) is not None:
        return Shape(name="TRL rows", columns={"question": prompt, "answer": f"{completion}.-1.content"})
    if seen.first(("solution",), is_text):
        return Shape(name="TRL rows", columns={"question": prompt})
    return None


def _pair(seen: Seen) -> Shape | None:
    if not seen.first(("query",), is_text) or seen.first((*QUESTIONS[:2], *FINAL_ANSWERS, *WORKED_ANSWERS)):
        return None
    answer = seen.first(("response",), is_text)
    return Shape(name="ms-swift rows", columns={"answer": answer}, lost=("history",)) if answer else None
