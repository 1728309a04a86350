"""The random numbers of a response.

They depend only on the seed of the run, the policy step, the sample (its domain and id), the prompt's place in the step
and the response's index among those of its prompt. So the rest of the batch and the number of processes cannot change
them, and a sample that is drawn twice in one step is answered twice.
"""

import hashlib

import torch
from torch import Tensor

from uniopd_mm.types import Prompt, Sampling


def prompt_seed(prompt: Prompt, sampling: Sampling) -> int:
    """The seed of the prompt's first response, for engines that then use seed + 1, ...: a multiple of 2**16."""
    return int.from_bytes(_digest(prompt, sampling), "little") >> 17 << 16


def draw(prompt: Prompt, index: int, sampling: Sampling) -> Tensor:
    """The random numbers of one response: f64[max_new_tokens] in [0, 1)."""
    seed = int.from_bytes(_digest(prompt, sampling, index), "little", signed=True)
    generator = torch.Generator().manual_seed(seed)
    # 53 random bits reach even the rarest ids; the largest value, 1 - 2**-53, times any sum still rounds below the sum.
    return torch.rand(sampling.max_new_tokens, generator=generator, dtype=torch.float64)


def _digest(prompt: Prompt, sampling: Sampling, *more: int) -> bytes:
    """Eight bytes."""
    sample = prompt.sample
    key = (sampling.seed, sampling.policy_step, sample.domain, sample.sample_id, prompt.place, *more)
    return hashlib.sha256(repr(key).encode()).digest()[:8]
