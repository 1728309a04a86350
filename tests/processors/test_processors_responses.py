"""Responses as ids and back: what the zoo imitates and what people look at."""

import pytest
import torch
from processor_parts import Checkpoint

from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.text import TextProcessor

TEXT = "It moves left. \\boxed{left} é"


@pytest.mark.parametrize("kind", [QwenVLProcessor, TextProcessor])
def test_a_response_ends_its_turn_and_reads_back(
    kind: type[QwenVLProcessor] | type[TextProcessor], checkpoint: Checkpoint
) -> None:
    processor = kind(str(checkpoint.folder))
    ids = processor.encode_response(TEXT)
    assert ids.dtype == torch.int64 and ids[-1] == processor.vocabulary.tokens["<|im_end|>"]
    assert not set(processor.vocabulary.stop_ids) & set(ids[:-1].tolist())
    assert processor.decode(ids) == TEXT


@pytest.mark.parametrize("kind", [QwenVLProcessor, TextProcessor])
def test_pieces_are_one_per_id(kind: type[QwenVLProcessor] | type[TextProcessor], checkpoint: Checkpoint) -> None:
    processor = kind(str(checkpoint.folder))
    ids = processor.encode_response("I count 3. \\boxed{3}")
    pieces = processor.pieces(ids)
    assert len(pieces) == len(ids)
    assert "".join(pieces) == "I count 3. \\boxed{3}<|im_end|>"
    assert processor.pieces(ids[:0]) == []
