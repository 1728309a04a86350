"""New weights for vLLM: every way to hand them over gives the trainer's own log-probs, and no second copy stays."""

import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("vllm")

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.inference import engine as engine_module
from uniopd_mm.inference.engine import VLLMEngine
from uniopd_mm.inference.weights import load_directly, reload, reload_everywhere
from uniopd_mm.learner.weights import exported
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.self_check import SelfCheck
from uniopd_mm.rollout.vllm import VLLMRollout
from uniopd_mm.types import Prompt, Sampling

OPTIONS = VLLMOptions(dtype="float32", enforce_eager=True, kv_cache_mb=64, max_model_len=512)
SAMPLING = Sampling(temperature=1.0, max_new_tokens=8, seed=3, policy_step=1)
TWO_WORKERS = Path(__file__).with_name("two_workers.py")


@pytest.fixture
def student(checkpoint: str, processor: QwenVLProcessor) -> Backbone:
    return Backbone(load_model(checkpoint, "model.path"), banned_ids=processor.vocabulary.banned_ids)


def checked(engine: VLLMEngine, student: Backbone, processor: QwenVLProcessor) -> VLLMRollout:
    return VLLMRollout(engine, processor.vocabulary, SelfCheck(student, every=1, num_rollouts=6, tolerance=1e-5))


def disturb(student: Backbone, factor: float) -> None:
    with torch.no_grad():
        for parameter in student.parameters():
            parameter.mul_(factor)


def follow(rollout: VLLMRollout, student: Backbone, prompts: list[Prompt]) -> None:
    """The same clips before and after two syncs: stale keys, values or embeddings would be found."""
    for factor in (1.0, 1.2, 0.7):
        disturb(student, factor)
        rollout.load_weights(exported(student.model))
        rollout.generate(prompts[:3], 2, SAMPLING)


def places(engine: VLLMEngine) -> list[int]:
    (found,) = engine._llm.apply_model(lambda model: [parameter.data_ptr() for parameter in model.parameters()])
    return found


def test_plain_weights_are_copied_into_place(
    checkpoint: str, processor: QwenVLProcessor, student: Backbone, prompts: list[Prompt]
) -> None:
    engine = VLLMEngine(checkpoint, OPTIONS, key="rollout.engine")
    before = places(engine)
    assert engine._weight_loader is load_directly
    follow(checked(engine, student, processor), student, prompts)
    assert places(engine) == before


def test_packed_weights_are_reloaded(
    checkpoint: str,
    processor: QwenVLProcessor,
    student: Backbone,
    prompts: list[Prompt],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "unpacked_weights", nullcontext)
    engine = VLLMEngine(checkpoint, OPTIONS, key="rollout.engine")
    assert engine._weight_loader is reload
    follow(checked(engine, student, processor), student, prompts)


def test_workers_of_their_own_read_weights_from_shared_memory(tmp_path: Path) -> None:
    """Two tensor-parallel processes, started by a script, since they import what started them."""
    outcome = subprocess.run(
        [sys.executable, TWO_WORKERS, tmp_path], capture_output=True, text=True, timeout=300, cwd=tmp_path
    )
    assert outcome.returncode == 0, outcome.stderr[-3000:]
    assert outcome.stdout.splitlines()[-1] == f"took weights by {reload_everywhere.__name__}, 3 checks passed"


def test_a_failed_self_check_would_be_seen(
    checkpoint: str, processor: QwenVLProcessor, student: Backbone, prompts: list[Prompt]
) -> None:
    """The tests above can fail: without the last sync they do."""
    engine = VLLMEngine(checkpoint, replace(OPTIONS, max_model_len=256), key="rollout.engine")
    rollout = checked(engine, student, processor)
    follow(rollout, student, prompts)
    disturb(student, 1.2)
    rollout.check.count_sync()  # type: ignore[union-attr]
    with pytest.raises(Exception, match="does not sample from the trained model"):
        rollout.generate(prompts[:3], 2, SAMPLING)
