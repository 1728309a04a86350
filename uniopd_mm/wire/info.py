"""A server's description of its teacher, which a run checks before it sends any request."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from uniopd_mm.models.identity import Identity, vocabulary_digest
from uniopd_mm.types import Settings, Vocabulary
from uniopd_mm.wire import PROTOCOL
from uniopd_mm.wire.codec import UNEXPECTED, Malformed, digest, unpack
from uniopd_mm.wire.media import Needs

PACKAGES = ("uniopd-mm", "torch", "transformers", "vllm")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerInfo:
    """A server's teacher.

    `vocabulary` is a digest of its tokens and their ids; `stop_ids` and `banned_ids` are its tokenizer's. `vocab_size`
    counts the rows of the model's output embedding. `top_k` is the number of likeliest tokens that a request may ask
    for. `settings` are those of its processor.
    """

    name: str
    vocabulary: str
    num_tokens: int
    stop_ids: tuple[int, ...]
    banned_ids: tuple[int, ...]
    vocab_size: int
    needs: Needs
    top_k: int
    settings: Settings
    versions: Mapping[str, str]
    protocol: int = PROTOCOL

    @property
    def digest(self) -> str:
        """Every reply repeats it, so that the client notices if the server was replaced by that of another teacher."""
        return digest(f"{self.protocol}/{self.name}/{self.vocabulary}/{self.vocab_size}/{self.needs}".encode())

    def model_identity(self, tokens: Mapping[str, int] | None) -> Identity:
        """For comparison with the student; `tokens` are all tokens and their ids, if known."""
        return Identity(
            vocabulary=self.vocabulary,
            num_tokens=self.num_tokens,
            stop_ids=self.stop_ids,
            banned_ids=self.banned_ids,
            vocab_size=self.vocab_size,
            settings=self.settings,
            preprocesses=self.needs is Needs.ENGINE_MEDIA,
            tokens=tokens,
        )

    def json(self) -> bytes:
        return json.dumps(asdict(self), indent=1).encode()


def server_info(
    name: str, vocabulary: Vocabulary, *, vocab_size: int, needs: Needs, top_k: int, settings: Settings
) -> ServerInfo:
    """The info of a teacher in this process."""
    return ServerInfo(
        name=name,
        vocabulary=vocabulary_digest(vocabulary),
        num_tokens=len(vocabulary.tokens),
        stop_ids=vocabulary.stop_ids,
        banned_ids=vocabulary.banned_ids,
        vocab_size=vocab_size,
        needs=needs,
        top_k=top_k,
        settings=settings,
        versions=_versions(),
    )


def read_info(content: bytes) -> ServerInfo:
    """Read the output of `ServerInfo.json`. Raises Malformed if it is anything else, or of another protocol."""
    try:
        values: dict[str, Any] = json.loads(content)
        if values["protocol"] != PROTOCOL:
            raise Malformed(f"uses protocol {values['protocol']}, this run {PROTOCOL}; install one version on both")
        known = {field.name: values[field.name] for field in fields(ServerInfo)}
        ids = {name: tuple(known[name]) for name in ("stop_ids", "banned_ids")}
        settings = Settings(**{name: dict(part) for name, part in known["settings"].items()})
        return ServerInfo(**{**known, **ids, "settings": settings, "needs": Needs(known["needs"])})
    except Malformed:
        raise
    except UNEXPECTED as error:
        raise Malformed("the reply is not that of a uniopd_mm.serve server") from error


def read_vocabulary(content: bytes) -> Vocabulary:
    """Raises Malformed if the content is not a packed `Vocabulary`."""
    values = unpack(content)
    try:
        tokens = {str(token): int(index) for token, index in values["tokens"].items()}
        stop_ids, banned_ids = (tuple(map(int, values[name])) for name in ("stop_ids", "banned_ids"))
        return Vocabulary(tokens=tokens, stop_ids=stop_ids, banned_ids=banned_ids, pad_id=int(values["pad_id"]))
    except UNEXPECTED as error:
        raise Malformed("the reply is not a vocabulary") from error


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # vLLM is optional
    return found
