"""Benchmarks that a job's student is asked: two invented problems, laid out as the hub has the data set."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
import pytest

TASK = "benchmark/uniopd_aime24"
MEAN = "benchmark/mean"
needs_lmms_eval = pytest.mark.skipif(importlib.util.find_spec("lmms_eval") is None, reason="needs the extra eval")


def write_problems(root: Path) -> None:
    """AIME 2024 with two problems, in root/OWNER/NAME."""
    rows = {"id": [60, 61], "problem": ["What is $2 + 3$?", "What is $6 \\cdot 7$?"], "answer": ["5", "42"]}
    folder = root / "simplescaling" / "aime24_nofigures" / "data"
    folder.mkdir(parents=True)
    datasets.Dataset.from_dict(rows).to_parquet(folder / "train-00000-of-00001.parquet")


@contextmanager
def own_hub_cache(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of commands that neither ask the hub nor leave anything in the user's cache of it; here too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(folder))
        yield {"HF_DATASETS_CACHE": str(folder), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
