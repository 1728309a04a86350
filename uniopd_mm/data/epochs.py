"""The order in which prompts are drawn: every sample once per epoch, reshuffled from the seed for each epoch.

The position in this order is one number, `position`, which is all that a resumed run needs. For several domains see
`mixture`.
"""

from collections.abc import Sequence
from typing import final

import torch

from uniopd_mm.types import Sample


@final
class EpochOrder:
    """An endless, reproducible order of a corpus.

    Args:
        samples: at least one.
        seed: seed of the shuffles.
        position: samples drawn so far.
    """

    def __init__(self, samples: Sequence[Sample], seed: int, position: int = 0) -> None:
        if not samples:
            raise ValueError("an order needs at least one sample")
        self.samples = samples
        self.seed = seed
        self.position = position
        self._order = self._shuffled(self.epoch)

    @property
    def epoch(self) -> int:
        """Number of full passes so far."""
        return self.position // len(self.samples)

    def next(self) -> Sample:
        """Return the sample at `position` and advance it by one."""
        offset = self.position % len(self.samples)
        if offset == 0:
            self._order = self._shuffled(self.epoch)
        self.position += 1
        return self.samples[self._order[offset]]

    def _shuffled(self, epoch: int) -> list[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(len(self.samples), generator=generator).tolist()
