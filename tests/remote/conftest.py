"""The tiny model as a local teacher, and a server around it."""

from collections.abc import Callable
from typing import Any

import pytest
import serving_parts
import torch
from serving_parts import SAMPLING, Served, Watched

from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.types import Prompt, Rollout


@pytest.fixture(scope="session", autouse=True)
def forkserver(own_cache: Any) -> None:
    serving_parts.preload()


@pytest.fixture(scope="session")
def model(checkpoint: str) -> Backbone:
    torch.set_num_threads(1)
    return Backbone(load_model(checkpoint, "model.path"))


@pytest.fixture(scope="session")
def local(model: Backbone, processor: QwenVLProcessor) -> LocalTeacher:
    return LocalTeacher("t", model, processor.vocabulary, top_k=3)


@pytest.fixture(scope="session")
def engine(model: Backbone, processor: QwenVLProcessor) -> HFRollout:
    return HFRollout(model, processor)


@pytest.fixture(scope="session")
def rollouts(engine: HFRollout, prompts: list[Prompt]) -> list[Rollout]:
    """Three of each of four prompts."""
    return [one for group in engine.generate(prompts[:4], 3, SAMPLING) for one in group]


@pytest.fixture
def serve(local: LocalTeacher, engine: HFRollout, processor: QwenVLProcessor, model: Backbone) -> Callable[..., Served]:
    """Starts a server around the tiny model."""

    def start(**options: Any) -> Served:
        watched = Watched(inner=local, engine=engine)
        return serving_parts.serve(watched, processor, vocab_size=model.vocab_size, **options)

    return start
