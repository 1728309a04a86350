"""A cache of encoded prompts: a later epoch, or the next validation, need not decode the same media again."""

from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import final

from torch import Tensor

from uniopd_mm.interfaces import Processor
from uniopd_mm.types import Prompt, Sample, Settings, Vocabulary


@final
class CachedProcessor:
    """A processor that caches the most recently used prompts.

    Args:
        processor: encodes the prompts. Its `encode` must depend on nothing but the sample.
        max_bytes: limit on the cached token and media tensors; 0 caches nothing.
    """

    def __init__(self, processor: Processor, max_bytes: int) -> None:
        self.processor = processor
        self.max_bytes = max_bytes
        self._prompts: OrderedDict[tuple[str, str], Prompt] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def vocabulary(self) -> Vocabulary:
        return self.processor.vocabulary

    @property
    def settings(self) -> Settings:
        return self.processor.settings

    def encode(self, sample: Sample) -> Prompt:
        """See `Processor.encode`."""
        key = (sample.domain, sample.sample_id)
        with self._lock:
            if key in self._prompts:
                self._prompts.move_to_end(key)
                return self._prompts[key]
        prompt = self.processor.encode(sample)
        with self._lock:
            self._store(key, prompt)
        return prompt

    def check_media(self, prompt: Prompt) -> None:
        self.processor.check_media(prompt)

    def decode(self, ids: Tensor) -> str:
        return self.processor.decode(ids)

    def encode_response(self, text: str) -> Tensor:
        return self.processor.encode_response(text)

    def pieces(self, ids: Tensor) -> list[str]:
        return self.processor.pieces(ids)

    def token_bytes(self, ids: Tensor) -> list[bytes]:
        return self.processor.token_bytes(ids)

    def save(self, folder: Path) -> None:
        self.processor.save(folder)

    def _store(self, key: tuple[str, str], prompt: Prompt) -> None:
        if key in self._prompts:  # another thread was faster
            return
        self._prompts[key] = prompt
        self._bytes += num_bytes(prompt)
        while self._bytes > self.max_bytes:
            _, oldest = self._prompts.popitem(last=False)
            self._bytes -= num_bytes(oldest)


def num_bytes(prompt: Prompt) -> int:
    """Bytes of a prompt's tensors. Its media for an engine are of similar size or share their memory."""
    tensors = (prompt.token_ids, *prompt.media.values(), *prompt.token_features.values())
    return sum(tensor.nbytes for tensor in tensors)
