"""A corpus of domains, a processor whose samples may be bad, and several processes in step, as threads."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar, final

import torch
from core_parts import sample
from torch import Tensor

from uniopd_mm.data.mixture import Mixture, MixtureState
from uniopd_mm.data.prompts import PromptStream
from uniopd_mm.runtime.world import World
from uniopd_mm.types import BadSample, Prompt, Sample, Settings, Vocabulary

T = TypeVar("T")


def corpus(**sizes: int) -> list[Sample]:
    return [sample(f"{domain}-{number}", domain) for domain, size in sizes.items() for number in range(size)]


def mixture(sizes: Mapping[str, int], quotas: Mapping[str, int], state: MixtureState | None = None) -> Mixture:
    made = Mixture(corpus(**sizes), 3, state)
    made.set_quotas(quotas)
    return made


@final
@dataclass(frozen=True)
class Picky:
    """A processor of three tokens a prompt that cannot use samples whose id is in `bad`."""

    bad: frozenset[str] = frozenset()
    encoded: list[str] = field(default_factory=list)

    @property
    def vocabulary(self) -> Vocabulary:
        return Vocabulary(tokens={"a": 0}, stop_ids=(0,), banned_ids=(), pad_id=0)

    @property
    def settings(self) -> Settings:
        return Settings(binding={}, informative={})

    def encode(self, sample: Sample) -> Prompt:
        self.encoded.append(sample.sample_id)
        if sample.sample_id in self.bad:
            raise BadSample("its clip is torn")
        ids = torch.zeros(3, dtype=torch.int64)
        return Prompt(sample=sample, token_ids=ids, engine_token_ids=ids)

    def decode(self, ids: Tensor) -> str:
        return ""

    def check_media(self, prompt: Prompt) -> None:
        pass

    def encode_response(self, text: str) -> Tensor:
        return torch.zeros(1, dtype=torch.int64)

    def pieces(self, ids: Tensor) -> list[str]:
        return [""] * len(ids)

    def token_bytes(self, ids: Tensor) -> list[bytes]:
        return [b""] * len(ids)

    def save(self, folder: Path) -> None:
        """Nothing to save."""


@final
@dataclass(frozen=True)
class Lockstep:
    """One of several threads that wait for each other in `gather`, as processes do."""

    rank: int
    size: int
    items: list[Any]
    barrier: Barrier

    def sizes(self, num_items: int) -> list[int]:
        return World.sizes(self, num_items)  # type: ignore[arg-type]

    def gather(self, item: T) -> list[T]:
        self.items[self.rank] = item
        self.barrier.wait()
        everybodys = list(self.items)
        self.barrier.wait()
        return everybodys


def in_step(size: int, work: Callable[[World], T]) -> list[T]:
    """What `work` gives in each of `size` processes."""
    barrier, items = Barrier(size, timeout=300), [None] * size
    worlds = [Lockstep(rank, size, items, barrier) for rank in range(size)]
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(work, worlds))  # type: ignore[arg-type]


def stream(of: Mixture, processor: Picky, world: World | None = None) -> PromptStream:
    return PromptStream(of, processor, 100, world or World())
