"""What the tests of benchmarks about videos share: the fixture where a data root is, and tasks of lmms-eval over it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import hub_videos
import pytest
from lmms_eval.api.task import ConfigurableMessagesTask
from lmms_eval.utils import load_yaml_config
from picture_parts import BENCHMARKS

NAMES = [f"uniopd_{name}" for name in ("videomme", "mvbench", "longvideobench", "mlvu", "tempcompass", "nextqa")]
Tasks = Callable[[str], Any]


@pytest.fixture(scope="module")
def video_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    hub_videos.write(folder)
    return folder


@pytest.fixture(scope="module")
def video_task(video_hub: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Makes a task of lmms-eval from one of our YAMLs, with the fixture as data root; each task is made once."""
    made: dict[str, Any] = {}

    def task(name: str) -> Any:
        if name not in made:
            config = load_yaml_config(str(BENCHMARKS / f"{name}.yaml"), mode="full")
            made[name] = ConfigurableMessagesTask(
                config={**config, "dataset_path": str(video_hub / config["dataset_path"])}
            )
        return made[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIOPD_MM_DATA_ROOT", str(video_hub))
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        datasets.disable_progress_bars()
        yield task
