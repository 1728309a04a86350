"""lmms-eval in this process, over a hub's files in a folder: what it is asked, and what it must leave alone."""

import io
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

pytest.importorskip("lmms_eval")

from lmms_eval.api.task import ConfigurableMessagesTask, ConfigurableTask
from lmms_eval.utils import hash_string
from model_parts import Recorder

from uniopd_mm.evaluation.documents import identified
from uniopd_mm.evaluation.engine_model import EngineModel
from uniopd_mm.evaluation.harness import run_task
from uniopd_mm.evaluation.library import our_tasks, task_metadata
from uniopd_mm.evaluation.tasks import changed, load_task
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.runtime.rng import rng_state
from uniopd_mm.types import UserError

ROWS = {"problem": ["What is 1 + 1?", "What is 2 + 3?", "What is 4 + 4?"], "answer": ["2", "5", "8"]}
AIME = "simplescaling/aime24_nofigures"


@pytest.fixture(autouse=True)
def _own_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UNIOPD_MM_DATA_ROOT", "")
    monkeypatch.setattr(ConfigurableTask.download.retry, "sleep", lambda seconds: None)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """AIME's three invented problems, as the hub has its files."""
    folder = tmp_path / "root" / AIME / "data"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(ROWS), folder / "train-00000-of-00001.parquet")
    return tmp_path / "root"


@pytest.fixture
def recorder(backbone: Backbone, processor: QwenVLProcessor) -> Recorder:
    return Recorder(HFRollout(backbone, processor))


@pytest.fixture
def model(recorder: Recorder, processor: QwenVLProcessor) -> EngineModel:
    return EngineModel(recorder, processor)


def picture_task(folder: Path) -> ConfigurableMessagesTask:
    """A task that is not ours: pictures, one greedy response, and a score that is how long a response is."""
    pictures = [Image.new("RGB", (64, 64), color) for color in ("red", "blue")]
    rows = {"picture": pictures, "question": ["Which colour?", "Which one?"], "answer": ["red", "blue"]}
    features = datasets.Features(
        {"picture": datasets.Image(), "question": datasets.Value("string"), "answer": datasets.Value("string")}
    )
    datasets.Dataset.from_dict(rows, features=features).to_parquet(folder / "test.parquet")

    def messages(row: Mapping[str, Any]) -> list[dict[str, Any]]:
        parts = [{"type": "image", "url": row["picture"]}, {"type": "text", "text": row["question"]}]
        return [{"role": "user", "content": parts}]

    def results(row: Mapping[str, Any], responses: list[str]) -> dict[str, float]:
        assert "picture" not in row
        return {"length": float(len(responses[0]))}

    return ConfigurableMessagesTask(
        config={
            "task": "pictures",
            "dataset_path": "parquet",
            "dataset_kwargs": {"data_files": {"test": str(folder / "test.parquet")}},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "question",
            "doc_to_target": "answer",
            "doc_to_messages": messages,
            "process_results": results,
            "generation_kwargs": {"max_new_tokens": 5, "do_sample": False},
            "metric_list": [{"metric": "length", "aggregation": "mean", "higher_is_better": True}],
        }
    )


def test_one_task_and_what_came_of_it(model: EngineModel, recorder: Recorder, root: Path) -> None:
    task = load_task("uniopd_aime24", data_root=root, num_samples=2, max_new_tokens=7)
    run = run_task(model, task)
    ((prompts, num_samples, sampling),) = recorder.calls
    assert (len(prompts), num_samples, sampling.max_new_tokens, sampling.temperature) == (3, 2, 7, 1.0)
    assert (run.num_questions, run.num_expected, run.num_samples) == (3, 3, 2)
    assert run.stats.num_responses == 6 and run.stats.unreadable == ()
    assert run.stats.response_tokens <= 6 * 7
    assert run.results["score,none"] == 0.0 and run.results["unknown,none"] == 0
    assert [sample["target"] for sample in run.samples] == ROWS["answer"]
    assert [len(sample["resps"][0]) for sample in run.samples] == [2, 2, 2]
    assert run.seconds > 0
    assert os.environ["UNIOPD_MM_DATA_ROOT"] == str(root)


