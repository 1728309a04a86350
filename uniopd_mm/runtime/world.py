"""The processes that train one student together: one by default, several with `accelerate launch`.

Every decision that must not depend on the number of processes uses `gather`, which returns the same list on all of
them. Not here: sharded weights (FSDP2), which need a world of their own kind.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
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

SHARDING = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "PARALLELISM_CONFIG")  # as in ACCELERATE_USE_FSDP
PLAIN = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
T = TypeVar("T")


@final
class World:
    """The group of processes, as seen from this one."""

    def __init__(self) -> None:
        check_launcher(os.environ)
        # A batch without media leaves the vision tower without a gradient. The timeout is long because one process may
        # generate long responses, and the main one may write to a slow disk.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True, broadcast_buffers=False)
        timeout = InitProcessGroupKwargs(timeout=timedelta(hours=2))
        # `model.dtype` sets the precision, whatever the user's accelerate configuration says.
        self._accelerator = Accelerator(
            cpu=not torch.cuda.is_available(), mixed_precision="no", kwargs_handlers=[unused, timeout]
        )
        if self._accelerator.distributed_type not in PLAIN:
            kind = self._accelerator.distributed_type.value
            raise UserError(f"accelerate launch: {kind} is not supported; use plain data parallelism (--multi_gpu)")

    @property
    def rank(self) -> int:
        return self._accelerator.process_index

    @property
    def size(self) -> int:
        return self._accelerator.num_processes

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run's files and prints to the console."""
        return self.rank == 0

    def gather(self, item: T) -> list[T]:
        """The items of all processes, by rank."""
        return gather_object([item]) if self.size > 1 else [item]

    def from_main(self, make: Callable[[], T]) -> T:
        """Call `make` on the main process and return its result on all of them. If it raises there, the others exit
        silently."""
        result: list[T] = []
        try:
            result = [make()] if self.is_main else []
        finally:
            shared = broadcast_object_list([result])[0] if self.size > 1 else result
        if not shared:
            sys.exit(2)
        return shared[0]

    def sizes(self, num_items: int) -> list[int]:
        """The number of items for each process out of `num_items`; they differ by at most one."""
        edges = [num_items * rank // self.size for rank in range(self.size + 1)]
        return [end - start for start, end in pairwise(edges)]

    def share(self, items: Sequence[T]) -> Sequence[T]:
        """This process's contiguous part of a list that all processes have, in order."""
        start = sum(self.sizes(len(items))[: self.rank])
        return items[start : start + self.sizes(len(items))[self.rank]]

    def wait(self) -> None:
        """Wait for all processes."""
        self._accelerator.wait_for_everyone()

    def wrapped(self, module: nn.Module) -> nn.Module:
        """The module, wrapped so that its backward pass averages gradients over the processes."""
        return self._accelerator.prepare_model(module) if self.size > 1 else module

    def without_sync(self, module: nn.Module) -> AbstractContextManager[None]:
        """Context for all backward passes of an update except the last."""
        return self._accelerator.no_sync(module)


def check_launcher(environment: Mapping[str, str]) -> None:
    """Refuse launchers that shard weights. transformers obeys their variables too, and would load the weights of every
    model, teachers included, on rank 0 only.

    Raises:
        UserError: on rank 0, which names the variable; the others exit silently.
    """
    for kind in SHARDING:
        variable = f"ACCELERATE_USE_{kind}"
        if environment.get(variable, "").lower() in ("1", "true", "t", "yes", "y", "on"):
            if environment.get("RANK", "0") != "0":
                sys.exit(2)
            raise UserError(
                f"{variable}={environment[variable]}: sharded weights are not supported; start with `accelerate launch "
                "--multi_gpu` (plain data parallelism), without this option and without a config file that sets it"
            )
