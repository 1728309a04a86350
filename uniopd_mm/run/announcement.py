"""What a run is about to do in one line, what it reads, and a warning where built-in models meet a user's own rows."""

from collections.abc import Iterator, Mapping
from typing import Any

from uniopd_mm.config.checks import teacher_plans
from uniopd_mm.config.parts import Engine
from uniopd_mm.config.train import TrainConfig

BUILT_IN = (
    "The built-in models are trained first, unless the cache has them: with the run 3 to 14 minutes on 2 CPU cores, "
    "without them 2 to 3"
)


def plan_in_words(config: TrainConfig) -> str:
    """The task, the models, the recipe and the size of a run; for built-in models also how long it takes."""
    teachers = ", ".join(map(str, config.teachers)) or config.teacher.name
    plan, rollout = config.trainer, config.rollout
    line = (
        f"task {config.task.get('domain', 'of your own')}: student {config.model.name}, teacher {teachers}, recipe "
        f"{config.recipe.name}; {plan.steps} step{'s' if plan.steps > 1 else ''} of {plan.prompts_per_step} prompts × "
        f"{rollout.num_samples} rollouts"
    )
    return line if config.model.builder is None else f"{line}. {BUILT_IN}"


def rows_beside_the_zoo(config: TrainConfig) -> str | None:
    """The warning for `data.path` with a built-in student or teacher, which know their own synthetic questions only;
    None where there is nothing to warn of."""
    built_in = {"model": config.model.builder, "teacher": config.teacher.builder}
    keys = [key for key, builder in built_in.items() if builder is not None]
    if config.data.path is None or not keys:
        return None
    names = " and ".join(f"{key}={getattr(config, key).name}" for key in keys)
    return (
        f"data.path={config.data.path} is read by {names}, built-in models that only know their own synthetic "
        "questions; to train on your rows, set model= and teacher= to real checkpoints, such as model=qwen3_vl_2b "
        "teacher=qwen3_vl_8b"
    )


def places(config: TrainConfig) -> Iterator[str]:
    """Every checkpoint and data set that a run reads: folders, files and hub names."""
    local = (plan.path for plan in teacher_plans(config).values() if plan.engine is not Engine.remote)
    yield from (path for path in (config.model.path, config.recipe.base_path, *local) if path)
    yield from _data_sets(config.task)


def _data_sets(node: Mapping[str, Any]) -> Iterator[str]:
    for value in node.values():
        if isinstance(value, Mapping):
            yield from _data_sets(value)
        elif isinstance(value, str) and value.startswith("hub:"):
            yield value
