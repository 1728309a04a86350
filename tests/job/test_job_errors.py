"""What the user can mend: exit status 2 and one line on stderr that names key, value and remedy."""

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from job_parts import Finished, execute, run

from uniopd_mm.cli.groups import documented_keys
from uniopd_mm.cli.help import help_text
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.train import COMMAND

MISTAKES = {
    "trainer.stepz=3": ["trainer.stepz=3", "no such key", "did you mean trainer.steps?"],
    "trainr.steps=3": ["trainr.steps", "did you mean trainer.steps?"],
    "recipe.gat=3": ["recipe.gat=3", "recipe.gate"],
    "task.validation_frction=0.5": ["task.validation_frction=0.5", "no such parameter"],
    "+task.rows.max_row=5": ["task.rows.max_row=5", "no such parameter", "max_rows"],
    "rollout.engine.max_batch=3": ["rollout.engine.max_batch=3", "no such parameter", "did you mean max_batch_size?"],
    "+rollout.engine.max_batch=3": ["rollout.engine.max_batch=3", "no such parameter", "max_batch_size"],
    "trainer.steps=abc": ["trainer.steps=abc", "Integer"],
    "trainer.betas=0.9": ["trainer.betas=[0.9]", "two numbers"],
    "task.rows.validation_fraction=abc": ["task.rows.validation_fraction=abc", "Float"],
    "rollout.engine.max_batch_size=many": ["rollout.engine.max_batch_size=many", "Integer"],
    "recipe=unopd": ["recipe=unopd", "uni_opd"],
    "recipe.calibration.delta=-0.1": ["recipe.calibration.delta=-0.1", "not below 0"],
    "recipe.calibration.delta=nan": ["recipe.calibration.delta=nan"],
    "recipe.calibration.scope=rank": ["recipe.calibration.scope=rank", "GROUP", "BATCH"],
    "recipe.calibration.min_retain_ratio=2": ["recipe.calibration.min_retain_ratio=2", "between 0 and 1"],
    "recipe.balancing.ratio=-1": ["recipe.balancing.ratio=-1", "null for none"],
    "recipe.balancing.ratio=nan": ["recipe.balancing.ratio=nan"],
    "recipe.objective.margin=1": ["recipe.objective.margin"],
    "recipe.correction_cap=0.5": ["recipe.correction_cap=0.5", "at least 1"],
    "recipe.reduction=MAX": ["recipe.reduction=MAX", "SAMPLE_MEAN"],
    "model=foo": [
        "model=foo",
        "no such choice",
        "qwen2_5_vl_3b, qwen3_1_7b, qwen3_4b, qwen3_vl_2b, qwen3_vl_4b, tiny",
        "hub name works too",
    ],
    "task=foo": ["task=foo", "video_qa"],
    "nonsense": ["nonsense", "KEY=VALUE"],
    "trainer.betas=[0.9": ["trainer.betas=[0.9", "KEY=VALUE"],
    "data.path=missing.jsonl": ["data.path=missing.jsonl", "no such file"],
    "data.path=.": ["data.path=.", "neither a regular file"],
    "model.path=no/such/folder": ["model.path=no/such/folder"],
    "teacher.path=no/such/folder": ["teacher", "no/such/folder"],
    "trainer.steps=0": ["trainer.steps=0", "at least 1"],
    "trainer.learning_rate=-1": ["trainer.learning_rate=-1", "above 0"],
    "trainer.learning_rate=nan": ["trainer.learning_rate=nan", "above 0"],
    "trainer.threads=0": ["trainer.threads=0", "at least 1"],
    "trainer.betas=[0.9,1.5]": ["trainer.betas=[0.9, 1.5]"],
    "data.validation_fraction=1.5": ["data.validation_fraction=1.5", "between 0 and 1"],
    "model.dtype=int4": ["model.dtype=int4", "bfloat16"],
    "seed=-1": ["seed=-1", "between 0"],
    "run.root=/proc/1/nowhere": ["run.root=/proc/1/nowhere", "choose a folder you can write to"],
    "resume=.": ["resume=.", "no config.yaml"],
    "resume=nowhere": ["resume=nowhere", "no config.yaml"],
    "task._target_=no.such.Class": ["task._target_=no.such.Class", "importable"],
}


def refused(finished: Finished, *named: str) -> None:
    lines = finished.err.splitlines()
    assert finished.status == 2, finished
    assert len(lines) == 1, lines
    assert "Traceback" not in finished.out and "Error executing" not in finished.out
    for text in named:
        assert text in lines[0]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake: str, small: list[str], tmp_path: Path) -> None:
    refused(run([*small, mistake], tmp_path), *MISTAKES[mistake])
    assert not (tmp_path / "runs" / "small").exists(), "the mended command must find its run.name free"


