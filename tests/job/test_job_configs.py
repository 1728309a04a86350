"""Every YAML under configs/ composes, and its components take the parameters it gives them."""

from pathlib import Path

import pytest
from job_parts import composed

from uniopd_mm.cli.command import composed as command_config
from uniopd_mm.cli.groups import CONFIGS, groups
from uniopd_mm.config.checks import validate
from uniopd_mm.config.components import build, check_component
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.distill.choices import Reduction
from uniopd_mm.evaluate import COMMAND
from uniopd_mm.evaluation.library import our_tasks
from uniopd_mm.evaluation.suites import suite_tasks
from uniopd_mm.models.zoo import SFTOptions
from uniopd_mm.processors.tiny import TinyQwen3VL
from uniopd_mm.run.checks import check_components
from uniopd_mm.tasks.video_qa import VideoQaTask
from uniopd_mm.types import UserError

TEXT_EXPERTS = ("qwen3_4b_rl_math", "qwen3_4b_rl_code", "qwen3_30b_a3b")
FITTING = {
    "tiny": ("tiny_expert", "tiny_unreliable"),
    "qwen3_1_7b": TEXT_EXPERTS,
    "qwen3_4b": TEXT_EXPERTS,
    "qwen3_vl_2b": ("qwen3_vl_8b",),
    "qwen3_vl_4b": ("qwen3_vl_8b", "qwen3_4b_text"),
    "qwen2_5_vl_3b": ("qwen2_5_vl_7b",),
}
PAIRS = [(model, teacher) for model, teachers in FITTING.items() for teacher in teachers]
REAL = [model for model in FITTING if model != "tiny"]
DATA = {  # the task that each data set is for
    "math": ("dapo_math_17k", "deepmath_103k", "g_opd_math", "geometry3k", "math_lighteval", "openmmreasoner_rl_74k"),
    "code": ("eurus_2_rl_code", "g_opd_code"),
    "vqa": ("ai2d", "docvqa", "infographic_vqa"),
    "chart": ("chartqa",),
    "video_qa": ("nextqa", "video_r1"),
}
ROWS = [(task, data) for task, sets in DATA.items() for data in sets]
RECIPES = ("opd", "uni_opd", "exopd", "grpo", "opd_grpo", "gkd", "sft")
PUBLISHED = ("math", "code", "multimodal_math", "logic", "document", "multi_teacher", "multi_teacher_multimodal")
EXPERIMENTS = ("unreliable_teacher", "strong_to_weak", "cross_modal", *PUBLISHED)
OTHERS = {"task": (*DATA, "mixture"), "rollout": ("hf", "vllm"), "recipe": RECIPES, "experiment": EXPERIMENTS}
ZOO = ("math", "code", "vqa", "video_qa", "chart", "mixture")  # tasks for which model=tiny is made in a way of its own
WITH_MIXTURE = {"teacher/tiny_experts.yaml"}  # task=mixture chooses it
WITH_EVERY_TASK = {"rows/data.yaml"}
BUILT_ALONE = {"train.yaml", "balance.yaml", "grade.yaml", "serve.yaml", "evaluate.yaml", "report.yaml"}
OF_A_PATH = {"model/checkpoint.yaml", "teacher/checkpoint.yaml"}
SUITES = ("paper16", "text", "multimodal", "video", "all", "upstream")  # of evaluate.yaml, as is processor/auto.yaml


