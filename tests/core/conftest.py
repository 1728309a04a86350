"""Fixtures of the core's tests: prompts without media beside the shared ones about clips."""

import pytest
import torch
from core_parts import sample

from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.types import Prompt


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def text_prompts(processor: QwenVLProcessor) -> list[Prompt]:
    texts = ["How many?", "Which way does the circle move, left or right?"]
    return [processor.encode(sample(f"text-{number}", "video_qa", text)) for number, text in enumerate(texts)]
