"""Fixtures over processor_parts: saved checkpoints and a clip."""

from pathlib import Path

import pytest
import torch
from processor_parts import STOCK, Checkpoint, moving_square, stock_processor, write_video


@pytest.fixture(scope="session", params=list(STOCK))
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return _saved(request.param, tmp_path_factory)


@pytest.fixture(scope="session")
def qwen3(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return _saved("qwen3_vl", tmp_path_factory)


def _saved(family: str, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp(family)
    stock = stock_processor(family)
    stock.save_pretrained(folder)
    return Checkpoint(family=family, folder=folder, stock=stock)


@pytest.fixture(scope="session")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """31 frames at 15 a second: two seconds."""
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_square(31))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
