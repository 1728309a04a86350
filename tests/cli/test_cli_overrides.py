"""Overrides as people write them: open keys, lists, hub names, and what is refused with its remedy."""

from pathlib import Path
from typing import Any

import pytest

from uniopd_mm.balance import COMMAND as BALANCE
from uniopd_mm.cli.command import Command, composed
from uniopd_mm.cli.groups import composed_groups, documented_keys
from uniopd_mm.cli.habits import HABITS
from uniopd_mm.evaluate import COMMAND as EVALUATE
from uniopd_mm.run.announcement import rows_beside_the_zoo
from uniopd_mm.run.checks import check
from uniopd_mm.serve import COMMAND as SERVE
from uniopd_mm.train import COMMAND as TRAIN
from uniopd_mm.types import UserError

REAL = ("model=qwen3_vl_2b", "teacher=qwen3_vl_8b")
JUDGE = "uniopd_mm.tasks.grading.judge.Judge"


def train(*arguments: str) -> Any:
    return composed(TRAIN, arguments)


@pytest.mark.parametrize("plus", ["", "+", "++"])
def test_open_keys_need_no_plus(plus: str) -> None:
    config = train(
        f"{plus}data.columns.question=prompt",
        f"{plus}data.where.ability=math",
        f"{plus}mixture.weights.math=2",
        f"{plus}teachers.a.path=FOLDER",
        f"{plus}teacher.vllm.args.quantization=fp8",
        f"{plus}routing.domains.chart=a",
    )
    assert (config.data.columns, config.data.where) == ({"question": "prompt"}, {"ability": "math"})
    assert config.mixture.weights == {"math": 2.0}
    assert config.teachers == {"a": {"path": "FOLDER", "builder": None}}
    assert config.teacher.vllm.args == {"quantization": "fp8"}


def test_whole_mappings_and_components_need_none_either() -> None:
    config = train(
        "task=math",
        "mixture.weights={math: 2, code: 1}",
        f"task.judge={{_target_: {JUDGE}, base_url: 'http://localhost:8000/v1', model: NAME}}",
        "rollout.engine.max_batch_size=7",
    )
    assert config.mixture.weights == {"math": 2.0, "code": 1.0}
    assert config.task["judge"]["base_url"] == "http://localhost:8000/v1"
    assert config.rollout.engine["max_batch_size"] == 7
    check(train("task=math", f"task.judge._target_={JUDGE}", "task.judge.base_url=http://h/v1", "task.judge.model=m"))


def test_a_task_of_a_mixture_has_its_own_rows() -> None:
    config = train("task=mixture", "task.tasks.math.rows.path=FILE", "teachers.chart.path=FOLDER")
    assert config.task["tasks"]["math"]["rows"]["path"] == "FILE"
    assert (config.teachers["chart"]["path"], config.teachers["chart"]["builder"]) == ("FOLDER", None)


UNKNOWN = {
    "seeed=3": ["no such key", "did you mean seed?"],
    "trainer.learing_rate=5": ["did you mean trainer.learning_rate?"],
    "rollout.top_p=0.9": ["sampled from the whole distribution"],
    "data.column.question=prompt": ["did you mean data.columns?"],
    "trainer.lr=1": ["use trainer.learning_rate"],
    "trainer.batch_size=8": ["use trainer.prompts_per_step"],
    "batch_size=8": ["use trainer.prompts_per_step"],
    "trainer.gradient_accumulation_steps=4": ["trainer.tokens_per_microbatch"],
    "gradient_accumulation_steps=4": ["trainer.tokens_per_microbatch"],
    "epochs=3": ["use trainer.steps"],
    "output_dir=x": ["use run.root", "run.name"],
    "rollout.n=8": ["use rollout.num_samples"],
    "data.train_files=x": ["use data.path"],
}
REFUSED = {
    "teacher=null": ["one is needed", "qwen3_vl_8b"],
    "task=null": ["one is needed", "video_qa"],
    "model=null": ["one is needed", "tiny"],
    "recipe=null": ["one is needed", "opd"],
    "seed=0,1,2": ["add --multirun"],
    "recipe=opd,uni_opd": ["add --multirun"],
    "nonsense": ["not KEY=VALUE"],
    "trainer.betas=[0.9": ["not KEY=VALUE"],
    "...rows.x=1": ["not KEY=VALUE"],
    "objective.top_k=64": ["no such key", "did you mean recipe.objective.top_k?"],
    "model=foo": ["no such choice", "tiny", "hub name works too"],
    "recipe=unopd": ["no such choice", "did you mean uni_opd?"],
    "suite=text": ["no such key"],
}


