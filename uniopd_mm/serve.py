"""`python -m uniopd_mm.serve teacher=qwen3_vl_8b server.port=8100`: a teacher behind HTTP, for `teacher.engine=remote`.

The teacher runs in this process, in transformers or in vLLM (teacher.engine). SIGTERM lets what waits be finished.
`--help` lists every key.
"""

import os
from collections.abc import Sequence

import torch
from transformers.utils import logging as transformers_logging

from uniopd_mm.config.cli import run_command
from uniopd_mm.config.parts import Engine, TeacherConfig
from uniopd_mm.config.serve import ServeConfig, ServerConfig, chosen_teacher, validate
from uniopd_mm.serving.server import ServerOptions, is_loopback, run_server
from uniopd_mm.serving.service import Loaded
from uniopd_mm.teachers.loading import ScoreOptions, TeacherLoader
from uniopd_mm.tracking.console import note, warning
from uniopd_mm.wire.info import server_info
from uniopd_mm.wire.media import Needs


def serve(config: ServeConfig, overrides: Sequence[str]) -> None:
    """Until a signal ends it."""
    validate(config, overrides)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    options = _options(config.server)
    if options.token is None and not is_loopback(options.host):
        warning(
            f"server.host={options.host}: whoever reaches this address can use the teacher; set the environment "
            f"variable {config.server.token_env} to a token, here and where it is asked"
        )
    plan, key = chosen_teacher(config)
    run_server(options, lambda: load(plan, key, config.server.top_k), note)


def load(plan: TeacherConfig, key: str, top_k: int) -> Loaded:
    """The teacher, and what it says of itself."""
    model = TeacherLoader(ScoreOptions(top_k=top_k)).load(plan, key)
    info = server_info(
        plan.name,
        model.processor.vocabulary,
        vocab_size=model.vocab_size,
        needs=Needs.ENGINE_MEDIA if plan.engine is Engine.vllm else Needs.MEDIA,
        top_k=top_k,
        settings=model.processor.settings,
    )
    return Loaded(scorer=model.scorer, engine=model.engine, vocabulary=model.processor.vocabulary, info=info)


def _options(config: ServerConfig) -> ServerOptions:
    return ServerOptions(
        host=config.host,
        port=config.port,
        token=os.environ.get(config.token_env) or None,
        max_queue=config.max_queue,
        batch_tokens=config.batch_tokens,
        max_request_mb=config.max_request_mb,
        media_cache_mb=config.media_cache_mb,
    )


def main() -> None:
    """The command."""
    run_command(serve, ServeConfig, "serve")


if __name__ == "__main__":
    main()
