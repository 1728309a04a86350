"""Settings that a run would ignore, refused where they are set: a user could believe that they work.

A setting is set if it has neither its default nor the value that `model.suggested` gives to every recipe of a model's
size. Parts that several runs share are left alone as a whole where a run does not need them: teachers and routes of a
recipe without a teacher, the mixture of a task with one domain, and the W&B project of a run that does not log there.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from enum import Enum
from typing import Any

from uniopd_mm.config.checks import teacher_plans
from uniopd_mm.config.parts import Api, Engine, RemoteOptions, Shares, VLLMOptions
from uniopd_mm.config.train import DataConfig, RecipeConfig, TrainConfig
from uniopd_mm.distill.choices import CalibrationMethod, Correction
from uniopd_mm.distill.objective import RATIO_SETTINGS, REWARD_SETTINGS, Needs
from uniopd_mm.types import UserError

# Settings of calibration by the method that reads them; `after_balancing` is read by all that come with balancing.
_CALIBRATION = {
    CalibrationMethod.NONE: (),
    CalibrationMethod.SHIFT: ("scope", "statistic", "direction", "delta"),
    CalibrationMethod.MASK: ("scope", "statistic", "delta", "min_retain_ratio"),
    CalibrationMethod.GROUP_MASK: ("scope", "statistic", "delta"),
}
_OF_ROWS = ("max_rows", "media_root", "streaming", "validation_fraction")  # those that no YAML of configs/data sets


@dataclass(frozen=True, kw_only=True, slots=True)
class Unread:
    """Settings `names` of the configuration `node` under `key` that nothing reads, why, and what would read them."""

    key: str
    node: Any
    names: Iterable[str]
    reason: str
    remedy: str = ""


def check_unread(config: TrainConfig, needs: Needs) -> None:
    """Raises UserError for the first setting that is set and not read: key, value, reason and remedy."""
    for part in _all_unread(config, needs):
        suggested = config.model.suggested if part.node is config.recipe else {}
        for name in part.names:
            value = getattr(part.node, name)
            if value != _default(part.node, name) and not (name in suggested and value == suggested[name]):
                raise UserError(_refusal(part, name, value))


def _refusal(part: Unread, name: str, value: object) -> str:
    shown = value.name if isinstance(value, Enum) else value
    remedy = f"{part.remedy}, or leave it out" if part.remedy else "leave it out"
    return f"{part.key}.{name}={shown}: {part.reason} does not use it; {remedy}"


def _default(node: Any, name: str) -> Any:
    (entry,) = [entry for entry in fields(node) if entry.name == name]
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def _all_unread(config: TrainConfig, needs: Needs) -> Iterator[Unread]:
    yield from _of_recipe(config.recipe, needs)
    yield from _of_calibration(config.recipe)
    yield from _of_engines(config)
    yield from _of_mixture(config)
    yield from _of_data(config)


def _of_recipe(node: RecipeConfig, needs: Needs) -> Iterator[Unread]:
    unread = sorted((RATIO_SETTINGS | REWARD_SETTINGS) - needs.settings)
    yield Unread(key="recipe", node=node, names=unread, reason=f"recipe={node.name}")
    if not needs.base:
        yield Unread(
            key="recipe", node=node, names=["base_path"], reason=f"recipe={node.name}", remedy="set recipe=exopd"
        )
    if not needs.teacher:
        yield Unread(key="recipe", node=node, names=["teacher_temperature"], reason=f"recipe={node.name}")
    correction = f"recipe.correction={node.correction.name}"
    if node.correction is Correction.NONE:
        remedy = "set recipe.correction=TRUNCATE or MASK"
        yield Unread(key="recipe", node=node, names=["correction_cap"], reason=correction, remedy=remedy)
    else:  # it replaces the ratio that they clip
        yield Unread(key="recipe", node=node, names=["clip_low", "clip_high"], reason=correction)


def _of_calibration(node: RecipeConfig) -> Iterator[Unread]:
    method, key = node.calibration.method, "recipe.calibration"
    unread = [name for name in _CALIBRATION[CalibrationMethod.SHIFT] if name not in _CALIBRATION[method]]
    unread += [] if method is CalibrationMethod.MASK else ["min_retain_ratio"]
    unread += ["after_balancing"] if method is CalibrationMethod.NONE else []
    remedy = "set recipe.calibration.method=SHIFT" if method is CalibrationMethod.NONE else ""
    yield Unread(key=key, node=node.calibration, names=unread, reason=f"{key}.method={method.name}", remedy=remedy)
    if node.balancing.ratio is None:
        reason, remedy = "recipe.balancing.ratio=null", "set recipe.balancing.ratio=1"
        yield Unread(key=key, node=node.calibration, names=["after_balancing"], reason=reason, remedy=remedy)
        yield Unread(key="recipe.balancing", node=node.balancing, names=["scope"], reason=reason, remedy=remedy)


def _of_engines(config: TrainConfig) -> Iterator[Unread]:
    """Options of engines that no teacher runs in, and of a protocol that no server speaks."""
    plans = teacher_plans(config)
    engines = {plan.engine for plan in plans.values()}
    named = f"teacher.engine={'/'.join(sorted(engine.name for engine in engines))}"
    if Engine.vllm not in engines:
        options = [entry.name for entry in fields(VLLMOptions)]
        remedy = "set teacher.engine=vllm"
        yield Unread(key="teacher.vllm", node=config.teacher.vllm, names=options, reason=named, remedy=remedy)
    if Engine.remote not in engines:
        options = [entry.name for entry in fields(RemoteOptions)]
        remedy = "set teacher.engine=remote"
        yield Unread(key="teacher.remote", node=config.teacher.remote, names=options, reason=named, remedy=remedy)
    elif all(plan.remote.api is Api.UNIOPD for plan in plans.values()):
        reason, remedy = "teacher.remote.api=UNIOPD", "set teacher.remote.api=VLLM"
        yield Unread(
            key="teacher.remote", node=config.teacher.remote, names=["model", "fps"], reason=reason, remedy=remedy
        )


def _of_mixture(config: TrainConfig) -> Iterator[Unread]:
    node, shares = config.mixture, config.mixture.shares
    reason = f"mixture.shares={shares.name}"
    if shares is not Shares.TEMPERATURE:
        remedy = "set mixture.shares=TEMPERATURE"
        yield Unread(key="mixture", node=node, names=["temperature"], reason=reason, remedy=remedy)
    if shares is not Shares.ADAPTIVE:
        remedy = "set mixture.shares=ADAPTIVE"
        yield Unread(key="mixture", node=node, names=["floor", "recent"], reason=reason, remedy=remedy)


def _of_data(config: TrainConfig) -> Iterator[Unread]:
    """Settings of rows where the task makes its questions itself. In a mixture, each task may have rows of its own."""
    rows = config.task.get("rows")
    if isinstance(rows, Mapping) and rows.get("path") is None:
        node: DataConfig = config.data
        remedy = "give data.path=FILE"
        yield Unread(key="data", node=node, names=_OF_ROWS, reason="data.path=null", remedy=remedy)
