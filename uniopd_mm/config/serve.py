"""The typed schema of `configs/serve.yaml`: every key of `python -m uniopd_mm.serve`, and what cannot work."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from omegaconf import MISSING

from uniopd_mm.config.checks import check_checkpoint, teacher_plans
from uniopd_mm.config.components import check_component
from uniopd_mm.config.parts import Engine, TeacherConfig, documented
from uniopd_mm.config.train import DataConfig
from uniopd_mm.types import UserError


@dataclass
class ServerConfig:
    """Where a teacher is served, and how much at a time."""

    host: str = documented(
        "address to serve at; another than loopback is reached by others, and wants a token", "127.0.0.1"
    )
    port: int = documented("0: any that is free, which is then printed", 8100)
    token_env: str = documented(
        "environment variable with the bearer token that clients must present; unset or empty: none", "UNIOPD_MM_TOKEN"
    )
    top_k: int = documented("likeliest tokens that a request may ask for; needed by recipe.objective.top_k", 0)
    max_queue: int = documented("requests that may wait; more are told to come again", 256)
    batch_tokens: int = documented("prompt and response tokens that go to the engine at a time", 16384)
    max_request_mb: int = documented("size of one request", 1024)
    media_cache_mb: int = documented("media kept, so that a client sends them once", 2048)


@dataclass
class ServeConfig:
    """All of `python -m uniopd_mm.serve`."""

    teacher: TeacherConfig = documented("the expert", MISSING)
    teachers: dict[str, Any] = documented("several experts, of which `only` is served", {})
    only: str | None = documented("which of `teachers`", None)
    server: ServerConfig = field(default_factory=ServerConfig)
    threads: int | None = documented("CPU threads; null: one per core", None)
    zoo: dict[str, Any] = documented("builders that models of the built-in zoo share", {})
    task: dict[str, Any] = documented("where the built-in zoo's teachers learn; else void", {})
    model: dict[str, Any] = documented("void: its YAML brings the built-in zoo's builders along", {})
    rollout: dict[str, Any] = documented("void: nothing is sampled with its settings", {})
    data: DataConfig = field(default_factory=DataConfig)
    recipe: dict[str, Any] = documented("void: a model's YAML brings it along for training", {})
    trainer: dict[str, Any] = documented("void: a model's YAML brings it along for training", {})


AT_LEAST_ONE = ("max_queue", "batch_tokens", "max_request_mb")
NOT_NEGATIVE = ("top_k", "media_cache_mb")
VOID = {
    "trainer": "leave it out: nothing is trained (threads= is a key of its own)",
    "recipe": "leave it out: nothing is trained",
    "rollout": "leave it out: the run that asks says how to sample",
    "data": "leave it out: the run that asks sends prompts",
}


def chosen_teacher(config: ServeConfig) -> tuple[TeacherConfig, str]:
    """The teacher to serve, and the key that names it.

    Raises:
        UserError: there are several and none was chosen, or it is not there.
    """
    if not config.teachers:
        if config.only is not None:
            raise UserError(f"only={config.only}: there is one teacher alone; leave it out, or choose several")
        return config.teacher, "teacher"
    names = ", ".join(map(str, config.teachers))
    if config.only not in config.teachers:
        raise UserError(f"only={config.only or 'null'}: choose one of the teachers {names}")
    return teacher_plans(cast(Any, config))[config.only], f"teachers.{config.only}"


def validate(config: ServeConfig, overrides: Sequence[str]) -> None:
    """Refuse values that cannot work, and settings that would do nothing.

    Raises:
        UserError: names the key, its value and the remedy.
    """
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        if remedy := next((remedy for void, remedy in VOID.items() if key.startswith(f"{void}.")), None):
            raise UserError(f"{override}: serving does not use it; {remedy}")
    _check_numbers(config)
    plan, key = chosen_teacher(config)
    if plan.engine is Engine.remote:
        raise UserError(f"{key}.engine=remote: a server runs its teacher itself; set {key}.engine=hf or vllm")
    if plan.urls:
        raise UserError(f"{key}.urls={list(plan.urls)}: a server asks no other; leave it out")
    check_checkpoint(plan, key)
    for name, node in {f"{key}.builder": plan.builder, f"{key}.processor": plan.processor}.items():
        if node is not None:
            check_component(node, name)


def _check_numbers(config: ServeConfig) -> None:
    for lowest, names in ((1, AT_LEAST_ONE), (0, NOT_NEGATIVE)):
        for name in names:
            value = getattr(config.server, name)
            if value < lowest:
                raise UserError(f"server.{name}={value} must be at least {lowest}")
    if not 0 <= config.server.port < 1 << 16:
        raise UserError(f"server.port={config.server.port} must lie between 0 and {(1 << 16) - 1}")
    if config.threads is not None and config.threads < 1:
        raise UserError(f"threads={config.threads} must be at least 1, or null for one per core")
