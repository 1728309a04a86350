"""Time of margin calibration relative to one pass over the token rewards, on the CPU.

    python benchmarks/calibration.py

64 groups x 16 samples x 4,096 tokens in float32, responses of random length, one thread. The baseline "one pass" is the
least that any method does with token rewards: a mean over the masked tokens, written in its fastest form, and an
addition. Shift and mask are timed completely: returns, calibration, and the change of every token reward. Variants run
in turns, so that a slowdown of the machine affects all of them; figures are medians. Not measured: GPUs.
"""

import ctypes
import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from uniopd_mm.distill.calibration import distillation_return, margin_mask, margin_shift

NUM_GROUPS, GROUP_SIZE, NUM_TOKENS = 64, 16, 4096
REPEATS = 31
LIMIT = 2.0

Outcomes = tuple[Tensor, Tensor, Tensor]  # correct, incorrect, group ids


def one_pass(rewards: Tensor, mask: Tensor, outcomes: Outcomes) -> Tensor:
    """The baseline."""
    return rewards + (torch.where(mask, rewards, 0).sum(-1) / mask.sum(-1, dtype=torch.int32))[:, None]


def shift(rewards: Tensor, mask: Tensor, outcomes: Outcomes) -> Tensor:
    """The published setting."""
    returns = distillation_return(rewards, mask)
    amount = margin_shift(returns, *outcomes, scope="group", statistic="mean", direction="both", delta=0.4)
    return rewards + amount[:, None]


def greedy_mask(rewards: Tensor, mask: Tensor, outcomes: Outcomes) -> Tensor:
    """With a margin that makes it drop many samples."""
    returns = distillation_return(rewards, mask)
    keep = margin_mask(returns, *outcomes, scope="group", statistic="mean", delta=0.4, min_retain_ratio=0.25)
    return torch.where(keep[:, None], rewards, 0)


VARIANTS: dict[str, Callable[[Tensor, Tensor, Outcomes], Tensor]] = {
    "one pass": one_pass,
    "shift": shift,
    "greedy mask": greedy_mask,
}


def measure() -> dict[str, float]:
    """Median seconds of each variant. The first round, which loads code, does not count."""
    torch.set_num_threads(1)
    _keep_freed_memory()
    inputs = _inputs()
    seconds: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(1 + REPEATS):
        for name, variant in VARIANTS.items():
            began = time.perf_counter()
            variant(*inputs)
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def _keep_freed_memory() -> None:
    """Make glibc reuse freed memory for the next array.

    Otherwise it returns some arrays to the system, depending on what is allocated after them, and mapping 16 MB again
    takes longer than everything that is timed.
    """
    trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX of <malloc.h>
    allocator = ctypes.CDLL(None)
    allocator.mallopt(trim_threshold, 2**31 - 1)
    allocator.mallopt(mmap_max, 0)


def _inputs() -> tuple[Tensor, Tensor, Outcomes]:
    generator = torch.Generator().manual_seed(0)
    num_samples = NUM_GROUPS * GROUP_SIZE
    rewards = torch.randn(num_samples, NUM_TOKENS, generator=generator)
    lengths = torch.randint(1, NUM_TOKENS + 1, (num_samples,), generator=generator)
    mask = torch.arange(NUM_TOKENS) < lengths[:, None]
    correct = torch.rand(num_samples, generator=generator) < 0.5
    return rewards, mask, (correct, ~correct, torch.arange(num_samples) // GROUP_SIZE)


def main() -> None:
    """Print all variants; exit status 1 if one of them exceeds the limit."""
    figures = measure()
    print(f"{NUM_GROUPS} groups x {GROUP_SIZE} samples x {NUM_TOKENS:,} tokens, float32, one thread, n={REPEATS}")
    print(f"{'variant':12} {'milliseconds':>12} {'over one pass':>14}")
    ratios = {name: seconds / figures["one pass"] for name, seconds in figures.items()}
    for name, ratio in ratios.items():
        print(f"{name:12} {figures[name] * 1e3:12.1f} {ratio:14.2f}")
    sys.exit(max(ratios.values()) > LIMIT)


if __name__ == "__main__":
    main()