def test_fault_07_each_document_has_a_hash_of_its_own(model: EngineModel, root: Path, tmp_path: Path) -> None:
    """The pictures differ in nothing but their colours, which lmms-eval's log leaves out."""
    hashes = []
    for task in (load_task("uniopd_aime24", data_root=root, num_samples=2, max_new_tokens=2), picture_task(tmp_path)):
        first, again = ([sample["doc_hash"] for sample in run_task(model, task).samples] for _ in range(2))
        assert first == again and len(set(first)) == len(first) > 1
        hashes += first
    assert hash_string("null") not in hashes
    pictures = [{"picture": Image.new("RGB", (8, 8), colour)} for colour in ("red", "red", "blue")]
    red, same, blue = map(identified, pictures)
    assert red == same != blue


def test_the_same_task_again_and_another_after_it(
    model: EngineModel, recorder: Recorder, root: Path, tmp_path: Path
) -> None:
    aime = load_task("uniopd_aime24", data_root=root, num_samples=2, max_new_tokens=5)
    first, again = run_task(model, aime), run_task(model, aime)
    assert [sample["resps"] for sample in first.samples] == [sample["resps"] for sample in again.samples]
    assert first.stats == again.stats
    run = run_task(model, picture_task(tmp_path))
    assert (run.num_questions, run.stats.num_responses, run.num_samples) == (2, 2, 1)
    assert recorder.calls[-1][2].stop_strings == ()  # lmms-eval has put in "\n\n"
    lengths = [len(sample["filtered_resps"][0]) for sample in run.samples]
    assert run.results["length,none"] == sum(lengths) / 2


def test_fault_6_a_limit_holds_for_one_task_alone(model: EngineModel, root: Path, tmp_path: Path) -> None:
    aime = load_task("uniopd_aime24", data_root=root, num_samples=1, max_new_tokens=2)
    limited = run_task(model, aime, limit=1)
    assert (limited.num_questions, limited.num_expected, limited.stats.num_responses) == (1, 1, 1)
    assert run_task(model, picture_task(tmp_path)).num_questions == 2
    whole = run_task(model, aime)
    assert (whole.num_questions, whole.num_expected) == (3, 3)
    more = run_task(model, aime, limit=10)
    assert (more.num_questions, more.num_expected) == (3, 3)


@pytest.mark.parametrize("limit", [0, -1, 0.5])
def test_fault_6_no_limit_is_a_share(model: EngineModel, root: Path, limit: Any) -> None:
    task = load_task("uniopd_aime24", data_root=root)
    with pytest.raises(ValueError, match=rf"limit={limit} must be a whole number above 0"):
        run_task(model, task, limit=limit)


