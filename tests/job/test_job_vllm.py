"""Whole small jobs with vLLM: for rollouts, for the teacher, for both; killed and gone on with; in two processes."""

from pathlib import Path

import pytest
from job_parts import Finished, measured, rollouts, run, summary
from parallel_parts import execute_without_vllm, in_folder, lines, run_two

pytest.importorskip("vllm")

ROLLOUT = ["rollout=vllm", "rollout.engine.options.enforce_eager=true", "rollout.engine.options.kv_cache_mb=64"]
ROLLOUT += ["data.max_prompt_tokens=200", "rollout.engine.check_every=1", "rollout.engine.check_tolerance=1e-5"]
TEACHER = ["teacher.engine=vllm", "teacher.vllm.enforce_eager=true", "teacher.vllm.kv_cache_mb=64"]
TEACHER += ["teacher.vllm.max_model_len=207"]


def done(arguments: list[str], folder: Path) -> Path:
    finished = run(arguments, folder)
    assert finished.status == 0, finished.err
    return folder / "runs" / "small"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, small: list[str]) -> Path:
    """Rollouts and teacher in vLLM, four steps, checked against the trainer after every sync."""
    return done([*small, *ROLLOUT, *TEACHER, "trainer.steps=4"], tmp_path_factory.mktemp("both"))


def test_a_teacher_in_vllm_teaches_what_one_in_transformers_does(both: Path, tmp_path: Path, small: list[str]) -> None:
    other = done([*small, *ROLLOUT, "trainer.steps=4"], tmp_path)
    for mine, theirs in zip(measured(both), measured(other), strict=True):
        for name in ("reverse_kl", "loss", "accuracy", "grad_norm"):
            assert mine[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-5), name
    assert [line["response"] for line in lines(both, 1)] == [line["response"] for line in lines(other, 1)]


def test_the_trainer_and_the_engine_agree_on_every_step(both: Path) -> None:
    assert all(abs(line["mismatch_kl"]) < 1e-8 for line in measured(both))
    assert summary(both)["teacher_failures"] == 0


def test_a_run_goes_on_exactly_where_it_stopped(both: Path, tmp_path: Path, small: list[str]) -> None:
    done([*small, *ROLLOUT, *TEACHER, "trainer.steps=2"], tmp_path)
    finished = run(["resume=runs/small", "trainer.steps=4"], tmp_path)
    assert finished.status == 0, finished.err
    folder = tmp_path / "runs" / "small"
    assert measured(folder) == measured(both) and rollouts(folder) == rollouts(both)


def test_two_processes_have_an_engine_each(tmp_path: Path, small: list[str]) -> None:
    sizes = [argument for argument in small if not argument.startswith("run.")]
    finished: list[Finished] = run_two([*sizes, *ROLLOUT, *TEACHER, *in_folder(tmp_path)], tmp_path)
    assert [one.status for one in finished] == [0, 0], finished[0].err + finished[1].err
    assert all(abs(line["mismatch_kl"]) < 1e-8 for line in measured(tmp_path / "runs" / "own"))


@pytest.mark.parametrize("choice", [["rollout=vllm"], ["teacher.engine=vllm"]])
def test_without_vllm_one_line_says_how_to_install_it(tmp_path: Path, small: list[str], choice: list[str]) -> None:
    outcome = run([*small, *choice], tmp_path, target=execute_without_vllm)
    assert outcome.status == 2
    assert [line for line in outcome.err.splitlines() if "vLLM is not installed" in line and "--extra vllm" in line]
    assert "Traceback" not in outcome.err
