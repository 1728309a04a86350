"""The command line as a new user types it: options in any order, commands, models, and what a run says first."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from job_parts import Finished, run, start

import uniopd_mm

ROOT = Path(__file__).parents[2]


def line_of(finished: Finished, status: int = 2) -> str:
    assert finished.status == status, finished
    assert "Traceback" not in finished.err and "Error executing" not in finished.out
    (line,) = finished.err.splitlines()
    return line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cfg", "job", "trainer.steps=3"],
        ["trainer.steps=3", "--cfg", "job"],
        ["--config-dir", "mine", "trainer.steps=3", "--cfg", "job"],
        ["--cfg=job", "task=ocr", "trainer.steps=3", "--config-dir", "mine"],
    ],
)
def test_options_work_anywhere(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "mine" / "task").mkdir(parents=True)
    ocr = "defaults: [video_qa, _self_]\ndomain: ocr\n"
    (tmp_path / "mine" / "task" / "ocr.yaml").write_text(ocr, encoding="utf-8")
    finished = run(arguments, tmp_path)
    assert (finished.status, finished.err) == (0, "")
    assert "steps: 3" in finished.out
    assert not (tmp_path / "runs").exists()


def test_help_lists_the_groups_of_a_folder_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine" / "task").mkdir(parents=True)
    (tmp_path / "mine" / "task" / "ocr.yaml").touch()
    helped = run(["--config-dir", "mine", "--help"], tmp_path)
    assert helped.status == 0
    assert re.search(r"^  task .*\bocr\b", helped.out, re.MULTILINE)
    assert re.search(r"^  trainer\.steps=50 +int +updates of the student$", helped.out, re.MULTILINE)
    assert re.search(r"^  recipe\.advantage_clip=null +float or null +", helped.out, re.MULTILINE)


@pytest.mark.parametrize("command", ["train", "balance", "serve", "evaluate", "report"])
def test_every_command_says_its_version_and_refuses_other_styles(command: str, tmp_path: Path) -> None:
    said = run(["--version"], tmp_path, command=command)
    assert (said.status, said.out) == (0, f"uniopd_mm {uniopd_mm.__version__}\n")
    assert "as model=X" in line_of(run(["--model", "X"], tmp_path, command=command))
    assert "--config-dir FOLDER" in line_of(run(["--config", "my.yaml"], tmp_path, command=command))
    assert "no such key" in line_of(run(["+seeed=3"], tmp_path, command=command))


def test_a_report_takes_the_grammar_of_the_others_and_a_bare_folder(tmp_path: Path) -> None:
    assert "give its folder, as run=runs/NAME" in line_of(run([], tmp_path, command="report"))
    for argument in ("run=nowhere", "nowhere"):
        assert line_of(run([argument], tmp_path, command="report")).startswith("error: nowhere: not a run folder")
    assert ".png" in line_of(run(["nowhere", "curve=a.jpg"], tmp_path, command="report"))


def test_a_run_says_what_it_is_about_to_do(small: list[str], tmp_path: Path) -> None:
    first = run([*small, "trainer.steps=1"], tmp_path).out.splitlines()[0]
    assert first.startswith("task video_qa: student tiny, teacher tiny_expert, recipe uni_opd; 1 step of 3 prompts × 2")


def test_rows_beside_the_built_in_models_are_warned_of_once(small: list[str], tmp_path: Path) -> None:
    row = '{"id": "a", "video": "a.mp4", "question": "Which?", "answer": "left"}\n'
    (tmp_path / "mine.jsonl").write_text(row, encoding="utf-8")
    own = [argument for argument in small if not argument.startswith(("task.", "teacher.path"))]
    said = run([*own, "data.path=mine.jsonl"], tmp_path).out
    assert said.count("built-in models that only know their own synthetic questions") <= 1
    assert said.replace("\n", " ").count("set model= and teacher= to real checkpoints") == 1


def test_several_runs_and_one_configuration_do_not_go_together(tmp_path: Path) -> None:
    line = line_of(run(["--multirun", "trainer.steps=2", "--cfg", "job"], tmp_path))
    assert line == "error: --multirun --cfg: the configuration of one run can be shown; leave one of the two out"


def test_several_runs_end_with_one_table(small: list[str], tmp_path: Path) -> None:
    own = [argument for argument in small if not argument.startswith(("run.", "trainer.steps"))]
    lines = ["--multirun", "recipe=opd,uni_opd", "seed=0,1", "trainer.steps=2"]
    finished = run([*own, *lines], tmp_path)
    assert (finished.status, finished.err) == (0, ""), finished
    runs = sorted(path.name for path in (tmp_path / "runs").iterdir() if (path / "summary.json").is_file())
    assert runs == [f"video_qa-tiny-{recipe}-seed{seed}" for recipe in ("opd", "uni_opd") for seed in (0, 1)]
    (folder,) = (tmp_path / "runs").glob("multirun-*/")
    rows = json.loads((folder / "multirun.json").read_text(encoding="utf-8"))["rows"]
    assert [(row["overrides"], row["num_seeds"], row["num_failed"]) for row in rows] == [
        (["recipe=opd"], 2, 0),
        (["recipe=uni_opd"], 2, 0),
    ]
    assert "mean ± standard error over seeds" in " ".join(finished.out.split())
    assert "recipe=uni_opd" in (folder / "multirun.md").read_text(encoding="utf-8")


def test_a_run_that_is_refused_does_not_take_the_others_along(small: list[str], tmp_path: Path) -> None:
    own = [argument for argument in small if not argument.startswith(("run.", "trainer.steps"))]
    finished = run([*own, "--multirun", "trainer.steps=0,1"], tmp_path)
    assert finished.status == 2 and "trainer.steps=0 must be at least 1" in finished.err
    assert list((tmp_path / "runs").glob("*/summary.json")) and list((tmp_path / "runs").glob("multirun-*/multirun.md"))


def test_a_folder_of_runs_that_cannot_be_written_is_one_line_in_a_multirun_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "file" in line_of(run(["--multirun", "seed=0,1", "run.root=file/runs"], tmp_path))


def test_an_import_that_fails_in_another_package_is_named(tmp_path: Path) -> None:
    """As torchaudio does beside a torch that it was not built for."""
    (tmp_path / "mine.py").write_text("import broken_audio\nclass Task: ...\n", encoding="utf-8")
    (tmp_path / "broken_audio.py").write_text("raise OSError('libtorch.so: undefined symbol')\n", encoding="utf-8")
    line = line_of(run(["task._target_=mine.Task"], tmp_path))
    assert "mine cannot be imported: libtorch.so: undefined symbol" in line and "repair or uninstall" in line
    (tmp_path / "broken_audio.py").write_text("import not_installed_anywhere\n", encoding="utf-8")
    assert "install not_installed_anywhere" in line_of(run(["task._target_=mine.Task"], tmp_path))


def test_a_hub_that_does_not_answer_is_not_asked_again_and_again(tmp_path: Path) -> None:
    arguments = ["model=some/model", "teacher=some/teacher", "task.synthetic.num_train=2"]
    arguments += ["task.synthetic.num_validation=2", "task.synthetic.num_pretrain=2"]
    finished = run(arguments, tmp_path, {"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert finished.status == 2
    *warnings, line = finished.err.splitlines()
    assert line.startswith("error: model.path=some/model: ")
    assert "Retrying" not in finished.err + finished.out
    assert "the hub does not answer" in " ".join([*warnings, finished.out])


def test_ctrl_c_names_how_to_go_on(small: list[str], tmp_path: Path) -> None:
    command = start([*small, "trainer.steps=500"], tmp_path)
    deadline = time.monotonic() + 100
    while not list(tmp_path.glob("runs/small/checkpoints/step_*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert command.process.pid is not None
    os.kill(command.process.pid, signal.SIGINT)
    finished = command.wait()
    assert finished.status == 130
    assert finished.err.splitlines()[-1] == "interrupted; go on with: python -m uniopd_mm.train resume=runs/small"


def test_the_package_lists_its_commands_and_runs_them(tmp_path: Path) -> None:
    def python(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment)

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    listed = python("-m", "uniopd_mm")
    assert listed.returncode == 0
    for name in ("train", "balance", "serve", "evaluate", "report"):
        assert f"python -m uniopd_mm.{name} " in listed.stdout
    assert python("-m", "uniopd_mm", "--version").stdout == f"uniopd_mm {uniopd_mm.__version__}\n"
    refused = python("-m", "uniopd_mm", "trian")
    assert (refused.returncode, refused.stderr) == (
        2,
        "error: trian: no such command; there are train, balance, grade, serve, evaluate, report\n",
    )
    passed_on = python("-m", "uniopd_mm", "train", "seeed=3")
    assert (passed_on.returncode, passed_on.stderr) == (2, "error: seeed=3: no such key; did you mean seed?\n")


def test_a_console_script_finds_modules_of_the_current_folder(tmp_path: Path) -> None:
    """`python -m` puts the current folder on the path; a script in bin/ does not."""
    (tmp_path / "my_task.py").write_text("class Task:\n    def __init__(self, colour): ...\n", encoding="utf-8")
    script = f"import sys; sys.path.pop(0); sys.path.append({str(ROOT)!r}); from uniopd_mm.train import main; main()"
    command = [sys.executable, "-c", script, "task._target_=my_task.Task"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "no such parameter; it takes colour" in done.stderr