def test_a_live_student_goes_on_as_if_nothing_had_been(
    model: EngineModel, backbone: Backbone, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one process of a launched job, between two steps."""
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    model.student = backbone  # type: ignore[attr-defined]
    weights = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    for parameter in backbone.parameters():
        parameter.grad = torch.ones_like(parameter)
    random.seed(5), np.random.seed(6), torch.manual_seed(7)
    before = rng_state()
    run_task(model, load_task("uniopd_aime24", data_root=root, num_samples=2, max_new_tokens=4))
    after = rng_state()
    assert repr(after["python"]) == repr(before["python"]) and repr(after["numpy"]) == repr(before["numpy"])
    assert torch.equal(after["torch"], before["torch"])
    assert model.student is backbone  # type: ignore[attr-defined]
    assert all(torch.equal(tensor, weights[name]) for name, tensor in backbone.state_dict().items())
    assert all((parameter.grad == 1).all() and parameter.requires_grad for parameter in backbone.parameters())
    assert [os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")] == ["0", "2", "0"]


def test_new_weights_give_new_answers(model: EngineModel, backbone: Backbone, root: Path) -> None:
    """Nothing is remembered of the model as it was."""
    task = load_task("uniopd_aime24", data_root=root, num_samples=1, max_new_tokens=6)
    old = [sample["resps"] for sample in run_task(model, task).samples]
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.mul_(1.5)
    assert [sample["resps"] for sample in run_task(model, task).samples] != old


def test_nothing_is_printed_over_the_callers_bars(
    model: EngineModel, root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    task = load_task("uniopd_aime24", data_root=root, num_samples=1, max_new_tokens=2)
    capfd.readouterr()
    run_task(model, task)
    assert "".join(capfd.readouterr()) == ""


def test_unreadable_questions_are_told_and_the_task_is_finished(
    model: EngineModel, tmp_path: Path, processor: QwenVLProcessor
) -> None:
    task = picture_task(tmp_path)
    model.max_prompt_tokens = 1
    run = run_task(model, task)
    assert [skip.where for skip in run.stats.unreadable] == ["pictures/0", "pictures/1"]
    assert run.num_questions == 2 and run.results["length,none"] == 0.0


def test_without_choices_a_task_is_as_its_yaml_says(root: Path) -> None:
    task = load_task("uniopd_aime24", data_root=root)
    assert task.config.repeats == 32 and task.config.generation_kwargs["max_new_tokens"] == 16384
    assert len(task.eval_docs) == 3


def test_a_task_that_scores_one_response_keeps_to_one() -> None:
    greedy = {"task": "t", "filter_list": [{"name": "none", "filter": [{"function": "take_first"}]}]}
    assert changed(greedy, None, 4) == greedy
    both = [{"function": "take_first_k", "k": 32}, {"function": "other", "k": 32}]
    sampled = {"task": "t", "repeats": 32, "filter_list": [{"name": "none", "filter": both}]}
    found = changed(sampled, None, 4)
    assert found["repeats"] == 4
    assert found["filter_list"][0]["filter"] == [{"function": "take_first_k", "k": 4}, {"function": "other", "k": 32}]
    assert sampled["repeats"] == 32 and both[0]["k"] == 32  # a new configuration


def test_data_are_looked_for_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "some" / "set").mkdir(parents=True)

    def relocated(**config: Any) -> dict[str, Any]:
        return changed(config, tmp_path, None)

    here = str(tmp_path / "some" / "set")
    assert relocated(dataset_path="some/set") == {"dataset_path": here}
    assert relocated(dataset_path="other/set") == {"dataset_path": "other/set"}
    file, elsewhere = "hf://datasets/some/set/a/b.jsonl", "hf://datasets/other/set/b.jsonl"
    for given, expected in (
        (file, f"{here}/a/b.jsonl"),
        ([file, elsewhere], [f"{here}/a/b.jsonl", elsewhere]),
        ({"test": file, "val": ["x.json"]}, {"test": f"{here}/a/b.jsonl", "val": ["x.json"]}),
    ):
        found = relocated(dataset_path="json", dataset_kwargs={"data_files": given, "field": "x"})
        assert found["dataset_kwargs"] == {"data_files": expected, "field": "x"}


def test_a_task_that_is_not_there_is_named_with_those_like_it() -> None:
    with pytest.raises(UserError, match=r"task uniopd_aime42: there is no such task; did you mean .*uniopd_aime24"):
        load_task("uniopd_aime42")
    with pytest.raises(UserError, match=r"task mmmu_val_: there is no such task; did you mean .*mmmu_val"):
        load_task("mmmu_val_")


def test_a_group_of_upstream_is_refused() -> None:
    with pytest.raises(UserError, match=r"task mmmu: it is a (group|tag) of several tasks; name its tasks instead"):
        load_task("mmmu")


def test_an_upstream_task_reads_from_the_root_too(tmp_path: Path, model: EngineModel) -> None:
    file = tmp_path / "lmms-lab-encoder" / "ai2d" / "data" / "test-00000-of-00001.parquet"
    file.parent.mkdir(parents=True)
    encoded = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(encoded, "png")
    rows = {
        "question": ["Which?"],
        "options": [["a", "b", "c", "d"]],
        "answer": ["1"],
        "image": [{"bytes": encoded.getvalue(), "path": None}],
    }
    features = datasets.Features(
        {
            "question": datasets.Value("string"),
            "options": datasets.Sequence(datasets.Value("string")),
            "answer": datasets.Value("string"),
            "image": datasets.Image(),
        }
    )
    datasets.Dataset.from_dict(rows, features=features).to_parquet(file)
    run = run_task(model, load_task("ai2d", data_root=tmp_path))
    assert run.num_questions == run.num_expected == 1
    assert run.stats.response_tokens <= 16  # what upstream's YAML allows


def test_data_that_cannot_be_loaded_are_named_with_the_remedy(tmp_path: Path) -> None:
    broken = tmp_path / AIME / "train.parquet"
    broken.parent.mkdir(parents=True)
    broken.write_text("no parquet")
    with pytest.raises(UserError, match=r"task uniopd_aime24: its data .*aime24_nofigures cannot be loaded: .*DIR/"):
        load_task("uniopd_aime24", data_root=tmp_path)


def test_our_tasks_are_known_without_lmms_eval() -> None:
    assert our_tasks()["uniopd_aime24"].name == "uniopd_aime24.yaml"
    assert task_metadata("uniopd_aime24")["questions"] == 30
