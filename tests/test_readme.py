"""README tells the truth: its files are written, its commands run, its Python block executed.

A command line of ours runs as it stands, with settings appended that make it small: an untrained student and teacher
and one step. `make` targets are only looked up; CI runs them.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from uniopd_mm.cli.groups import groups
from uniopd_mm.tasks.synthetic.clips import write_mp4

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:<!-- (\w+): (.*?) -->\n)?```(\w+)\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = [line for _, _, language, text in BLOCKS if language == "bash" for line in text.splitlines() if line]
INLINE = re.findall(r"`(python -m uniopd_mm\.\w+[^`]*)`", README)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with the files that README shows, and the clips they speak of."""
    folder = tmp_path_factory.mktemp("readme")
    for kind, path, _, text in BLOCKS:
        if kind == "file":
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    for name in re.findall(r'"video": "([^"]+)"', README):
        frames = np.random.default_rng(len(name)).integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)
        write_mp4(frames, folder / "clips" / name, fps=4)
    return folder


def run(command: str, folder: Path, *appended: str) -> str:
    words = command.split("#")[0].split()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, *words[1:], *appended],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_no_figure_is_left_open() -> None:
    assert "FIGURES" not in README


def test_what_is_linked_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link and not link.startswith("#")]
    assert links and not [link for link in links if not (ROOT / link).exists()]


def test_make_targets_exist() -> None:
    targets = [line.split()[1] for line in COMMANDS if line.startswith("make ")]
    assert targets == ["demo", "test"]
    for target in targets:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True)


def test_composes_real_models(folder: Path) -> None:
    (command,) = [line for line in COMMANDS if "--cfg" in line]
    printed = run(command, folder)
    assert "Qwen/Qwen3-VL-2B-Instruct" in printed and "Qwen/Qwen3-VL-8B-Instruct" in printed


def test_columns_are_mapped_as_shown(folder: Path) -> None:
    (setting,) = re.findall(r"`(\S*data\.columns\S*)`", README)
    printed = run(f"python -m uniopd_mm.train task=video_qa {setting} --cfg job", folder)
    assert "columns:\n    question: prompt" in printed


def test_help_lists_the_keys_of_the_readme(folder: Path) -> None:
    (command,) = [line for line in INLINE if "--help" in line]
    printed = run(command, folder)
    keys = set(re.findall(r"(?<![\w/.])((?:data|trainer|rollout|teacher|model|run)\.[a-z_]+)(?==|`)", README))
    assert keys, "README names no key"
    assert not [key for key in keys if key not in printed]


def test_own_videos_are_balanced_and_learnt_from(folder: Path, checkpoint: str) -> None:
    (balance,) = [line for line in COMMANDS if "uniopd_mm.balance" in line]
    (train,) = [line for line in COMMANDS if "data.path=clips/balanced.jsonl" in line]
    run(balance, folder, "model=tiny", f"model.path={checkpoint}", "num_rollouts=2")
    assert (folder / "clips" / "balanced.png").read_bytes().startswith(b"\x89PNG")
    run(train, folder, *small(checkpoint), "run.name=balanced")


def test_several_processes_train_as_shown(folder: Path, checkpoint: str) -> None:
    (command,) = re.findall(r"`accelerate launch (.*) -m uniopd_mm\.train \.\.\.`", README)
    flags = command.replace("--num_processes 8", "--num_processes 2")
    words = f"python -m accelerate.commands.launch {flags} -m uniopd_mm.train data.path=clips/rows.jsonl"
    own = ["trainer.prompts_per_step=2", "run.name=two"]
    run(words, folder, *[setting for setting in small(checkpoint) if "prompts_per_step" not in setting], *own)
    assert (folder / "runs/two/summary.json").exists()


def test_a_sweep_is_planned_as_shown(folder: Path, checkpoint: str) -> None:
    pytest.importorskip("lmms_eval")
    (command,) = [line for line in COMMANDS if "uniopd_mm.evaluate" in line]
    step = folder / "runs" / "a" / "checkpoints" / "step_1"
    shutil.copytree(checkpoint, step / "student")
    (step / "trainer_state").mkdir()
    (step / "trainer_state" / "state.pt").write_bytes(b"")
    printed = run(command, folder)
    assert "uniopd_aime24" in printed and "to fetch" in printed


def test_recipes_are_those_there_are() -> None:
    table = README.split("| `recipe=` | |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)) == set(groups()["recipe"])


def test_domains_and_data_sets_are_those_there_are() -> None:
    table = README.split("| `task=` |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, flags=re.MULTILINE)) == set(groups()["task"])
    assert set(groups()["data"]) <= set(re.findall(r"`(\w+)`", table)), "a data set is missing"


def small(checkpoint: str) -> list[str]:
    """Settings of a run on an untrained student and teacher, of one step."""
    parts = [f"{part}.{key}" for part in ("model", "teacher") for key in (f"path={checkpoint}", "builder=null")]
    return [*parts, "trainer.steps=1", "trainer.prompts_per_step=1"]


def test_own_videos_are_learnt_from_and_the_checkpoint_loads(folder: Path, checkpoint: str) -> None:
    (command,) = [line for line in COMMANDS if line.endswith("task=video_qa data.path=clips/rows.jsonl")]
    run(command, folder, *small(checkpoint), "run.name=here")
    (report,) = [line for line in INLINE if "uniopd_mm.report" in line]
    run(report.replace("<name>", "here"), folder)
    (python,) = [text for _, _, language, text in BLOCKS if language == "python"]
    code = python.replace("<name>", "here").replace("step_60", "step_1")
    printed = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300)
    assert printed.returncode == 0, printed.stderr
    assert printed.stdout, "the student was not asked"
    for name in re.findall(r"^  (\S+?)/?\s{2,}", README.split("runs/<name>/\n")[1].split("```")[0], flags=re.MULTILINE):
        assert (folder / "runs/here" / name.replace("<n>", "1")).exists(), name
