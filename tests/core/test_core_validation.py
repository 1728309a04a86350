"""Held-out questions: greedy answers graded by a task, counted by domain."""

import pytest
import torch
from core_parts import sample

from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.run.validation import Validator
from uniopd_mm.runtime.world import World
from uniopd_mm.types import Corpus, Media, Message, Outcome, Sample, UserError


class FixedTask:
    """Grades by the sample's id, whatever was answered."""

    domain = "d"

    def samples(self, split: str) -> Corpus:
        return Corpus(samples=())

    def grade(self, sample: Sample, response: str) -> Outcome:
        verdict = {"right": True, "wrong": False, "unclear": None}[sample.sample_id.split("-")[0]]
        return Outcome(correct=verdict, reward=0.0, reason="")


def validator(processor: QwenVLProcessor, samples: list[Sample]) -> Validator:
    return Validator(
        task=FixedTask(),
        processor=processor,
        samples=samples,
        max_prompt_tokens=500,
        max_new_tokens=3,
        world=World(),
        chunk=2,
    )


def missing(sample_id: str) -> Sample:
    message = Message(role="user", content=(Media(kind="video", source=f"/no/such/{sample_id}.mp4"),))
    return Sample(sample_id=sample_id, domain="d", messages=(message,), answer="1", source=f"rows.jsonl:{sample_id}")


def test_counts_by_hand(backbone: Backbone, processor: QwenVLProcessor) -> None:
    """Domain d: one of three right, one of them unclear; domain e: all of one; one that cannot be asked."""
    asked = [sample("right-1"), missing("right-9"), sample("wrong-1"), sample("right-2", "e"), sample("unclear-1")]
    engine = HFRollout(backbone, processor)
    before = torch.get_rng_state()
    found = validator(processor, asked)(engine, "title")
    assert found.accuracy == {"d": pytest.approx(1 / 3), "e": 1.0} and found.overall == 0.5
    assert found.unknown == 1 and [skip.where for skip in found.skipped] == ["rows.jsonl:right-9"]
    assert torch.equal(torch.get_rng_state(), before)


def test_not_one_question_is_an_error_that_names_the_last(backbone: Backbone, processor: QwenVLProcessor) -> None:
    with pytest.raises(
        UserError, match=r"data.path: every validation sample was skipped; the last: rows.jsonl:right-9: "
    ):
        validator(processor, [missing("right-1"), missing("right-9")])(HFRollout(backbone, processor), "t")
