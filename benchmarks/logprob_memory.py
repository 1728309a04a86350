"""Peak memory of per-token log-probs beyond their inputs, forward and backward, on the CPU.

    python benchmarks/logprob_memory.py

B=1, T=4096, H=64, V=151,936 (a Qwen vocabulary) in float32, with the chunk size of a `Backbone`; log-probs and entropy
are both back-propagated. Each variant runs in a fresh process and reports the growth of its peak resident memory
(VmHWM). This counts everything: logits, gradients (39 MB for the head weight), and unused memory of the allocator. The
naive form, a full log_softmax, is measured at T=512; at T=4096 it would need eight times as much. Not measured: GPUs.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from uniopd_mm.distill.logprobs import token_logprobs
from uniopd_mm.models.backbone import LOGITS_BUDGET
from uniopd_mm.types import Head

HIDDEN, VOCABULARY = 64, 151_936
LIMIT_MB = 400


@dataclass(frozen=True)
class Figures:
    """Peak memory of one variant beyond its inputs in MB (10^6 bytes), and seconds of forward and backward on one
    thread."""

    megabytes: float
    seconds: float


def naive(hidden: Tensor, head_weight: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The textbook form: all logits at once."""
    logprobs = torch.log_softmax(hidden[:, :-1] @ head_weight.T, dim=-1)
    return logprobs.gather(-1, ids[:, 1:, None]).squeeze(-1), -(logprobs.exp() * logprobs).sum(-1)


def chunked(hidden: Tensor, head_weight: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """The form used to score student and teachers."""
    chunk_size = LOGITS_BUDGET // VOCABULARY
    return token_logprobs(hidden, Head(weight=head_weight), ids, chunk_size=chunk_size, temperature=1.0)


VARIANTS: dict[str, Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]] = {"chunked": chunked, "naive": naive}


def measure(variant: str, length: int) -> Figures:
    """Run one variant in this process. It must be a fresh one, because a peak cannot be reset."""
    torch.set_num_threads(1)
    _run(variant, 2)  # load code and libraries
    torch.manual_seed(0)
    inputs = _inputs(length)
    before, began = _status("VmRSS"), time.perf_counter()
    _forward_and_backward(variant, *inputs)
    return Figures(megabytes=(_status("VmHWM") - before) / 1e6, seconds=time.perf_counter() - began)


def measure_apart(variant: str, length: int) -> Figures:
    """The same in a new process."""
    command = [sys.executable, __file__, variant, str(length)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return Figures(**json.loads(output))


def _run(variant: str, length: int) -> None:
    _forward_and_backward(variant, *_inputs(length))


def _inputs(length: int) -> tuple[Tensor, Tensor, Tensor]:
    hidden = torch.randn(1, length, HIDDEN, requires_grad=True)
    head_weight = torch.randn(VOCABULARY, HIDDEN).mul_(HIDDEN**-0.5).requires_grad_()
    return hidden, head_weight, torch.randint(VOCABULARY, (1, length))


def _forward_and_backward(variant: str, hidden: Tensor, head_weight: Tensor, ids: Tensor) -> None:
    logprobs, entropy = VARIANTS[variant](hidden, head_weight, ids)
    (logprobs.mean() + entropy.mean()).backward()


def _status(field: str) -> int:
    """Bytes that Linux reports for this process: VmRSS is the current resident memory, VmHWM its peak."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


def main() -> None:
    """Print both variants; exit status 1 above the limit."""
    rows = [("chunked", 4096), ("chunked", 512), ("naive", 512)]
    print(f"B=1, H={HIDDEN}, V={VOCABULARY}, float32, chunks of {LOGITS_BUDGET // VOCABULARY} predictions, one thread")
    print(f"{'variant':10} {'T':>6} {'peak over inputs':>18} {'seconds':>9}")
    figures = {row: measure_apart(*row) for row in rows}
    for (variant, length), measured in figures.items():
        print(f"{variant:10} {length:6} {measured.megabytes:15.0f} MB {measured.seconds:9.1f}")
    print(f"{'naive':10} {4096:6} {figures['naive', 512].megabytes * 8:15.0f} MB {'(computed)':>10}")
    sys.exit(figures["chunked", 4096].megabytes > LIMIT_MB)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(asdict(measure(sys.argv[1], int(sys.argv[2])))))
    else:
        main()
