"""`python -m uniopd_mm.serve teacher=qwen3_vl_8b server.port=8100`: a teacher over HTTP, for `teacher.engine=remote`.

The teacher runs in this process, in transformers or in vLLM (teacher.engine). On SIGTERM the server finishes waiting
requests and ends. `--help` lists every key.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from uniopd_mm.cli.command import Command, run_command
from uniopd_mm.config.parts import Engine, TeacherConfig
from uniopd_mm.config.serve import NOT_USED, ServeConfig, ServerConfig, chosen_teacher, is_loopback, token_of, validate

if TYPE_CHECKING:  # torch and transformers are imported once the command is known to be right
    from uniopd_mm.serving.server import ServerOptions
    from uniopd_mm.serving.service import Loaded


def serve(config: ServeConfig, overrides: Sequence[str]) -> None:
    """Serve until a signal ends the process."""
    validate(config)

    import torch
    from transformers.utils import logging as transformers_logging

    from uniopd_mm.runtime.hub import use_cache_without_hub
    from uniopd_mm.serving.server import run_server
    from uniopd_mm.tracking.console import note, warning

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    options = _options(config.server)
    if options.token is None and not is_loopback(options.host):
        warning(
            f"server.host={options.host}: anyone who can reach this address can use the teacher (server.insecure=true)"
        )
    plan, key = chosen_teacher(config)
    if text := use_cache_without_hub([plan.path]):
        warning(text)
    run_server(options, lambda: load(plan, key, config.server.top_k), note)


def load(plan: TeacherConfig, key: str, top_k: int) -> Loaded:
    """The teacher, and what the server says about it."""
    from uniopd_mm.serving.service import Loaded
    from uniopd_mm.teachers.loading import ScoreOptions, TeacherLoader
    from uniopd_mm.wire.info import server_info
    from uniopd_mm.wire.media import Needs

    model = TeacherLoader(ScoreOptions(top_k=top_k)).load(plan, key)
    info = server_info(
        plan.name,
        model.processor.vocabulary,
        vocab_size=model.vocab_size,
        needs=Needs.ENGINE_MEDIA if plan.engine is Engine.vllm else Needs.MEDIA,
        top_k=top_k,
        settings=model.processor.settings,
    )
    return Loaded(
        scorer=model.scorer,
        engine=model.engine,
        check=model.processor.check_media,
        vocabulary=model.processor.vocabulary,
        info=info,
    )


def _options(config: ServerConfig) -> ServerOptions:
    from uniopd_mm.serving.server import ServerOptions

    return ServerOptions(
        host=config.host,
        port=config.port,
        token=token_of(config),
        max_queue=config.max_queue,
        batch_tokens=config.batch_tokens,
        max_request_mb=config.max_request_mb,
        media_cache_mb=config.media_cache_mb,
        max_samples=config.max_samples,
        max_new_tokens=config.max_new_tokens,
        receive_seconds=config.receive_seconds,
    )


COMMAND = Command(
    name="serve",
    summary="Serve a teacher over HTTP, for teacher.engine=remote.",
    schema=ServeConfig,
    run=serve,
    refused=NOT_USED,
)


def main() -> None:
    """The command."""
    run_command(COMMAND)


if __name__ == "__main__":
    main()