def test_no_yaml_is_left_out_here() -> None:
    covered = {f"model/{model}.yaml" for model in FITTING}
    covered |= {f"teacher/{teacher}.yaml" for teachers in FITTING.values() for teacher in teachers}
    covered |= {f"data/{data}.yaml" for _, data in ROWS}
    covered |= {f"{group}/{choice}.yaml" for group, choices in OTHERS.items() for choice in choices}
    covered |= {f"zoo/tiny/{task}.yaml" for task in ZOO}
    covered |= {f"suite/{suite}.yaml" for suite in SUITES} | {"processor/auto.yaml"}
    there = {str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.y*ml")}
    assert there == covered | WITH_MIXTURE | WITH_EVERY_TASK | BUILT_ALONE | OF_A_PATH, (
        "name each new YAML here, with what it fits"
    )


def test_help_knows_every_group() -> None:
    assert set(groups()) == {"model", "teacher", "data", "rows", "suite", "processor", *OTHERS}


@pytest.mark.parametrize(("task", "data"), ROWS)
def test_a_data_set_composes_with_the_task_that_it_is_for(task: str, data: str) -> None:
    config = composed(f"task={task}", f"data={data}")
    validate(config)
    check_components(config)
    rows = config.task["rows"]
    assert rows["path"] == config.data.path is not None
    assert set(rows["columns"]) >= {"question"}


def test_the_mixture_has_a_teacher_for_each_of_its_tasks() -> None:
    config = composed("task=mixture")
    assert config.teacher.name == "tiny_experts"
    assert set(config.teachers) == set(config.task["tasks"]) == set(DATA)


@pytest.mark.parametrize(("model", "teacher"), PAIRS)
def test_a_model_composes_with_the_teacher_that_fits_it(model: str, teacher: str) -> None:
    config = composed(f"model={model}", f"teacher={teacher}")
    validate(config)
    check_components(config)
    assert (config.model.name, config.teacher.name) == (model, teacher)


@pytest.mark.parametrize(
    ("group", "choice"), [(group, choice) for group, choices in OTHERS.items() for choice in choices]
)
def test_another_group_composes(group: str, choice: str) -> None:
    config = composed(f"{group}={choice}")
    validate(config)
    check_components(config)


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_composes_and_names_tasks_that_there_are(suite: str) -> None:
    config = command_config(COMMAND, [f"suite={suite}"])
    check_component(config.processor, "processor")
    assert config.suite.name == suite
    ours = [task.task for task in suite_tasks(config.suite.tasks) if task.task.startswith("uniopd_")]
    assert set(ours) <= set(our_tasks())


@pytest.mark.parametrize("model", REAL)
def test_real_checkpoints_have_the_published_hyper_parameters(model: str) -> None:
    """arXiv 2605.03677: 64 prompts of 16 rollouts, AdamW at 1e-6 (0.9, 0.98) with decay 0.1, 50 steps, 0.2/0.28."""
    config = composed(f"model={model}", f"teacher={FITTING[model][0]}")
    trainer, rollout, recipe = config.trainer, config.rollout, config.recipe
    assert (trainer.steps, trainer.prompts_per_step, rollout.num_samples) == (50, 64, 16)
    assert (trainer.learning_rate, trainer.weight_decay, list(trainer.betas)) == (1e-6, 0.1, [0.9, 0.98])
    assert trainer.max_grad_norm == 1.0
    assert (recipe.clip_low, recipe.clip_high, recipe.advantage_clip) == (0.2, 0.28, None)
    assert recipe.reduction is Reduction.SAMPLE_MEAN
    assert rollout.temperature == 1.0
    assert config.model.path is not None and config.model.path.startswith("Qwen/")
    assert config.model.builder is None


def test_what_needs_no_hub_is_built() -> None:
    config = composed("task.synthetic.num_validation=4")
    task = build(config.task, "task")
    assert isinstance(task, VideoQaTask)
    for key, builder in (("model.builder", config.model.builder), ("teacher.builder", config.teacher.builder)):
        assert builder is not None
        assert isinstance(build(builder["sft"], f"{key}.sft"), SFTOptions)
        assert len(build(builder["generator"], f"{key}.generator").samples("validation"))
    assert config.teacher.builder is not None
    assert isinstance(build(config.teacher.builder["architecture"], "teacher.builder.architecture"), TinyQwen3VL)


def test_the_processors_of_real_models_take_their_parameters(checkpoint: str) -> None:
    """Built on an untrained checkpoint of the same family, in place of the one on the hub."""
    for model, teacher in PAIRS:
        config = composed(f"model={model}", f"teacher={teacher}")
        build(config.model.processor, "model.processor", path=checkpoint)
        build(config.teacher.processor, "teacher.processor", path=checkpoint)


def test_the_taught_models_see_what_the_trained_one_sees() -> None:
    """The zoo's builders and the run's processors must look at as many frames, or what was taught is not what is
    asked."""
    config = composed()
    assert config.model.builder is not None and config.teacher.builder is not None
    processors = [config.model.processor, config.teacher.processor]
    processors += [config.model.builder["processor"], config.teacher.builder["processor"]]
    processors += [composed("teacher=tiny_unreliable").teacher.builder["processor"]]
    assert len({tuple(sorted((k, v) for k, v in node.items() if k != "_partial_")) for node in processors}) == 1


def test_a_yaml_with_a_misspelt_parameter_is_refused(tmp_path: Path) -> None:
    config: TrainConfig = composed("task.rows.colums={}")
    with pytest.raises(UserError, match=r"task\.rows\.colums={}: no such parameter; did you mean columns\?"):
        validate(config)
