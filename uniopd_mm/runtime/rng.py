"""Saves and restores the state of the global random generators, for checkpoints and around libraries that draw from
them."""

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def rng_state() -> dict[str, Any]:
    """The state of every global random generator: lists, tensors, numbers and texts."""
    version, numbers, gauss = random.getstate()
    numpy_state: Any = np.random.get_state()
    name, words, *rest = numpy_state
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [name, words.tolist(), *rest],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_rng_state(state: Mapping[str, Any]) -> None:
    """Restore a state returned by `rng_state`."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    name, words, *rest = state["numpy"]
    np.random.set_state((name, np.array(words, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])


@contextmanager
def untouched_rng() -> Iterator[None]:
    """Restore all global random generators after the block, whatever it drew or seeded."""
    state = rng_state()
    try:
        yield
    finally:
        restore_rng_state(state)