@pytest.mark.parametrize("plus", ["", "+", "++"])
@pytest.mark.parametrize("argument", UNKNOWN)
def test_an_unknown_key_is_refused_with_or_without_a_plus(plus: str, argument: str) -> None:
    refused(plus + argument, argument, UNKNOWN[argument])


@pytest.mark.parametrize("argument", REFUSED)
def test_what_cannot_be_composed_is_one_line(argument: str) -> None:
    refused(argument, argument, REFUSED[argument])


def refused(given: str, named: str, texts: list[str]) -> None:
    with pytest.raises(UserError) as refusal:
        train(given)
    message = str(refusal.value)
    assert message.startswith(named) and "\n" not in message
    for text in texts:
        assert text in message


def test_no_data_set_and_no_experiment_may_be_said() -> None:
    assert train("data=null", "experiment=null").data.path is None


def test_one_value_makes_a_list_of_one() -> None:
    assert composed(EVALUATE, ["checkpoints=runs/a"]).checkpoints == ["runs/a"]
    assert composed(EVALUATE, ["checkpoints=runs/a,runs/b"]).checkpoints == ["runs/a", "runs/b"]
    assert composed(EVALUATE, ["checkpoints=[a,Qwen/Qwen3-VL-2B-Instruct]"]).checkpoints[1].startswith("Qwen/")
    assert train("trainer.betas=0.9,0.98").trainer.betas == [0.9, 0.98]
    assert train("benchmarks.tasks=uniopd_ai2d").benchmarks.tasks == ["uniopd_ai2d"]
    assert train("teacher.urls=http://127.0.0.1:8100").teacher.urls == ["http://127.0.0.1:8100"]


@pytest.mark.parametrize("path", ["/a/\u00fcber.jsonl", "my (1).jsonl", "a=b.jsonl", "it's.jsonl", "a\\b.jsonl"])
def test_a_path_may_hold_anything(path: str) -> None:
    assert train(f"data.path={path}").data.path == path


def test_a_comma_separates_values_unless_it_is_quoted() -> None:
    assert train("data.path='a b,c'").data.path == "a b,c"


def published(config: Any) -> bool:
    trainer, rollout = config.trainer, config.rollout
    sizes = (trainer.learning_rate, trainer.prompts_per_step, rollout.num_samples, config.model.dtype)
    return sizes == (1e-6, 64, 16, "bfloat16") and config.recipe.gate == 10.0 and rollout.max_new_tokens == 4096


def test_a_hub_name_or_folder_gets_the_published_settings(tmp_path: Path) -> None:
    hub = ("Qwen/Qwen3-VL-2B-Instruct", "Qwen/Qwen3-VL-8B-Instruct")
    for student, teacher in (hub, (str(tmp_path), str(tmp_path))):
        for arguments in (
            [f"model={student}", f"teacher={teacher}"],
            [f"model.path={student}", f"teacher.path={teacher}"],
            [f"model.path={student}", "model.builder=null", f"teacher.path={teacher}", "teacher.builder=null"],
        ):
            config = train(*arguments)
            assert published(config)
            assert (config.model.path, config.teacher.path) == (student, teacher)
            assert config.model.builder is None and config.teacher.builder is None
            assert config.model.name == Path(student).name
            assert config.teacher.dtype == "bfloat16"
            check(config)


