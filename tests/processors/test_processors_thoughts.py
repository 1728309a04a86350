"""Thoughts that a chat template opens belong to the response: cut off, they are no answer in training either."""

from pathlib import Path
from shutil import copytree

import pytest
import torch
from processor_parts import Checkpoint
from transformers import AutoProcessor

from uniopd_mm.data.responses import said
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.tasks.grading.answers import grade_open
from uniopd_mm.types import FinishReason, Message, Rollout, Sample


@pytest.mark.parametrize(("ending", "correct"), [("<think>\n", False), ("[THINK]", False), ("", True)])
def test_thoughts_that_the_template_opens(qwen3: Checkpoint, tmp_path: Path, ending: str, correct: bool) -> None:
    folder = copytree(qwen3.folder, tmp_path / "checkpoint")
    stock = AutoProcessor.from_pretrained(folder)
    stock.chat_template = f"{stock.chat_template}{ending}"
    stock.save_pretrained(folder)
    processor = QwenVLProcessor(str(folder))
    message = Message(role="user", content=("Which way?",))
    prompt = processor.encode(Sample(sample_id="a", domain="d", messages=(message,), answer="left", source="s"))
    ids = processor.encode_response("Perhaps \\boxed{left}?")
    rollout = Rollout(
        prompt=prompt,
        group_id=0,
        response_ids=ids,
        logprobs=torch.zeros(len(ids)),
        finish_reason=FinishReason.LENGTH,
        policy_step=0,
    )
    assert said(processor, rollout) == ending.strip() + "Perhaps \\boxed{left}?"
    assert grade_open(said(processor, rollout), "left").correct is correct
