"""The processes that train one student together. One process is a world of its own; `accelerate launch` makes more.

Everything that must be the same whatever the number of processes goes through `gather`: what it returns is equal on
all of them, so that each decides alike. Leaves out: sharded weights (FSDP2), which need a world of their own kind.
"""

import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from itertools import pairwise
from typing import TypeVar, final

import torch
from accelerate import Accelerator
from accelerate.utils import (
    DistributedDataParallelKwargs,
    DistributedType,
    InitProcessGroupKwargs,
    broadcast_object_list,
    gather_object,
)
from torch import nn

from uniopd_mm.types import UserError

PLAIN = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
T = TypeVar("T")


@final
class World:
    """This process among the others."""

    def __init__(self) -> None:
        # A batch without media leaves the vision tower without a gradient. Long responses of one process, or a slow
        # disk of the main one, are no reason to give up.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
        patience = InitProcessGroupKwargs(timeout=timedelta(hours=2))
        # `model.dtype` decides what is computed in, whatever the user's accelerate configuration says.
        self._accelerator = Accelerator(
            cpu=not torch.cuda.is_available(), mixed_precision="no", kwargs_handlers=[unused, patience]
        )
        if self._accelerator.distributed_type not in PLAIN:
            kind = self._accelerator.distributed_type.value
            raise UserError(f"accelerate launch: {kind} is not supported; launch plain data parallelism (--multi_gpu)")

    @property
    def rank(self) -> int:
        return self._accelerator.process_index

    @property
    def size(self) -> int:
        return self._accelerator.num_processes

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's files and speaks to the console."""
        return self.rank == 0

    def gather(self, item: T) -> list[T]:
        """Every process's item, by rank."""
        return gather_object([item]) if self.size > 1 else [item]

    def from_main(self, make: Callable[[], T]) -> T:
        """What `make` gives on the main process, everywhere; where it raises there, the others end quietly."""
        made: list[T] = []
        try:
            made = [make()] if self.is_main else []
        finally:
            everybodys = broadcast_object_list([made])[0] if self.size > 1 else made
        if not everybodys:
            sys.exit(2)
        return everybodys[0]

    def sizes(self, num_items: int) -> list[int]:
        """How many of `num_items` each process takes: within one of each other."""
        edges = [num_items * rank // self.size for rank in range(self.size + 1)]
        return [end - start for start, end in pairwise(edges)]

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's part of a list that all have: contiguous, in order."""
        start = sum(self.sizes(len(items))[: self.rank])
        return items[start : start + self.sizes(len(items))[self.rank]]

    def wait(self) -> None:
        """Until every process is here."""
        self._accelerator.wait_for_everyone()

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module whose backward pass averages gradients over the processes."""
        return self._accelerator.prepare_model(module) if self.size > 1 else module

    def without_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """For all but the last backward pass of an update."""
        return self._accelerator.no_sync(module)
