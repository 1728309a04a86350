"""Cost and accuracy of vLLM inside a training process on this machine: weight syncs, drift and memory.

    python benchmarks/engines.py

- sync: the time to load new weights into vLLM, as a multiple of the time to copy them once; for a model of about
  120 M parameters in float32, measured in turns.
- drift: 50 steps of the tiny model. Each step generates rollouts for recurring clips, loads new weights, and compares
  every sampled token with the trainer's own forward pass. Reports the largest difference in nats, and the slope of
  the process's memory over the second half, in KiB per step.

Exit status 1 if a sync takes more than LIMIT copies, a token differs by more than EXACT, or memory grows by more than
GROWTH per step.
"""

import ctypes
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.inference.engine import VLLMEngine
from uniopd_mm.learner.weights import exported
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.tiny import TinyQwen3VL
from uniopd_mm.rollout.vllm import VLLMRollout
from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions
from uniopd_mm.types import Prompt, Rollout, Sampling

REPEATS = 9
STEPS = 50
PROMPTS_PER_STEP = 16
LIMIT = 2.0
EXACT = 1e-5
GROWTH = 64.0
OPTIONS = VLLMOptions(dtype="float32", enforce_eager=True, kv_cache_mb=64, max_model_len=512)
CLIPS = SyntheticVideoQuestions(num_pretrain=4, num_train=32, num_validation=4)


@dataclass(frozen=True, kw_only=True)
class Student:
    """A model with its engine."""

    backbone: Backbone
    processor: QwenVLProcessor
    engine: VLLMEngine

    @classmethod
    def of_size(cls, folder: Path, hidden_size: int, num_layers: int) -> "Student":
        texts = [str(sample.demonstration) for sample in CLIPS.samples("train")]
        TinyQwen3VL(hidden_size=hidden_size, num_layers=num_layers).write(folder, texts, seed=0)
        processor = QwenVLProcessor(str(folder), video_num_frames=6)
        backbone = Backbone(load_model(str(folder), "model.path"), banned_ids=processor.vocabulary.banned_ids)
        return cls(backbone=backbone, processor=processor, engine=VLLMEngine(str(folder), OPTIONS, key="engine"))

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.backbone.parameters())


def sync_ratio(student: Student) -> tuple[float, float]:
    """Median milliseconds of a copy, and the median ratio of a sync to the copy before it."""
    copies = {name: tensor.clone() for name, tensor in exported(student.backbone.model)}
    pairs = list(_timed(student, copies))[1:]  # the first sync maps its memory
    return statistics.median(copy for copy, _ in pairs) * 1e3, statistics.median(sync / copy for copy, sync in pairs)


def _timed(student: Student, copies: dict[str, torch.Tensor]) -> Iterator[tuple[float, float]]:
    for _ in range(REPEATS + 1):
        began = time.perf_counter()
        for name, tensor in exported(student.backbone.model):
            copies[name].copy_(tensor)
        copied = time.perf_counter()
        student.engine.load_weights(exported(student.backbone.model))
        yield copied - began, time.perf_counter() - copied


def drift(student: Student) -> tuple[float, float]:
    """The largest difference of a sampled token's log-prob [nats], and the slope of memory [KiB/step]."""
    writer = VLLMRollout(student.engine, student.processor.vocabulary)
    prompts = [student.processor.encode(sample) for sample in CLIPS.samples("train")]
    optimizer = torch.optim.AdamW(student.backbone.parameters(), lr=2e-4)
    worst, memory = 0.0, []
    for step in range(STEPS):
        rollouts = write(writer, prompts, step)
        logprobs = student.backbone(collate_rollouts(rollouts, 0), 1.0)[0]
        sampled = torch.cat([rollout.logprobs for rollout in rollouts])
        worst = max(worst, (sampled - logprobs).abs().max().item())
        (logprobs * torch.randn(len(logprobs))).mean().backward()  # in any direction
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        writer.load_weights(exported(student.backbone.model))
        memory.append(resident_kib())
    later = memory[STEPS // 2 :]
    return worst, statistics.linear_regression(range(len(later)), later).slope


def write(writer: VLLMRollout, prompts: list[Prompt], step: int) -> list[Rollout]:
    sampling = Sampling(temperature=1.0, max_new_tokens=16, seed=0, policy_step=step)
    start = step * PROMPTS_PER_STEP % len(prompts)
    return [one for group in writer.generate(prompts[start : start + PROMPTS_PER_STEP], 4, sampling) for one in group]


def resident_kib() -> int:
    """Resident memory of this process, without memory that the allocator holds in reserve, which varies by
    megabytes."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def main() -> int:
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        large = Student.of_size(Path(folder) / "large", 1024, 8)
        copy, ratio = sync_ratio(large)
        print(f"sync: {large.num_parameters / 1e6:.0f} M parameters, a copy {copy:.0f} ms, a sync {ratio:.2f} copies")
        tiny = Student.of_size(Path(folder) / "tiny", 128, 2)
        worst, slope = drift(tiny)
        print(f"drift: {STEPS} steps and syncs, at most {worst:.1e} nats apart, memory {slope:+.0f} KiB a step")
    return int(ratio > LIMIT or worst > EXACT or slope > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
