"""`lmms-eval --model uniopd_hf`: its own command line, and what it makes of `--model_args`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

pytest.importorskip("lmms_eval")

from lmms_eval.models import get_model
from model_parts import GREEDY, asking, requests_of, serve, texts

from uniopd_mm.evaluation.harness import run_task
from uniopd_mm.evaluation.lmms_model import UniopdHF, UniopdVLLM
from uniopd_mm.evaluation.model_loading import load_engine_model
from uniopd_mm.evaluation.tasks import load_task
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.types import UserError

FILE = "simplescaling/aime24_nofigures/data/train-00000-of-00001.parquet"


def from_arguments(arguments: str, **command_line: Any) -> UniopdHF:
    return UniopdHF.create_from_arg_string(arguments, {"batch_size": "1", "max_batch_size": None, **command_line})


def test_lmms_eval_finds_both_models() -> None:
    assert get_model("uniopd_hf") is UniopdHF and get_model("uniopd_vllm") is UniopdVLLM


def test_the_commands_table_is_that_of_the_same_run_in_process(
    checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the data set where lmms-eval looks first: in a folder of the hub's name under the working directory."""
    (tmp_path / FILE).parent.mkdir(parents=True)
    pq.write_table(pa.table({"problem": ["1 + 1?", "2 + 3?"], "answer": ["2", "5"]}), tmp_path / FILE)
    where = [sys.executable, "-m", "uniopd_mm.evaluation.where"]
    folder = subprocess.run(where, check=True, capture_output=True, text=True).stdout.strip()
    caches = {"LMMS_EVAL_DATASETS_CACHE": str(tmp_path / "cache"), "HF_HOME": str(tmp_path / "hf")}
    given: dict[str, str] = {
        "--model": "uniopd_hf",
        "--model_args": f"pretrained={checkpoint},seed=3,video_num_frames=6",
        "--tasks": "uniopd_aime24",
        "--include_path": folder,
        "--gen_kwargs": "max_new_tokens=6",
        "--output_path": str(tmp_path / "out"),
        "--verbosity": "DEBUG",  # or a failure ends with status 0
    }
    command = [sys.executable, "-m", "lmms_eval", "--log_samples", *(text for pair in given.items() for text in pair)]
    environment = os.environ | caches | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (results,) = tmp_path.glob("out/**/*_results.json")
    found = json.loads(results.read_text())
    assert found["n-samples"]["uniopd_aime24"] == {"original": 2, "effective": 2}
    (logged,) = tmp_path.glob("out/**/*_samples_uniopd_aime24.jsonl")
    samples = [json.loads(line) for line in logged.read_text().splitlines()]

    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path / "cache"))
    task = load_task("uniopd_aime24", data_root=tmp_path, max_new_tokens=6)
    run = run_task(load_engine_model("hf", checkpoint, seed=3), task)
    assert [sample["resps"] for sample in samples] == [sample["resps"][0] for sample in run.samples]
    assert len(samples[0]["resps"]) == 32
    assert found["results"]["uniopd_aime24"]["score,none"] == run.results["score,none"]


def test_arguments_are_the_models_and_the_processors(checkpoint: str) -> None:
    model = from_arguments(
        f"pretrained={checkpoint},dtype=float32,seed=7,max_batch_size=5,max_pixels=8192,video_fps=none,"
        "video_num_frames=6,system_prompt=Be short."
    )
    settings = model.processor.settings.informative
    assert (settings["image.max_pixels"], settings["video.num_frames"]) == ("8192", "6")
    assert settings["system_prompt"] == "Be short." and settings["enable_thinking"] == "no"
    assert model.seed == 7
    assert isinstance(model.engine, HFRollout) and model.engine.max_batch_size == model.prompts_per_chunk == 5


def test_thinking_is_chosen_with_an_argument(checkpoint: str) -> None:
    model = from_arguments(f"pretrained={checkpoint},enable_thinking=True")
    assert model.processor.settings.informative["enable_thinking"] == "yes"


def test_the_command_lines_batch_size_of_one_serialises_nothing(checkpoint: str) -> None:
    """It is lmms-eval's default; fault 9."""
    assert from_arguments(f"pretrained={checkpoint}", batch_size="1").prompts_per_chunk == 64
    assert from_arguments(f"pretrained={checkpoint}", max_batch_size=4).prompts_per_chunk == 4


def test_unknown_arguments_are_refused_with_the_choices(checkpoint: str) -> None:
    with pytest.raises(UserError, match=r"max_pixel=5: no such parameter; choose from enable_thinking, max_pixels"):
        from_arguments(f"pretrained={checkpoint},max_pixel=5")
    with pytest.raises(UserError, match=r"pretrained=/no/such: processor path"):
        from_arguments("pretrained=/no/such")


def test_a_launchers_second_process_is_refused(checkpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="WORLD_SIZE: these models run in one process"):
        from_arguments(f"pretrained={checkpoint}")


def test_a_device_that_is_not_used_is_warned_of(checkpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    from_arguments(f"pretrained={checkpoint}", device="meta")
    assert "--device meta" in capsys.readouterr().out


def test_no_score_is_printed_for_questions_that_were_not_asked(checkpoint: str) -> None:
    model = from_arguments(f"pretrained={checkpoint}")
    serve(model, [asking("Which way?", {"type": "video", "url": "/no/such.mp4"}), asking("Why?")])
    assert texts(model.generate_until(requests_of(GREEDY, [0, 1])))[0] == ""
    model.reset()
    with pytest.raises(UserError, match=r"no question can be read; the first: some_task/0: /no/such\.mp4"):
        model.generate_until(requests_of(GREEDY, [0]))
