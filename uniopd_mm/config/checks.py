"""Values of a configuration that cannot work, refused with the key, the value and the remedy.

Which parts of a recipe fit each other: see run/recipes.py.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from uniopd_mm.config.components import check_component
from uniopd_mm.config.parts import (
    Engine,
    MediaFor,
    MixtureConfig,
    Reads,
    RoutingConfig,
    Shares,
    TeacherConfig,
    VLLMOptions,
)
from uniopd_mm.config.train import BenchmarksConfig, ModelConfig, RecipeConfig, TrainConfig
from uniopd_mm.types import UserError

AT_LEAST_ONE = (
    "data.max_prompt_tokens",
    "data.max_validation_samples",
    "rollout.num_samples",
    "rollout.max_new_tokens",
    "trainer.steps",
    "trainer.prompts_per_step",
    "trainer.tokens_per_microbatch",
    "trainer.save_every",
    "trainer.keep_checkpoints",
    "benchmarks.limit",
)
ABOVE_ZERO = ("rollout.temperature", "recipe.gate", "trainer.learning_rate", "trainer.max_grad_norm")
NOT_NEGATIVE = (
    "data.prompt_cache_mb",
    "recipe.clip_low",
    "recipe.clip_high",
    "trainer.warmup_steps",
    "trainer.weight_decay",
    "trainer.eval_every",
    "trainer.max_idle_steps",
    "tracking.rollouts_every",
    "benchmarks.every",
)
DECIDED = ("logprobs_mode", "generation_config", "mm_device_do_normalize")  # arguments of vLLM that scores depend on
DTYPES = ("float32", "bfloat16")  # float16 would need a scaled loss


def validate(config: TrainConfig) -> None:
    """Refuse values that cannot work.

    Raises:
        UserError: names the key, its value and the remedy.
    """
    _check_bound(config, AT_LEAST_ONE, "be at least 1", lambda value: value >= 1)
    _check_bound(config, ABOVE_ZERO, "be above 0", lambda value: value > 0)
    _check_bound(config, NOT_NEGATIVE, "not be negative", lambda value: value >= 0)
    check_checkpoint(config.model, "model")
    for key, plan in teacher_keys(config).items():
        _check_teacher(plan, key)
        _check_room(plan, key, config.data.max_prompt_tokens + config.rollout.max_new_tokens)
    check_component(config.task, "task")  # a task imports no torch: this takes no time
    _check_mixture(config.mixture)
    _check_losses(config.routing)
    _check_benchmarks(config.benchmarks)
    if config.trainer.threads is not None and config.trainer.threads < 1:
        raise UserError(f"trainer.threads={config.trainer.threads} must be at least 1, or null for one per core")
    if not 0 <= config.seed < 2**32:
        raise UserError(f"seed={config.seed} must lie between 0 and {2**32 - 1}")
    if len(config.trainer.betas) != 2 or not all(0 <= beta < 1 for beta in config.trainer.betas):
        raise UserError(f"trainer.betas={list(config.trainer.betas)} must be two numbers in [0, 1), as [0.9,0.98]")
    if config.recipe.advantage_clip is not None and not config.recipe.advantage_clip > 0:
        raise UserError(f"recipe.advantage_clip={config.recipe.advantage_clip} must be above 0, or null for none")
    if config.recipe.teacher_temperature is not None and not 0 < config.recipe.teacher_temperature < float("inf"):
        raise UserError(
            f"recipe.teacher_temperature={config.recipe.teacher_temperature} must be above 0, or null for "
            "rollout.temperature"
        )
    if not all(config.rollout.stop):
        raise UserError(f"rollout.stop={list(config.rollout.stop)}: an empty string would end every response")
    _check_recipe(config.recipe)
    if not 0 < config.data.validation_fraction < 1:
        raise UserError(f"data.validation_fraction={config.data.validation_fraction} must lie between 0 and 1, as 0.1")


def _check_recipe(recipe: RecipeConfig) -> None:
    """Refuse single values of the recipe. Whether its parts fit each other: see run/recipes.py."""
    calibration, ratio = recipe.calibration, recipe.balancing.ratio
    if not 0 <= calibration.delta < float("inf"):
        raise UserError(f"recipe.calibration.delta={calibration.delta} must be a number not below 0, as 0.4")
    if not 0 <= calibration.min_retain_ratio <= 1:
        raise UserError(f"recipe.calibration.min_retain_ratio={calibration.min_retain_ratio} must lie between 0 and 1")
    if ratio is not None and not ratio >= 0:
        raise UserError(f"recipe.balancing.ratio={ratio} must be 0 to inf correct for each incorrect, or null for none")
    if not recipe.correction_cap >= 1:
        raise UserError(f"recipe.correction_cap={recipe.correction_cap} must be at least 1, as 2")


def teacher_plans(config: TrainConfig) -> dict[str, TeacherConfig]:
    """Every teacher by name: `teacher`, or each of `teachers` with the settings of `teacher` that it does not override.
    An entry with a `path` or a `builder` inherits neither; one with a processor of another class inherits none of its
    parameters.

    Raises:
        UserError: an entry with an unknown key or a wrong type.
    """
    if not config.teachers:
        return {config.teacher.name: config.teacher}
    return {str(name): _plan(config.teacher, str(name), entry) for name, entry in config.teachers.items()}


def teacher_keys(config: TrainConfig) -> dict[str, TeacherConfig]:
    """Every teacher by its configuration key: `teacher`, or `teachers.NAME`."""
    return {f"teachers.{name}" if config.teachers else "teacher": plan for name, plan in teacher_plans(config).items()}


def _plan(common: TeacherConfig, name: str, entry: Any) -> TeacherConfig:
    key = f"teachers.{name}"
    if not isinstance(entry, Mapping):
        raise UserError(f"{key}={entry}: must be an object, as {key}.path=FOLDER")
    if {"path", "builder"} & set(entry):
        common = replace(common, path=None, builder=None)
    if isinstance(entry.get("processor"), Mapping) and "_target_" in entry["processor"]:
        common = replace(common, processor={})  # another class, which has other parameters
    try:
        base = OmegaConf.structured(common)
        base.merge_with({"name": name, **entry})
        return OmegaConf.to_object(base)  # type: ignore[return-value]
    except OmegaConfBaseException as error:
        raise UserError(f"{key}: {str(error).splitlines()[0]}; --help lists what `teacher` has") from error


def _check_teacher(plan: TeacherConfig, key: str) -> None:
    _check_engine(plan, key)
    named = plan.path or plan.builder  # neither is fine where the recipe needs no teacher: see run/checks.py
    if named and plan.engine is not Engine.remote:
        check_checkpoint(plan, key)
    if plan.max_tokens < 1:
        raise UserError(f"{key}.max_tokens={plan.max_tokens} must be at least 1")
    if plan.reads is Reads.IDS and plan.media is not MediaFor.AS_IS:
        raise UserError(
            f"{key}.media={plan.media.name}: with {key}.reads=IDS it reads the student's own prompt; set reads=TOKENS "
            "or TEXT for a prompt of its own"
        )


def _check_engine(plan: TeacherConfig, key: str) -> None:
    """Raises UserError for settings of an engine that the teacher does not use."""
    remote = plan.engine is Engine.remote
    if remote and not plan.urls:
        raise UserError(f"{key}.urls=[]: {key}.engine=remote needs at least one server, as [http://127.0.0.1:8100]")
    if plan.urls and not remote:
        raise UserError(
            f"{key}.urls={list(plan.urls)}: {key}.engine={plan.engine.name} uses no server; set {key}.engine=remote"
        )
    if remote and plan.reads is not Reads.IDS and plan.path is None:
        raise UserError(
            f"{key}.path=null: with {key}.reads={plan.reads.name} its prompts are made here; give the folder or hub "
            "name that its tokenizer and processor come from"
        )
    for name in ("deadline", "attempts", "parallel", "breaker_failures", "breaker_seconds"):
        if not getattr(plan.remote, name) > 0:
            raise UserError(f"{key}.remote.{name}={getattr(plan.remote, name)} must be above 0")
    check_vllm(plan.vllm, f"{key}.vllm")


def check_vllm(options: VLLMOptions, key: str) -> None:
    """Raises UserError for an option that cannot work, or that would change the log-probs."""
    if not 0 < options.gpu_memory_utilization <= 1:
        raise UserError(f"{key}.gpu_memory_utilization={options.gpu_memory_utilization} must be above 0 and at most 1")
    for name in ("max_model_len", "kv_cache_mb", "tensor_parallel_size", "max_num_seqs"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UserError(f"{key}.{name}={value} must be at least 1")
    for name in DECIDED:
        if name in options.args:
            raise UserError(f"{key}.args.{name}={options.args[name]}: leave it out; teacher scores depend on it")


def _check_room(plan: TeacherConfig, key: str, needed: int) -> None:
    """Raises UserError if the longest response could not be scored; vLLM needs room for one more token."""
    room = plan.vllm.max_model_len
    if plan.engine is Engine.vllm and plan.reads is Reads.IDS and room is not None and room <= needed:
        raise UserError(
            f"{key}.vllm.max_model_len={room}: too short for the longest responses; give at least {needed + 1} "
            "(data.max_prompt_tokens + rollout.max_new_tokens + 1), or null"
        )


def _check_mixture(mixture: MixtureConfig) -> None:
    if mixture.weights and mixture.shares is not Shares.WEIGHTS:
        raise UserError(
            f"mixture.weights={dict(mixture.weights)}: mixture.shares={mixture.shares.name} does not use them; set "
            "mixture.shares=WEIGHTS, or leave them out"
        )
    if not mixture.temperature > 0:
        raise UserError(f"mixture.temperature={mixture.temperature} must be above 0, as 2")
    if not 0 < mixture.floor <= 1:
        raise UserError(f"mixture.floor={mixture.floor} must lie above 0 and at most 1, as 0.1")
    if mixture.recent < 1:
        raise UserError(f"mixture.recent={mixture.recent} must be at least 1")
    if mixture.window is not None and mixture.window < 1:
        raise UserError(f"mixture.window={mixture.window} must be at least 1, or null")


def _check_losses(routing: RoutingConfig) -> None:
    if not 0 <= routing.max_lost_share <= 1:
        raise UserError(f"routing.max_lost_share={routing.max_lost_share} must lie between 0 and 1, as 0.5")
    if routing.max_lost_steps < 1:
        raise UserError(f"routing.max_lost_steps={routing.max_lost_steps} must be at least 1")


def _check_benchmarks(benchmarks: BenchmarksConfig) -> None:
    """Values that cannot work or do nothing; `evaluation.live_tasks` checks the names."""
    without = BenchmarksConfig()
    for name in (field.name for field in fields(benchmarks)):
        value = getattr(benchmarks, name)
        if not benchmarks.tasks and value != getattr(without, name):
            raise UserError(
                f"benchmarks.{name}={value}: there is no benchmark to use it; give benchmarks.tasks=[uniopd_ai2d], or "
                "leave it out"
            )
    for name in ("num_samples", "max_new_tokens"):
        value = getattr(benchmarks, name)
        if value is not None and value < 1:
            raise UserError(f"benchmarks.{name}={value} must be at least 1, or null for the benchmark's own value")
    if benchmarks.data_root is not None and not Path(benchmarks.data_root).expanduser().is_dir():
        raise UserError(
            f"benchmarks.data_root={benchmarks.data_root}: no such folder; give one that holds OWNER/NAME/..., or null"
        )


def _check_bound(config: TrainConfig, keys: tuple[str, ...], demand: str, holds: Any) -> None:
    for key in keys:
        section, name = key.split(".")
        value = getattr(getattr(config, section), name)
        if not holds(value):
            raise UserError(f"{key}={value} must {demand}")


def check_checkpoint(node: ModelConfig | TeacherConfig, key: str) -> None:
    """Raises UserError unless there is one source of weights and a known dtype."""
    if (node.path is None) == (node.builder is None):
        remedy = "give one of the two" if node.path is None else f"add {key}.builder=null to use the path"
        raise UserError(f"{key}.path={node.path}: give either {key}.path or {key}.builder; {remedy}")
    if node.dtype not in DTYPES:
        raise UserError(f"{key}.dtype={node.dtype} must be one of {', '.join(DTYPES)}")


def zoo_components(zoo: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The components of the built-in models, by key.

    Raises:
        UserError: a key below `zoo` holds no component.
    """
    for name, node in zoo.items():
        if isinstance(node, Mapping) and "_target_" not in node:
            known = ", ".join(key for key, each in zoo.items() if isinstance(each, Mapping) and "_target_" in each)
            raise UserError(f"zoo.{name}: no such component; the built-in models have {known}")
    return {f"zoo.{name}": node for name, node in zoo.items() if node is not None}
