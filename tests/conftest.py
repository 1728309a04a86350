"""What many tests share: an untrained tiny Qwen3-VL with its processor, and a few questions about real MP4 files."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.tiny import TinyQwen3VL
from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions
from uniopd_mm.types import Prompt, Sample

LONGEST = ("job", "engines", "tests", "evaluation", "remote")  # folders of tests, those of whole runs first


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that workers of pytest-xdist end at about the same time."""
    ranks = {folder: rank for rank, folder in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(LONGEST)))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Nothing of a test run is taken from, or left in, the user's cache. The workers of pytest-xdist share one, so that
    generated data and checkpoints of the zoo are made once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIOPD_MM_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def generator(own_cache: Path) -> SyntheticVideoQuestions:
    return SyntheticVideoQuestions(num_pretrain=24, num_train=12, num_validation=8)


@pytest.fixture(scope="session")
def samples(generator: SyntheticVideoQuestions) -> tuple[Sample, ...]:
    return generator.samples("train").samples


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, samples: tuple[Sample, ...]) -> str:
    """The folder of an untrained model of 0.1 M parameters."""
    folder = tmp_path_factory.mktemp("checkpoint")
    TinyQwen3VL(hidden_size=64, num_layers=1).write(folder, [str(sample.demonstration) for sample in samples], seed=0)
    return str(folder)


@pytest.fixture(scope="session")
def processor(checkpoint: str) -> QwenVLProcessor:
    return QwenVLProcessor(checkpoint, video_num_frames=6)


@pytest.fixture(scope="session")
def prompts(processor: QwenVLProcessor, samples: tuple[Sample, ...]) -> list[Prompt]:
    return [processor.encode(sample) for sample in samples]


@pytest.fixture
def backbone(checkpoint: str, processor: QwenVLProcessor) -> Backbone:
    """A student's backbone, anew for each test."""
    torch.set_num_threads(1)
    return Backbone(load_model(checkpoint, "model.path"), banned_ids=processor.vocabulary.banned_ids)