def test_a_teacher_with_another_vocabulary_is_refused(small: list[str], tmp_path: Path) -> None:
    from uniopd_mm.processors.tiny import TinyQwen3VL

    TinyQwen3VL(hidden_size=64, num_layers=1, vocab_size=300).write(tmp_path / "other", ["other words"], seed=0)
    refused(run([*small, "teacher.path=other"], tmp_path), "teacher=", "vocabulary")


def test_a_name_is_taken_once(small: list[str], tmp_path: Path) -> None:
    arguments = [*small, "trainer.steps=1"]
    assert run(arguments, tmp_path).status == 0
    refused(run(arguments, tmp_path), "run.name=small", "resume=runs/small")
    changed = run(["resume=runs/small", "trainer.learning_rate=1"], tmp_path)
    refused(changed, "trainer.learning_rate=1", "runs/small/config.yaml", "trainer.steps")
    refused(run(["resume=runs/small", "seed=1"], tmp_path), "seed=1")
    (tmp_path / "runs" / "small" / "config.yaml").write_text("trainer: [", encoding="utf-8")
    refused(run(["resume=runs/small"], tmp_path), "resume=runs/small", "config.yaml")


def test_a_run_of_an_earlier_version_is_refused(small: list[str], tmp_path: Path) -> None:
    """By its checkpoint, or where it stopped before the first, by classes that have moved."""
    folder = tmp_path / "runs" / "old"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("model: {builder: {_target_: uniopd_mm.zoo.grow, schooling: {}}}\n")
    refused(run(["resume=runs/old"], tmp_path), "resume=runs/old", "runs/old/config.yaml", "uniopd_mm.zoo", "new run")
    state = folder / "checkpoints" / "step_2" / "trainer_state" / "state.pt"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"cuniopd_mm.progress\nRunState\n.")
    remedy = "model.path=runs/old/checkpoints/step_2/student"
    refused(run(["resume=runs/old"], tmp_path), "resume=runs/old", "an earlier version", remedy)
    (folder / "config.yaml").write_text("scholing: {}\n")
    refused(run(["resume=runs/old"], tmp_path), "an earlier version", remedy)


def test_a_root_that_is_a_file_is_refused(small: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(run([*small, "run.root=file"], tmp_path), "run.root=file")


def test_a_cache_that_cannot_be_written_is_refused(small: list[str], tmp_path: Path) -> None:
    refused(run(small, tmp_path, {"UNIOPD_MM_CACHE": "/proc/1/nowhere"}), "UNIOPD_MM_CACHE", "/proc/1/nowhere")


def test_wandb_that_is_not_installed_is_named(small: list[str], tmp_path: Path) -> None:
    refused(run([*small, "tracking.wandb=true"], tmp_path, target=without_wandb), "tracking.wandb=true", "pip install")


def without_wandb(*arguments: Any) -> None:
    """The command, where wandb cannot be imported."""
    sys.modules["wandb"] = None  # type: ignore[assignment]
    execute(*arguments)


def test_the_real_command_adds_nothing_of_its_own(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uniopd_mm.train", "trainer.stepz=3"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: trainer.stepz=3: no such key; did you mean trainer.steps?\n"
    assert list(tmp_path.iterdir()) == []


def test_help_lists_every_key_with_default_and_meaning(tmp_path: Path) -> None:
    finished = run(["--help"], tmp_path)
    assert (finished.status, finished.err) == (0, "")
    assert finished.out.strip() == help_text(TrainConfig, "train", COMMAND.summary)
    unwrapped = re.sub(r"\n {20,}", " ", finished.out)
    for key, entry in documented_keys(TrainConfig):
        meaning = re.sub("^component(: | that )", "", entry.metadata["help"])
        (line,) = [line for line in unwrapped.splitlines() if re.match(rf"  {re.escape(key)}=", line)]
        assert meaning in line
    sections = {entry.name for entry in fields(TrainConfig)}
    assert {key.split(".")[0] for key, _ in documented_keys(TrainConfig)} == sections
    assert max(map(len, finished.out.splitlines())) <= 160


def test_the_composed_configuration_can_be_printed(small: list[str], tmp_path: Path) -> None:
    finished = run([*small, "--cfg", "job"], tmp_path)
    assert (finished.status, finished.err) == (0, "")
    assert "prompts_per_step: 3" in finished.out
    assert not (tmp_path / "runs").exists()
