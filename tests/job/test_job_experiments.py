"""The paper's settings: each composes with real models and its published figures, and is rehearsed as a command."""

from pathlib import Path

import pytest
from job_parts import composed, run, summary

from uniopd_mm.config.checks import teacher_plans
from uniopd_mm.config.parts import MediaFor, Reads
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.distill.choices import CalibrationMethod, Direction, Reduction, Scope, Statistic
from uniopd_mm.run.checks import check

TASKS: dict[str, tuple[str, ...]] = {  # the tasks of which each is made; none where it is one
    "math": (),
    "code": (),
    "multimodal_math": (),
    "logic": (),
    "document": ("chart", "document"),
    "multi_teacher": ("math", "code"),
    "multi_teacher_multimodal": ("math", "logic", "chart", "document"),
    "strong_to_weak": ("math", "code"),
    "cross_modal": (),
}
SIZES = {"num_pretrain": 24, "num_train": 12, "num_validation": 8}
SMALL = [
    "zoo.expert.architecture.hidden_size=64",
    "zoo.expert.architecture.num_layers=1",
    *(
        f"{part}.sft.{setting}"
        for part in ("++zoo.expert", "++model.builder")
        for setting in ("num_checked=4", "batch_size=4")
    ),
    "zoo.expert.sft.max_steps=2",
    "model.builder.sft.max_steps=1",
    "rollout.max_new_tokens=8",
    "trainer.prompts_per_step=3",
    "trainer.eval_every=0",
    "trainer.threads=1",
    "tracking.tensorboard=false",
    "run.name=rehearsal",
]


def rehearsal(experiment: str) -> list[str]:
    """`experiment=NAME trainer.steps=2 model=tiny`, and what makes it a matter of seconds."""
    tasks = [f"task.tasks.{name}" for name in TASKS[experiment]] or ["task"]
    sizes = [f"{task}.synthetic.{size}={number}" for task in tasks for size, number in SIZES.items()]
    return [f"experiment={experiment}", "trainer.steps=2", "model=tiny", *SMALL, *sizes]


@pytest.mark.parametrize("experiment", TASKS)
def test_an_experiment_has_the_published_hyper_parameters(experiment: str) -> None:
    """arXiv 2605.03677: 64 prompts of 16 rollouts, AdamW at 1e-6 (0.9, 0.98) with decay 0.1 and 5 steps of warm-up,
    prompts to 4096 and responses to 16384 tokens at temperature 1; shift by group mean, both ways, to 0.4."""
    config = composed(f"experiment={experiment}")
    check(config)
    trainer, rollout, recipe = config.trainer, config.rollout, config.recipe
    assert (trainer.steps, trainer.prompts_per_step, rollout.num_samples) == (50, 64, 16)
    assert (trainer.learning_rate, trainer.warmup_steps, trainer.weight_decay) == (1e-6, 5, 0.1)
    assert list(trainer.betas) == [0.9, 0.98]
    assert (config.data.max_prompt_tokens, rollout.max_new_tokens, rollout.temperature) == (4096, 16384, 1.0)
    assert (recipe.clip_low, recipe.clip_high, recipe.gate, recipe.advantage_clip) == (0.2, 0.28, 10.0, None)
    assert recipe.reduction is Reduction.SAMPLE_MEAN
    calibration, balancing = recipe.calibration, recipe.balancing
    assert (calibration.method, calibration.scope) == (CalibrationMethod.SHIFT, Scope.GROUP)
    assert (calibration.statistic, calibration.direction) == (Statistic.MEAN, Direction.BOTH)
    assert (calibration.delta, balancing.ratio, balancing.scope) == (0.4, 1.0, Scope.GROUP)


@pytest.mark.parametrize("experiment", TASKS)
def test_an_experiment_reads_checkpoints_and_rows_that_are_not_made_here(experiment: str) -> None:
    config = composed(f"experiment={experiment}")
    assert config.model.path is not None and config.model.path.startswith("Qwen/Qwen3-")
    for plan in teacher_plans(config).values():
        assert plan.path is not None and plan.builder is None
    assert all(paths(config, experiment))


@pytest.mark.parametrize("experiment", TASKS)
def test_a_rehearsal_reads_nothing_that_is_not_made_here(experiment: str) -> None:
    config = composed(f"experiment={experiment}", "model=tiny")
    check(config)
    assert config.model.path is None
    for plan in teacher_plans(config).values():
        assert plan.path is None and plan.builder == config.zoo["expert"]
    assert not any(paths(config, experiment))


@pytest.mark.parametrize("experiment", TASKS)
def test_a_rehearsal_runs(experiment: str, tmp_path: Path) -> None:
    finished = run(rehearsal(experiment), tmp_path)
    assert finished.status == 0, finished.err
    written = summary(tmp_path / "runs" / "rehearsal")
    assert written["steps"] == 2
    assert written["teacher_failures"] == 0
    assert set(written["accuracy_before"]) >= set(TASKS[experiment])


def test_a_teacher_without_eyes_reads_captions(tmp_path: Path) -> None:
    """The cross-modal experiment on pictures in place of problems: the student sees them, the teacher is told."""
    pictures = "uniopd_mm.tasks.synthetic.picture_questions.SyntheticPictureQuestions"
    finished = run([*rehearsal("cross_modal"), f"task.synthetic._target_={pictures}"], tmp_path)
    assert finished.status == 0, finished.err
    assert summary(tmp_path / "runs" / "rehearsal")["teacher_failures"] == 0


def test_who_teaches_in_the_experiments_of_many() -> None:
    assert list(teacher_plans(composed("experiment=multi_teacher"))) == ["math", "code"]
    multimodal = composed("experiment=multi_teacher_multimodal")
    assert list(teacher_plans(multimodal)) == ["math", "logic", "document"]
    assert multimodal.routing.domains == {"chart": "document"}


def test_the_cross_modal_teacher_has_a_prompt_of_its_own() -> None:
    (plan,) = teacher_plans(composed("experiment=cross_modal")).values()
    assert (plan.reads, plan.media) == (Reads.TOKENS, MediaFor.CAPTION)


def test_ones_own_expert_and_rows_take_the_places_of_the_published() -> None:
    config = composed("experiment=multimodal_math", "teacher.path=mine", "data.path=rows.jsonl", "data.subset=null")
    assert (config.teacher.path, config.teacher.builder) == ("mine", None)
    assert paths(config, "multimodal_math") == ["rows.jsonl"]


def paths(config: TrainConfig, experiment: str) -> list[str | None]:
    """Where each task of the experiment reads its rows."""
    tasks = [config.task["tasks"][name] for name in TASKS[experiment]] or [config.task]
    return [task["rows"]["path"] for task in tasks]
