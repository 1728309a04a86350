"""The handshake with a remote teacher's servers: what they serve, and whether all of them serve the same teacher."""

import logging
from collections.abc import Callable, Mapping
from time import monotonic, sleep
from typing import TypeVar

from uniopd_mm.config.parts import Api, TeacherConfig
from uniopd_mm.models.identity import vocabulary_digest
from uniopd_mm.teachers.local import check_vocabulary
from uniopd_mm.teachers.pool import Pool, Server
from uniopd_mm.teachers.requests import Busy, Refused, Transient, check_status
from uniopd_mm.teachers.uniopd_api import UniopdApi
from uniopd_mm.teachers.vllm_api import MODELS, VLLMApi, model_of
from uniopd_mm.types import UserError, Vocabulary
from uniopd_mm.wire import INFO, VOCABULARY
from uniopd_mm.wire.codec import Malformed
from uniopd_mm.wire.info import ServerInfo, read_info, read_vocabulary

logger = logging.getLogger(__name__)
Value = TypeVar("Value")
HANDSHAKE_SECONDS = 10.0  # to wait for one reply
MAX_DESCRIPTION = 1 << 26  # bytes of one reply; the largest vocabularies have about a tenth of it
REMEDIES = {
    Api.UNIOPD: "start python -m uniopd_mm.serve there, or correct the address",
    Api.VLLM: "start python -m vllm.entrypoints.openai.api_server there, or correct the address",
}


def handshake(
    pool: Pool, plan: TeacherConfig, key: str, top_k: int, vocabulary: Vocabulary | None
) -> UniopdApi | VLLMApi:
    """The client for these servers. Servers that cannot be reached are skipped until they can.

    Raises:
        UserError: no server can be reached, two serve different teachers, their tokens are not those of `vocabulary`,
            or they return fewer than `top_k` likeliest tokens.
    """
    if plan.remote.api is Api.VLLM:
        models = _fetch(pool, plan, key, MODELS, lambda content: model_of(content, plan.remote.model))
        return VLLMApi(_common(models, key, "model"), plan.name, top_k, plan.remote.fps, vocabulary)
    infos = _fetch(pool, plan, key, INFO, read_info)
    info = _common_info(infos, key)
    if info.top_k < top_k:
        raise UserError(
            f"{key}.urls: {next(iter(infos))} returns the {info.top_k} likeliest tokens, the recipe needs {top_k}; "
            f"start it with server.top_k={top_k}"
        )
    tokens = None
    if vocabulary is not None and info.vocabulary != vocabulary_digest(vocabulary):
        theirs = next(iter(_fetch(pool, plan, key, VOCABULARY, read_vocabulary).values()))
        check_vocabulary(vocabulary, theirs, plan.name)
        tokens = theirs.tokens
    return UniopdApi(info, plan.name, top_k, tokens)


def _fetch(pool: Pool, plan: TeacherConfig, key: str, path: str, parse: Callable[[bytes], Value]) -> dict[str, Value]:
    """What each reachable server returns for `path`, by its address. If all reachable servers are still loading their
    teacher, wait for them, up to the deadline of a request."""
    deadline = monotonic() + plan.remote.deadline
    while True:
        values, unreachable, retry_after = _fetch_once(pool, plan, key, path, parse)
        if values or not retry_after or monotonic() + retry_after > deadline:
            break
        logger.warning("%s.urls: %s; waiting for it", key, "; ".join(unreachable.values()))
        sleep(retry_after)
    if not values:
        reasons = "; ".join(unreachable.values())
        raise UserError(f"{key}.urls: no server can be reached: {reasons}; {REMEDIES[plan.remote.api]}")
    for server, reason in unreachable.items():
        logger.warning("%s.urls: %s; it is tried again later", key, reason)
        pool.skip_server(server)
    return values


def _fetch_once(
    pool: Pool, plan: TeacherConfig, key: str, path: str, parse: Callable[[bytes], Value]
) -> tuple[dict[str, Value], dict[Server, str], float]:
    """Values by address, reasons by unreachable server, and the seconds after which to retry (0: no server asks to)."""
    seconds = min(HANDSHAKE_SECONDS, plan.remote.deadline)
    futures = [(server, pool.get(server, path, seconds, MAX_DESCRIPTION)) for server in pool.servers]
    values: dict[str, Value] = {}
    unreachable: dict[Server, str] = {}
    retry_after = 0.0
    for server, future in futures:
        try:
            reply = future.result()
            check_status(reply)
            values[server.url] = parse(reply.content)
        except Busy as error:
            unreachable[server] = f"{server.url}: {error}"
            retry_after = error.seconds
        except Transient as error:
            unreachable[server] = f"{server.url}: {error}"
        except (Refused, Malformed) as error:
            raise UserError(f"{key}.urls: {server.url}: {error}") from error
    return values, unreachable, retry_after


def _common_info(infos: Mapping[str, ServerInfo], key: str) -> ServerInfo:
    """The info that holds for all servers. Raises UserError if two of them serve different teachers."""
    for name in ("name", "vocabulary", "vocab_size", "stop_ids", "banned_ids", "needs"):
        _common({url: getattr(info, name) for url, info in infos.items()}, key, name)
    for setting in sorted({setting for info in infos.values() for setting in info.settings.binding}):
        _common({url: info.settings.binding.get(setting) for url, info in infos.items()}, key, setting)
    return min(infos.values(), key=lambda info: info.top_k)


def _common(values: Mapping[str, Value], key: str, name: str) -> Value:
    """The value that all servers share. Raises UserError if two differ."""
    (first_url, first), *others = values.items()
    for url, other in others:
        if other != first:
            raise UserError(
                f"{key}.urls: {first_url} and {url} are not the same teacher: {name} {first} and {other}; list only "
                "servers of one teacher"
            )
    return first
