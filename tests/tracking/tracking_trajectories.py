"""Real trajectories for the sinks' tests (a module of its own: a `conftest` cannot be imported by name)."""

import torch

from uniopd_mm.types import (
    Failure,
    FinishReason,
    Media,
    Message,
    Outcome,
    Prompt,
    Rollout,
    Sample,
    TeacherScores,
    Trajectory,
)


def make_trajectory(
    ids: list[int],
    student: list[float],
    teacher: list[float] | str,
    *,
    name: str = "s1",
    correct: bool | None = True,
    text: str = "left",
    reason: str = "as expected",
) -> Trajectory:
    """`teacher` is the log-probs, or why there are none."""
    question = Message(role="user", content=(Media(kind="video", source="clips/a.mp4"), "Which way?"))
    sample = Sample(sample_id=name, domain="video_qa", messages=(question,), answer="left", source="train.jsonl:3")
    prompt = Prompt(sample=sample, token_ids=torch.tensor([1, 2]), engine_token_ids=torch.tensor([1, 2]))
    rollout = Rollout(
        prompt=prompt,
        group_id=4,
        response_ids=torch.tensor(ids, dtype=torch.int64),
        logprobs=torch.tensor(student, dtype=torch.float64),
        finish_reason=FinishReason.STOP,
        policy_step=7,
    )
    scores = (
        Failure(teacher="expert", reason=teacher)
        if isinstance(teacher, str)
        else TeacherScores(
            teacher="expert", token_ids=rollout.response_ids, logprobs=torch.tensor(teacher, dtype=torch.float64)
        )
    )
    outcome = Outcome(correct=correct, reward=float(correct or 0), reason=reason)
    return Trajectory(rollout=rollout, response=text, outcome=outcome, scores=scores)
