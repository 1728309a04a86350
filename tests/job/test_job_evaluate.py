"""`python -m uniopd_mm.evaluate` as a command, with real lmms-eval, on the fixtures of two benchmarks."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from job_parts import Finished, run, start

pytest.importorskip("lmms_eval")

HUB = Path(__file__).resolve().parents[1] / "evaluation" / "hub"
TASKS = ("uniopd_aime24", "uniopd_chartqa")
SMALL = [
    f"tasks=[{','.join(TASKS)}]",
    f"data_root={HUB}",
    "engine=hf",
    "num_samples=2",
    "max_new_tokens=8",
    "threads=1",
    "out=out",
]


def arguments(checkpoint: str, *more: str) -> list[str]:
    return [f"checkpoints=[{checkpoint}]", *SMALL, *more]


def scores(folder: Path) -> dict[str, dict[str, Any]]:
    record = json.loads((folder / "out" / "results.json").read_text())
    assert (record["schema"], record["scale"]) == (1, "0-100")
    return {score["task"]: score for score in record["scores"]}


def job_files(folder: Path) -> dict[str, int]:
    """When each job's score was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (folder / "out").glob("*/*/score.json")}


@pytest.fixture(scope="module")
def killed(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """The folder of a sweep that was killed after its first job, and that job's file."""
    folder = tmp_path_factory.mktemp("sweep")
    command = start(arguments(checkpoint), folder, command="evaluate")
    assert command.kill_when(lambda: bool(job_files(folder)))
    return folder, job_files(folder)


@pytest.fixture(scope="module")
def done(checkpoint: str, killed: tuple[Path, dict[str, int]]) -> tuple[Path, Finished]:
    """The same folder after the same command."""
    folder, _ = killed
    return folder, run(arguments(checkpoint), folder, command="evaluate")


def test_a_killed_sweep_goes_on_and_leaves_no_worker(
    killed: tuple[Path, dict[str, int]], done: tuple[Path, Finished]
) -> None:
    folder, first = killed
    assert len(first) == 1
    assert done[1].status == 0, done[1].out + done[1].err
    after = job_files(folder)
    assert set(after) == set(TASKS)
    assert {task: after[task] for task in first} == first
    listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
    assert str(folder) not in listed


def test_a_sweep_leaves_a_table_results_pictures_and_a_page(done: tuple[Path, Finished]) -> None:
    folder, finished = done
    assert finished.status == 0, finished.out + finished.err
    assert "AIME 2024" in finished.out and "ChartQA" in finished.out
    found = scores(folder)
    assert set(found) == set(TASKS)
    for score in found.values():
        assert score["status"] == "done"
        assert 0 <= score["value"] <= 100
        assert score["num_questions"] >= 4
        assert score["settings"]["engine"] == "hf"
    assert found["uniopd_aime24"]["metric"] == "avg@2"
    assert found["uniopd_aime24"]["departures"]
    assert found["uniopd_aime24"]["paper"]["uni_opd"] == 63.3
    names = {path.name for path in (folder / "out").iterdir()}
    assert names >= {"results.json", "report.html", "logs"}
    assert any(name.endswith(".png") for name in names)
    assert any(name.endswith(".md") for name in names)


def test_every_question_and_response_is_kept(done: tuple[Path, Finished]) -> None:
    folder, _ = done
    (path,) = (folder / "out").glob("*/uniopd_aime24/samples.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == scores(folder)["uniopd_aime24"]["num_questions"]
    assert all(len(line["resps"][0]) == 2 for line in lines)


def test_the_same_command_does_nothing_twice_and_redoes_what_is_damaged(
    done: tuple[Path, Finished], checkpoint: str
) -> None:
    folder, _ = done
    before = job_files(folder)
    again = run(arguments(checkpoint), folder, command="evaluate")
    assert again.status == 0, again.out + again.err
    assert job_files(folder) == before
    (path,) = (folder / "out").glob("*/uniopd_aime24/score.json")
    path.write_text(path.read_text()[:-20])
    mended = run(arguments(checkpoint), folder, command="evaluate")
    assert mended.status == 0, mended.out + mended.err
    assert "damaged" in mended.out
    after = job_files(folder)
    assert after["uniopd_chartqa"] == before["uniopd_chartqa"]
    assert after["uniopd_aime24"] > before["uniopd_aime24"]


def test_a_worker_that_dies_is_replaced(checkpoint: str, tmp_path: Path) -> None:
    command = start(arguments(checkpoint, "tasks=[uniopd_aime24]"), tmp_path, command="evaluate")
    log = tmp_path / "out" / "logs" / "worker_0.log"
    threads = Path(f"/proc/{command.process.pid}/task")  # a worker is the child of the thread that started it
    killed: list[int] = []

    def kill_the_worker() -> bool:
        children = [word for path in threads.glob("*/children") for word in path.read_text().split()]
        if log.exists() and children:
            killed.append(int(children[0]))
            os.kill(killed[0], signal.SIGKILL)
        return bool(killed)

    while not kill_the_worker():
        time.sleep(0.1)
    finished = command.wait()
    assert finished.status == 0, finished.out + finished.err
    assert "trying once more" in finished.out
    assert scores(tmp_path)["uniopd_aime24"]["status"] == "done"


def test_a_task_without_data_is_named_and_ends_nothing(checkpoint: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "simplescaling").mkdir(parents=True)
    (root / "simplescaling" / "aime24_nofigures").symlink_to(HUB / "simplescaling" / "aime24_nofigures")
    finished = run(arguments(checkpoint, f"data_root={root}", "offline=true"), tmp_path, command="evaluate")
    assert finished.status == 2
    assert "uniopd_chartqa" in finished.err and "give the same command again" in finished.err
    found = scores(tmp_path)
    assert found["uniopd_aime24"]["status"] == "done"
    assert found["uniopd_chartqa"]["status"] == "failed"
    assert found["uniopd_chartqa"]["reason"]


def test_a_folder_that_another_sweep_writes_to_is_refused(checkpoint: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"):
        refused = run(arguments(checkpoint), tmp_path, command="evaluate")
        shown = run(arguments(checkpoint, "dry_run=true"), tmp_path, command="evaluate")
    assert (refused.status, shown.status) == (2, 0)
    assert refused.err == "error: out=out: another sweep writes there; wait for its end, or give another out=\n"


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(checkpoint: str, tmp_path: Path) -> None:
    finished = run([f"checkpoints=[{checkpoint}]", "--dry-run"], tmp_path, command="evaluate")
    assert finished.status == 0, finished.err
    assert "uniopd_livecodebench_v6" in finished.out
    assert "to fetch from the hub: about" in finished.out
    assert not (tmp_path / "evaluations").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tasks=[uniopd_chartqaa]", "did you mean uniopd_chartqa"),
        ("checkpoints=[./nowhere]", "no such folder"),
        ("data_root=./nowhere", "data_root=./nowhere: no such folder"),
        ("limit=0", "limit=0 must be at least 1"),
        ("dtype=float8", "choose float32 or bfloat16"),
        ("suite=paper17", "no such choice"),
        ("seeed=1", "did you mean seed?"),
        ("gpus=99", "gpus=99"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(checkpoint: str, tmp_path: Path, override: str, message: str) -> None:
    finished = run(arguments(checkpoint, override), tmp_path, command="evaluate")
    assert finished.status == 2
    assert message in finished.err
    assert "Traceback" not in finished.err
