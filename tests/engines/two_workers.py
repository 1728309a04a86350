"""A script: vLLM with two tensor-parallel workers in step with a student. Argument: a folder to write in."""

import sys
from pathlib import Path

import torch


def main(folder: Path) -> None:
    from uniopd_mm.config.parts import VLLMOptions
    from uniopd_mm.inference.engine import VLLMEngine
    from uniopd_mm.learner.weights import exported
    from uniopd_mm.models.backbone import Backbone, load_model
    from uniopd_mm.processors.qwen_vl import QwenVLProcessor
    from uniopd_mm.processors.tiny import TinyQwen3VL
    from uniopd_mm.rollout.self_check import SelfCheck
    from uniopd_mm.rollout.vllm import VLLMRollout
    from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions
    from uniopd_mm.types import Sampling

    samples = SyntheticVideoQuestions(num_pretrain=4, num_train=4, num_validation=4).samples("train").samples
    checkpoint = folder / "checkpoint"  # two heads of keys and values, one for each worker
    TinyQwen3VL(hidden_size=128, num_layers=1).write(checkpoint, [str(sample.demonstration) for sample in samples], 0)
    processor = QwenVLProcessor(str(checkpoint), video_num_frames=6)
    student = Backbone(load_model(str(checkpoint), "model.path"), banned_ids=processor.vocabulary.banned_ids)
    options = VLLMOptions(
        dtype="float32", enforce_eager=True, kv_cache_mb=64, max_model_len=512, tensor_parallel_size=2
    )
    engine = VLLMEngine(str(checkpoint), options, key="rollout.engine")
    check = SelfCheck(student, every=1, num_rollouts=6, tolerance=1e-5)
    rollout = VLLMRollout(engine, processor.vocabulary, check)
    sampling = Sampling(temperature=1.0, max_new_tokens=8, seed=3, policy_step=1)
    prompts = [processor.encode(sample) for sample in samples]
    for factor in (1.0, 1.2, 0.7):
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.mul_(factor)
        rollout.load_weights(exported(student.model))
        rollout.generate(prompts, 2, sampling)
    print(f"took weights by {engine._weight_loader.__name__}, 3 checks passed")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
