"""Resuming a run folder of somebody else runs none of their code, and touches nothing outside of it."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from job_parts import composed
from omegaconf import OmegaConf

from uniopd_mm.run.folder import open_run
from uniopd_mm.run.trust import own_components
from uniopd_mm.types import UserError

HARMFUL = """
from pathlib import Path
from subprocess import run
Path("touched").touch()
class Task:
    def __init__(self, **parameters): Path("touched").touch()
"""


@pytest.fixture
def held() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def folder(held: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that has not begun, beside a module that leaves a trace where it is imported."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "harmful.py").write_text(HARMFUL)
    yield open_run(composed("run.name=a"), [], held).folder
    sys.modules.pop("harmful", None)


def change(folder: Path, key: str, value: Any) -> None:
    """Set a key of the saved configuration; `value` may be a component of its own."""
    saved = OmegaConf.load(folder / "config.yaml")
    OmegaConf.update(saved, key, value, force_add=True)
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(saved))


def resume(folder: Path, *overrides: str) -> Any:
    arguments = [f"resume={folder}", *overrides]
    with ExitStack() as held:
        return open_run(composed(*arguments), arguments, held)


def refusal(folder: Path, *overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        resume(folder, *overrides)
    message = str(caught.value)
    assert "\n" not in message and f"resume={folder}" in message
    assert not Path("touched").exists()
    return message


@pytest.mark.parametrize(
    "target",
    [
        "torch.load",
        "os.system",
        "builtins.exec",
        "harmful.Task",
        "uniopd_mm.balance.os.system",
        "uniopd_mm.models.zoo.shutil.rmtree",
        "uniopd_mm.run.folder.open_run",
        "uniopd_mm.tasks.sandbox.local",
        "uniopd_mm.tasks.video_qa.VideoQaTask.__init__",
        "../harmful",
        "",
        7,
    ],
)
@pytest.mark.parametrize(
    "key", ["task._target_", "task.synthetic._target_", "zoo.x._target_", "teachers.a.processor._target_", "data.where"]
)
def test_a_component_from_elsewhere_is_refused_unimported(folder: Path, key: str, target: Any) -> None:
    if key.endswith("_target_"):
        change(folder, key, target)
    else:
        key, _ = f"{key}.list.1._target_", change(folder, key, {"list": [1, {"_target_": target}]})
    said = refusal(folder)
    assert f"config.yaml: {key}={target}: " in said and "trust=[" in said


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("task.x", "${oc.create:${oc.decode:'{_target_: harmful.Task}'}}", "task.x=${"),
        ("tracking.wandb_project", "${oc.env:HOME}", "tracking.wandb_project=${"),
        ("model.name", "${.path}", "model.name=${"),
        ("task._args_", ["a"], "task._args_"),
        ("teacher.vllm.args", {"worker_cls": "harmful.Task"}, "teacher.vllm.args"),
        ("rollout.engine.options", {"args": {"trust_remote_code": True}}, "rollout.engine.options.args"),
    ],
)
def test_other_ways_to_code_are_refused(folder: Path, key: str, value: Any, named: str) -> None:
    change(folder, key, value)
    assert f"config.yaml: {named}" in refusal(folder)


@pytest.mark.parametrize("text", ["- 1", "7", "a: !!python/object/apply:os.system [touch touched]", "task: 7", "a: 1"])
def test_what_is_no_configuration_is_one_line(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text)
    assert "config.yaml" in refusal(folder)


def test_packages_of_the_user_are_trusted_by_name(folder: Path, tmp_path: Path) -> None:
    change(folder, "task._target_", "harmful.Task")
    assert "trust=[harmful]" in refusal(folder)
    for unlike in ("harm", "harmful.Other", "uniopd_mm"):
        refusal(folder, f"trust=[{unlike}]")
    assert resume(folder, "trust=[harmful]").config.task["_target_"] == "harmful.Task"
    Path("touched").unlink()
    assert resume(folder, "trust=harmful.Task").resumed
    change(folder, "task._target_", "harmful.run")
    assert "not a class or function of trust=[harmful] but of subprocess" in refusal(folder, "trust=[harmful]")


def test_trust_comes_from_the_command_line_alone(folder: Path) -> None:
    change(folder, "task._target_", "harmful.Task")
    change(folder, "trust", ["harmful"])
    refusal(folder)
    with pytest.raises(UserError, match=r"trust=\[harmful\]: only resume=FOLDER"):
        open_run(composed("trust=[harmful]"), [], ExitStack())


def test_every_component_that_our_files_name_is_allowed(folder: Path) -> None:
    assert len(own_components()) > 25
    assert all(re.fullmatch(r"uniopd_mm(\.\w+)+", name) for name in own_components())
    assert resume(folder).resumed


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("config.yaml", "outside/config.yaml"),
        ("checkpoints", "outside"),
        ("checkpoints/step_1", "outside"),
        ("checkpoints/step_1/student/config.json", "outside/config.yaml"),
        ("metrics.jsonl", "outside/config.yaml"),
        ("rollouts", "outside"),
        (".lock", "outside/new"),
        ("summary.json", "nowhere"),
    ],
)
def test_links_are_not_followed_out(folder: Path, tmp_path: Path, name: str, target: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.yaml").write_bytes((folder / "config.yaml").read_bytes())
    before = contents(outside)
    link = folder / name
    link.unlink(missing_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / target)
    said = refusal(folder)
    assert f"{link} is a link to {tmp_path / target}" in said
    assert contents(outside) == before


def test_links_inside_and_to_a_run_folder_are_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "latest").symlink_to("config.yaml")
    (tmp_path / "link").symlink_to(folder)
    assert resume(tmp_path / "link").resumed


def test_a_pipe_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "metrics.jsonl")
    assert "metrics.jsonl is neither a file nor a folder" in refusal(folder)


def contents(folder: Path) -> Mapping[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
