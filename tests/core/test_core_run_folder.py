"""Names of run folders: what they say, and that no two runs ever get the same."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Barrier

import pytest

from uniopd_mm.config.parts import TeacherConfig
from uniopd_mm.config.train import ModelConfig, RecipeConfig, RolloutConfig, RunConfig, TrainConfig
from uniopd_mm.run.folder import default_name, give_back, open_run
from uniopd_mm.types import UserError


def config(
    root: Path, name: str | None = None, task: str = "video_qa", model: str = "tiny", seed: int = 0
) -> TrainConfig:
    return TrainConfig(
        task={"_target_": "my_package.tasks.MyTask", **({"domain": task} if task else {})},
        model=ModelConfig(name=model, path="/m", processor={}),
        teacher=TeacherConfig(name="t", path="/t", processor={}),
        rollout=RolloutConfig(engine={}),
        recipe=RecipeConfig(name="uni_opd", objective={}),
        run=RunConfig(root=str(root), name=name),
        seed=seed,
    )


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Folders stay locked until the test ends."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize(
    ("task", "model", "name"),
    [
        ("video_qa", "tiny", "video_qa-tiny-uni_opd-seed3"),
        ("video_qa", "Qwen/Qwen3-VL-2B-Instruct", "video_qa-Qwen-Qwen3-VL-2B-Instruct-uni_opd-seed3"),
        ("ocr: pages", "../../[my model]", "ocr-pages-my-model-uni_opd-seed3"),
        ("", "tiny", "MyTask-tiny-uni_opd-seed3"),
        ("chart", "模型", "chart-uni_opd-seed3"),
        ("chart", "x" * 300, f"chart-{'x' * 60}-uni_opd-seed3"),
    ],
)
def test_a_name_says_task_model_recipe_and_seed(
    held: ExitStack, tmp_path: Path, task: str, model: str, name: str
) -> None:
    assert default_name(config(tmp_path, task=task, model=model, seed=3)) == name
    assert open_run(config(tmp_path, task=task, model=model, seed=3), [], held).folder == tmp_path / name


def test_runs_that_start_at_once_get_folders_of_their_own(held: ExitStack, tmp_path: Path) -> None:
    count, name = 16, "video_qa-tiny-uni_opd-seed0"
    barrier = Barrier(count)

    def start(number: int) -> Path:
        barrier.wait()
        return open_run(config(tmp_path / "new" / "root"), [], held).folder

    with ThreadPoolExecutor(count) as pool:
        folders = set(pool.map(start, range(count)))
    assert {folder.name for folder in folders} == {name, *(f"{name}-{number}" for number in range(2, count + 1))}
    assert all((folder / "config.yaml").stat().st_size for folder in folders)


def test_a_default_name_is_no_folder_that_exists(held: ExitStack, tmp_path: Path) -> None:
    """Not one without a config.yaml either, and not a file."""
    (tmp_path / "video_qa-tiny-uni_opd-seed0").mkdir()
    (tmp_path / "video_qa-tiny-uni_opd-seed0-2").touch()
    run = open_run(config(tmp_path), [], held)
    assert run.folder.name == "video_qa-tiny-uni_opd-seed0-3"
    give_back(run)
    assert open_run(config(tmp_path), [], held).folder == run.folder


def test_a_name_that_was_given_is_not_numbered(held: ExitStack, tmp_path: Path) -> None:
    assert open_run(config(tmp_path, "a/b"), [], held).folder == tmp_path / "a" / "b"
    with pytest.raises(UserError, match=f"run.name=a/b: {tmp_path}/a/b exists; .*resume={tmp_path}/a/b"):
        open_run(config(tmp_path, "a/b"), [], held)


@pytest.mark.parametrize("name", [None, "mine"])
def test_a_root_that_cannot_be_made_is_refused(held: ExitStack, tmp_path: Path, name: str | None) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere/at/all")
    for root in ("file", "link", "file/below"):
        with pytest.raises(UserError, match=f"run.root={tmp_path / root}: .*choose a folder you can write to"):
            open_run(config(tmp_path / root, name), [], held)