def test_a_path_beside_a_named_model_keeps_its_settings() -> None:
    config = train("model=tiny", "model.path=FOLDER")
    assert (config.model.path, config.model.builder, config.trainer.prompts_per_step) == ("FOLDER", None, 48)
    config = train("model=qwen3_vl_2b", "teacher=qwen3_vl_8b", "teacher.path=FOLDER", "model.path=OTHER")
    assert (config.model.path, config.teacher.path, config.teacher.name) == ("OTHER", "FOLDER", "qwen3_vl_8b")
    config = train("experiment=math", "teacher.path=FOLDER")
    assert (config.model.name, config.teacher.path, config.data.path is None) == ("qwen3_4b", "FOLDER", False)


def test_a_real_student_needs_a_real_teacher() -> None:
    for arguments in (["model=qwen3_vl_2b"], ["model=a/b"], ["model=qwen3_vl_2b", "teacher=tiny_expert"]):
        with pytest.raises(UserError, match=r"^teacher\.path=null: recipe=uni_opd needs a teacher.*qwen3_vl_8b"):
            check(train(*arguments))
    check(train("model=qwen3_vl_2b", "recipe=grpo"))
    check(train("model=qwen3_vl_2b", "teacher.path=x"))


def test_rows_of_the_users_own_beside_the_built_in_models_are_warned_of() -> None:
    warning = rows_beside_the_zoo(train("data.path=mine.jsonl"))
    assert warning is not None and "model=" in warning and "teacher=" in warning and "\n" not in warning
    assert rows_beside_the_zoo(train("data.path=mine.jsonl", *REAL)) is None
    assert rows_beside_the_zoo(train()) is None


@pytest.mark.parametrize(
    ("command", "argument", "message"),
    [
        (BALANCE, "task=mixture", "task=mixture: balance the rows of each task by themselves"),
        (BALANCE, "teacher=a", "teacher=a: python -m uniopd_mm.balance does not use it; leave it out"),
        (BALANCE, "teacher.path=x", "teacher.path=x: python -m uniopd_mm.balance does not use it"),
        (BALANCE, "recipe=opd", "recipe=opd: balancing trains nothing"),
        (BALANCE, "trainer.steps=3", "trainer.steps=3: balancing trains nothing"),
        (BALANCE, "rollout.num_samples=3", "rollout.num_samples=3: balancing uses num_rollouts"),
        (SERVE, "recipe=opd", "recipe=opd: serving trains nothing"),
        (SERVE, "data.path=x", "data.path=x: the run that sends requests has the prompts"),
        (SERVE, "rollout=vllm", "rollout=vllm: the run that sends requests says how to sample"),
        (EVALUATE, "num_sampels=4", "num_sampels=4: no such key; did you mean num_samples?"),
        (EVALUATE, "+num_sampels=4", "num_sampels=4: no such key; did you mean num_samples?"),
        (EVALUATE, "trainer.steps=3", "trainer.steps=3: python -m uniopd_mm.evaluate does not use it"),
    ],
)
def test_a_key_of_another_command_is_refused(command: Command, argument: str, message: str) -> None:
    with pytest.raises(UserError) as refusal:
        composed(command, [argument])
    assert str(refusal.value).startswith(message)


def test_every_habit_names_a_key_that_there_is() -> None:
    known = {key for key, _ in documented_keys(TRAIN.schema)} | set(composed_groups("train"))
    assert {meant.split()[0] for meant in HABITS.values()} <= known
    assert not HABITS.keys() & known


@pytest.mark.parametrize(
    ("argument", "remedy"),
    [
        ("task.instructon=x", "did you mean instruction?"),
        ("task.rows.max_row=3", "did you mean max_rows?"),
        ("rollout.engine.max_batch=3", "did you mean max_batch_size?"),
        ("model.processor.video_num_frame=3", "did you mean video_num_frames?"),
        ("zoo.exprt.sft.max_steps=3", "no such component"),
        ("zoo.expert.sft.max_stepz=3", "did you mean max_steps?"),
        ("task.judge.base_url=x", "task.judge._target_=CLASS"),
        ("teachers.a.pth=x", "pth"),
    ],
)
def test_parameters_of_a_component_are_checked(argument: str, remedy: str) -> None:
    with pytest.raises(UserError, match=rf"^{argument.split('.')[0]}\.") as refusal:
        check(train(argument))
    assert remedy in str(refusal.value) and "\n" not in str(refusal.value)
