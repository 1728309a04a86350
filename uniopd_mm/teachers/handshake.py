"""The first words with a teacher's servers: who they are, and whether they are all the same."""

import logging
from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from uniopd_mm.config.parts import Api, TeacherConfig
from uniopd_mm.models.identity import vocabulary_digest
from uniopd_mm.teachers.local import check_vocabulary
from uniopd_mm.teachers.pool import Pool, Server
from uniopd_mm.teachers.requests import Busy, HttpReply, Refused, Transient, check_status
from uniopd_mm.teachers.uniopd_api import UniopdApi
from uniopd_mm.teachers.vllm_api import MODELS, VLLMApi, model_of
from uniopd_mm.types import UserError, Vocabulary
from uniopd_mm.wire import INFO, VOCABULARY
from uniopd_mm.wire.codec import Malformed
from uniopd_mm.wire.info import ServerInfo, read_info, read_vocabulary

logger = logging.getLogger(__name__)
Word = TypeVar("Word")
PATIENCE = 10.0  # seconds for a server to say who it is
REMEDIES = {
    Api.UNIOPD: "start python -m uniopd_mm.serve there, or mend the address",
    Api.VLLM: "start python -m vllm.entrypoints.openai.api_server there, or mend the address",
}


def handshake(
    pool: Pool, plan: TeacherConfig, key: str, top_k: int, vocabulary: Vocabulary | None
) -> UniopdApi | VLLMApi:
    """The dialect for these servers. Those that cannot be reached now are left alone until they can.

    Raises:
        UserError: none can be reached, they disagree, read other tokens than those of `vocabulary`, or do not give
            `top_k` likeliest ones.
    """
    if plan.remote.api is Api.VLLM:
        models = _words(pool, plan, key, MODELS, lambda content: model_of(content, plan.remote.model))
        return VLLMApi(_one(models, key, "model"), plan.name, top_k, plan.remote.fps, vocabulary)
    infos = _words(pool, plan, key, INFO, read_info)
    info = _agreed(infos, key)
    if info.top_k < top_k:
        raise UserError(
            f"{key}.urls: {next(iter(infos))} gives the {info.top_k} likeliest tokens of the {top_k} that the recipe "
            f"compares; start it with server.top_k={top_k}"
        )
    tokens = None
    if vocabulary is not None and info.vocabulary != vocabulary_digest(vocabulary):
        theirs = next(iter(_words(pool, plan, key, VOCABULARY, read_vocabulary).values()))
        check_vocabulary(vocabulary, theirs, plan.name)
        tokens = theirs.tokens
    return UniopdApi(info, plan.name, top_k, tokens)


def _words(pool: Pool, plan: TeacherConfig, key: str, path: str, read: Callable[[bytes], Word]) -> dict[str, Word]:
    """What each server that can be reached says, by its address. Where all that can be are still loading their teacher,
    they are waited for as long as for any answer."""
    deadline = monotonic() + plan.remote.deadline
    while True:
        words, away, loading = _asked(pool, plan, key, path, read)
        if words or not loading or monotonic() + loading > deadline:
            break
        logger.warning("%s.urls: %s; waiting for it", key, "; ".join(away.values()))
        sleep(loading)
    if not words:
        raise UserError(f"{key}.urls: nobody can be reached: {'; '.join(away.values())}; {REMEDIES[plan.remote.api]}")
    for server, reason in away.items():
        logger.warning("%s.urls: %s; it is asked again later", key, reason)
        pool.leave_alone(server)
    return words


def _asked(
    pool: Pool, plan: TeacherConfig, key: str, path: str, read: Callable[[bytes], Word]
) -> tuple[dict[str, Word], dict[Server, str], float]:
    """Who says what, who does not and why, and in how many seconds one of these may, 0 for nobody knows."""
    asked = [(server, pool.get(server, path, min(PATIENCE, plan.remote.deadline))) for server in pool.servers]
    words: dict[str, Word] = {}
    away: dict[Server, str] = {}
    loading = 0.0
    for server, future in asked:
        try:
            words[server.url] = read(_content(future.result()))
        except Busy as error:
            away[server] = f"{server.url}: {error}"
            loading = error.seconds
        except Transient as error:
            away[server] = f"{server.url}: {error}"
        except (Refused, Malformed) as error:
            raise UserError(f"{key}.urls: {server.url}: {error}") from error
    return words, away, loading


def _content(said: HttpReply) -> bytes:
    check_status(said)
    return said.content


def _agreed(infos: dict[str, ServerInfo], key: str) -> ServerInfo:
    """One for all. Raises UserError where two servers are not the same teacher."""
    for name in ("name", "vocabulary", "vocab_size", "stop_ids", "banned_ids", "needs"):
        _one({url: getattr(info, name) for url, info in infos.items()}, key, name)
    for setting in sorted({setting for info in infos.values() for setting in info.settings.binding}):
        _one({url: info.settings.binding.get(setting) for url, info in infos.items()}, key, setting)
    return min(infos.values(), key=lambda info: info.top_k)


def _one(said: dict[str, Word], key: str, what: str) -> Word:
    (first_url, first), *others = said.items()
    for url, other in others:
        if other != first:
            raise UserError(
                f"{key}.urls: {first_url} and {url} are not the same teacher: {what} {first} and {other}; name servers "
                "of one teacher only"
            )
    return first
