"""One family's tiny model in transformers and in vLLM, with the same weights, and what both are compared with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from families import kinds, processor_of, samples, write_family
from torch import Tensor

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.inference.engine import VLLMEngine
from uniopd_mm.interfaces import Processor, RolloutEngine, Teacher
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.rollout.vllm import VLLMRollout
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.teachers.vllm import VLLMTeacher
from uniopd_mm.types import Failure, FinishReason, Prompt, Rollout, Sampling, TeacherScores

OPTIONS = VLLMOptions(dtype="float32", enforce_eager=True, kv_cache_mb=16, max_model_len=512, max_num_seqs=32)
SAMPLING = Sampling(temperature=1.0, max_new_tokens=8, seed=3, policy_step=1)
TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Lineup:
    """A family. Whenever a test begins, `student` and `engine` have the weights that lie in `folder`."""

    family: str
    folder: str
    processor: Processor
    prompts: Mapping[str, Prompt]
    student: Backbone
    engine: VLLMEngine

    def rollout_engine(self, how: str) -> RolloutEngine:
        if how == "hf":
            return HFRollout(self.student, self.processor)
        return VLLMRollout(self.engine, self.processor.vocabulary)

    def teacher_logprobs(self, rollout: Rollout) -> Tensor:
        return forward(Backbone(self.student.model), rollout)

    def sync(self) -> None:
        self.engine.load_weights(self.student.model.state_dict().items())

    def restore(self) -> None:
        """Undo what a test did to the weights."""
        saved = load_model(self.folder, "model.path").state_dict()
        if any(not torch.equal(tensor, saved[name]) for name, tensor in self.student.model.state_dict().items()):
            self.student.model.load_state_dict(saved)
            self.student.requires_grad_(True)
            self.sync()


@dataclass(frozen=True, kw_only=True)
class EngineUnderTest:
    """An engine with the weights of a lineup's student."""

    scorer: Teacher
    engine: RolloutEngine


def in_process(lineup: Lineup, how: str) -> EngineUnderTest:
    if how == "vllm":
        return EngineUnderTest(scorer=VLLMTeacher("t", lineup.engine, top_k=4), engine=lineup.rollout_engine(how))
    scorer = LocalTeacher("t", Backbone(lineup.student.model), lineup.processor.vocabulary, top_k=4)
    return EngineUnderTest(scorer=scorer, engine=lineup.rollout_engine(how))


def line_up(family: str, folder: Path) -> Lineup:
    torch.set_num_threads(1)
    path = write_family(family, folder)
    processor = processor_of(family, path)
    return Lineup(
        family=family,
        folder=path,
        processor=processor,
        prompts={kind: processor.encode(samples()[kind]) for kind in kinds(family)},
        student=Backbone(load_model(path, "model.path"), banned_ids=processor.vocabulary.banned_ids),
        engine=VLLMEngine(path, OPTIONS, key="rollout.engine", max_logprobs=4),
    )


@torch.no_grad()
def forward(backbone: Backbone, rollout: Rollout, temperature: float = 1.0) -> Tensor:
    """Log-probs f32[R] of a response by itself, in one pass of transformers."""
    return backbone(collate_rollouts([rollout], 0), temperature=temperature or 1.0)[0]


def response_to(prompt: Prompt, ids: Sequence[int]) -> Rollout:
    """A rollout nobody wrote."""
    return Rollout(
        prompt=prompt,
        group_id=0,
        response_ids=torch.tensor(ids),
        logprobs=torch.zeros(len(ids)),
        finish_reason=FinishReason.LENGTH,
        policy_step=0,
    )


@torch.no_grad()
def disturb(student: Backbone, seed: int) -> None:
    """Change every weight, the vision tower's too, far more than a step of training would, but none beyond its size."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in student.model.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.mul_(0.9).add_(0.4 * parameter.std() * noise + 0.01 * noise)


def flat(groups: Sequence[Sequence[Rollout]]) -> Iterator[Rollout]:
    return (rollout for group in groups for rollout in group)


def assert_scored(answers: Sequence[TeacherScores | Failure], rollouts: Sequence[Rollout], lineup: Lineup) -> None:
    """Each response's own ids, with the log-probs of a forward pass of transformers."""
    for answer, rollout in zip(answers, rollouts, strict=True):
        assert isinstance(answer, TeacherScores), answer
        assert torch.equal(answer.token_ids, rollout.response_ids)
        torch.testing.assert_close(answer.logprobs, lineup.teacher_logprobs(rollout), atol=TOLERANCE, rtol=0)
