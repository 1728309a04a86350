"""The typed schema of `configs/serve.yaml`: every key of `python -m uniopd_mm.serve`, and what cannot work."""

import ipaddress
import os
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
        "address to listen on; anything but loopback can be reached by others and needs a token", "127.0.0.1"
    )
    port: int = documented("port; 0 takes a free one and prints it", 8100)
    token_env: str = documented(
        "environment variable with the bearer token that clients must send; unset or empty: no token", "UNIOPD_MM_TOKEN"
    )
    insecure: bool = documented("listen beyond loopback without a token; anyone can then use the teacher", False)
    top_k: int = documented(
        "largest number of top tokens that a request may ask for; recipe.objective.top_k needs it", 0
    )
    max_queue: int = documented("requests that may wait; more are asked to retry later", 256)
    batch_tokens: int = documented("prompt and response tokens in one engine batch", 16384)
    max_request_mb: int = documented("largest request", 1024)
    media_cache_mb: int = documented("memory for media, so that a client sends each once", 2048)
    max_samples: int = documented("largest number of responses to one prompt that a request may ask for", 128)
    max_new_tokens: int = documented("largest number of tokens in a response that a request may ask for", 32768)
    receive_seconds: float = documented(
        "time to receive the head of a request, and as long for its body, plus 1 s per 64 kB", 30.0
    )


@dataclass
class ServeConfig:
    """All of `python -m uniopd_mm.serve`."""

    teacher: TeacherConfig = documented("the teacher", MISSING)
    teachers: dict[str, Any] = documented("several teachers; `only` picks the one to serve", {})
    only: str | None = documented("which of `teachers` to serve", None)
    server: ServerConfig = field(default_factory=ServerConfig)
    threads: int | None = documented("CPU threads; null: one per core", None)
    zoo: dict[str, Any] = documented("components that make the built-in models", {})
    task: dict[str, Any] = documented("component: the synthetic questions that built-in teachers are trained on", {})
    model: dict[str, Any] = documented("not used: a model's YAML sets it for training", {})
    rollout: dict[str, Any] = documented("not used: a model's YAML sets it for training", {})
    data: DataConfig = field(default_factory=DataConfig)
    recipe: dict[str, Any] = documented("not used: a model's YAML sets it for training", {})
    trainer: dict[str, Any] = documented("not used: a model's YAML sets it for training", {})


AT_LEAST_ONE = ("max_queue", "batch_tokens", "max_request_mb", "max_samples", "max_new_tokens", "receive_seconds")
NOT_NEGATIVE = ("top_k", "media_cache_mb")
NOT_USED = {
    "trainer": "serving trains nothing; leave it out (threads is a key of its own)",
    "recipe": "serving trains nothing; leave it out",
    "rollout": "the run that sends requests says how to sample; leave it out",
    "data": "the run that sends requests has the prompts; leave it out",
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


def validate(config: ServeConfig) -> None:
    """Refuse values that cannot work.

    Raises:
        UserError: names the key, its value and the remedy.
    """
    _check_numbers(config)
    _check_access(config.server)
    plan, key = chosen_teacher(config)
    if plan.engine is Engine.remote:
        raise UserError(f"{key}.engine=remote: a server runs its teacher itself; set {key}.engine=hf or vllm")
    if plan.urls:
        raise UserError(f"{key}.urls={list(plan.urls)}: a server asks no other; leave it out")
    check_checkpoint(plan, key)
    for name, node in {f"{key}.builder": plan.builder, f"{key}.processor": plan.processor}.items():
        if node is not None:
            check_component(node, name)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token_of(config: ServerConfig) -> str | None:
    """The token that clients must send; None if there is none."""
    return os.environ.get(config.token_env, "").strip() or None


def _check_access(config: ServerConfig) -> None:
    if not (is_loopback(config.host) or config.insecure or token_of(config)):
        raise UserError(
            f"server.host={config.host}: anyone who can reach this address could use the teacher; set the environment "
            f"variable {config.token_env} to a token, on the server and on its clients, or set server.insecure=true"
        )


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
