"""What can be refused before anything is loaded, beyond single values: components, their engines, and the recipe."""

from uniopd_mm.config.checks import teacher_keys, validate, zoo_components
from uniopd_mm.config.components import check_component, check_declared
from uniopd_mm.config.parts import Api, Engine
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.distill.choices import Responses
from uniopd_mm.evaluation.live_tasks import live_tasks
from uniopd_mm.inference.available import require_vllm
from uniopd_mm.run.recipes import build_recipe
from uniopd_mm.types import UserError

VLLM_ROLLOUT = "uniopd_mm.rollout.vllm."


def check(config: TrainConfig) -> None:
    """Everything that can be refused before anything is loaded.

    Raises:
        UserError: names the key, its value and the remedy.
    """
    validate(config)
    check_parts(config)


def check_parts(config: TrainConfig) -> None:
    """Check components and recipe of a configuration whose values are valid.

    Raises:
        UserError: names the key, its value and the remedy.
    """
    needs = build_recipe(config).objective.needs
    if needs.teacher or config.recipe.responses is Responses.TEACHER:
        _check_teachers_are_named(config)
    if needs.teacher:
        _check_temperature(config)
    check_components(config)


def check_components(config: TrainConfig) -> None:
    """Check every component's parameters, and that vLLM and lmms-eval are installed where they are used.

    Raises:
        UserError: a parameter that its target does not take, a missing package, or an unknown benchmark.
    """
    live_tasks(config.benchmarks.tasks)
    components = {
        "model.builder": config.model.builder,
        "model.processor": config.model.processor,
        "rollout.engine": config.rollout.engine,
        "recipe.objective": config.recipe.objective,
    }
    if str(config.rollout.engine.get("_target_")).startswith(VLLM_ROLLOUT):
        require_vllm("rollout.engine")
    for key, plan in teacher_keys(config).items():
        if plan.engine is Engine.vllm:
            require_vllm(f"{key}.engine")
        components |= {f"{key}.builder": plan.builder, f"{key}.processor": plan.processor}
    used = zoo_components(config.zoo) if config.model.builder is not None else {}  # first: others refer to them
    used |= {key: node for key, node in components.items() if node is not None}
    for check_node in (check_declared, check_component):  # typos first, before libraries load
        for key, node in used.items():
            check_node(node, key)


def _check_temperature(config: TrainConfig) -> None:
    """Raises UserError for a teacher that can only score at temperature 1, where the student is at another."""
    for key, plan in teacher_keys(config).items():
        stock = plan.engine is Engine.remote and plan.remote.api is Api.VLLM
        if stock and config.teacher_temperature != 1:
            name = "rollout.temperature" if config.recipe.teacher_temperature is None else "recipe.teacher_temperature"
            raise UserError(
                f"{name}={config.teacher_temperature:g}: a stock vLLM server ({key}.remote.api=VLLM) scores at "
                "temperature 1 only; set rollout.temperature=1, or run the teacher in python -m uniopd_mm.serve or "
                f"{key}.engine=hf; recipe.teacher_temperature=1 compares the two temperatures knowingly"
            )


def _check_teachers_are_named(config: TrainConfig) -> None:
    """Raises UserError where a teacher is needed and none was chosen."""
    for key, plan in teacher_keys(config).items():
        if plan.engine is not Engine.remote and plan.path is None and plan.builder is None:
            raise UserError(
                f"{key}.path=null: recipe={config.recipe.name} needs a teacher, and the built-in one only fits the "
                "built-in student; give teacher=HUB_NAME_OR_FOLDER, or one that --help lists, as teacher=qwen3_vl_8b"
            )
