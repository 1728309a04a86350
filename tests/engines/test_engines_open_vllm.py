"""Further families in vLLM: its log-probs are those of transformers to 1e-5, before and after a weight sync, or it
refuses the prompt."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm")

from families import samples
from matrix_parts import OPTIONS, SAMPLING, TOLERANCE, disturb, forward
from open_families import OPEN, write_open

from uniopd_mm.inference.engine import VLLMEngine
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.auto import auto_processor
from uniopd_mm.rollout.vllm import VLLMRollout
from uniopd_mm.types import UserError

KINDS = {
    "gemma3": ("text",),  # on a CPU, vLLM does not let the tokens of a picture see each other
    "gemma4": OPEN["gemma4"].kinds,
    "glm4v": OPEN["glm4v"].kinds,
    "internvl": ("text", "image", "two_images"),
    "llava_onevision": ("text", "image", "video"),
    "mistral3": OPEN["mistral3"].kinds,
    "smolvlm": OPEN["smolvlm"].kinds,
}
OTHER_IDS = {"internvl": "video", "llava_onevision": "two_images"}


@pytest.mark.parametrize("name", KINDS)
def test_logprobs_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    folder = write_open(name, tmp_path)
    processor = auto_processor(folder)
    student = Backbone(load_model(folder, "m"), processor.vocabulary.banned_ids)
    engine = VLLMRollout(VLLMEngine(folder, OPTIONS, key="e"), processor.vocabulary, trained=student.model)
    prompts = [processor.encode(samples()[kind]) for kind in KINDS[name]]
    check(engine, prompts, student)
    disturb(student, seed=0)
    engine.load_weights(student.model.state_dict().items())
    check(engine, prompts, student)
    if kind := OTHER_IDS.get(name):
        with pytest.raises(UserError, match="to other token ids than the trainer"):
            engine.generate([processor.encode(samples()[kind])], 1, SAMPLING)


def check(engine: VLLMRollout, prompts: Any, student: Backbone) -> None:
    for group in engine.generate(prompts, 2, SAMPLING):
        for rollout in group:
            difference = (forward(student, rollout) - rollout.logprobs).abs().max()
            assert difference < TOLERANCE, (rollout.prompt.sample.sample_id, difference)
