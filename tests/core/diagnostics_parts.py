"""Samples of a step as tests of diagnostics tell them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uniopd_mm.distill.diagnostics import describe
from uniopd_mm.distill.evidence import StepSamples, Supervision

MARGIN = {"statistic": "mean", "delta": 0.4}


@dataclass(frozen=True, kw_only=True)
class Row:
    """A sample, as a test tells it."""

    value: float = 0.0
    correct: bool | None = True
    group: int = 0
    prompt_length: int = 3
    length: int = 4
    ruled_out: int = 0
    scored: bool = True
    failed: bool = False
    normalized: bool = True
    truncated: bool = False
    reverse_kl: float = 0.0
    k3: float = 0.0
    teacher_entropy: float = 0.0
    domain: str = "math"
    teacher: str | None = "expert"
    shift: float = 0.0
    representative: bool = True
    kept: bool = True


def column(rows: Sequence[Row], name: str, dtype: torch.dtype) -> Tensor:
    return torch.tensor([getattr(row, name) for row in rows], dtype=dtype)


def step(rows: Sequence[Row]) -> tuple[StepSamples, Supervision]:
    outcomes = [row.correct for row in rows]
    samples = StepSamples(
        group_ids=column(rows, "group", torch.int64),
        correct=torch.tensor([outcome is True for outcome in outcomes], dtype=torch.bool),
        incorrect=torch.tensor([outcome is False for outcome in outcomes], dtype=torch.bool),
        outcome_rewards=torch.tensor([float(outcome is True) for outcome in outcomes], dtype=torch.float64),
        prompt_lengths=column(rows, "prompt_length", torch.int64),
        lengths=column(rows, "length", torch.int64),
        truncated=column(rows, "truncated", torch.bool),
        scored=column(rows, "scored", torch.bool),
        failed=column(rows, "failed", torch.bool),
        normalized=column(rows, "normalized", torch.bool),
        ruled_out=column(rows, "ruled_out", torch.int64),
        returns=column(rows, "value", torch.float64),
        reverse_kl=column(rows, "reverse_kl", torch.float64),
        reverse_kl_k3=column(rows, "k3", torch.float64),
        teacher_entropy=column(rows, "teacher_entropy", torch.float64),
        domains=tuple(row.domain for row in rows),
        teachers=tuple(row.teacher for row in rows),
    )
    supervision = Supervision(
        shift=column(rows, "shift", torch.float64),
        representative=column(rows, "representative", torch.bool),
        kept=column(rows, "kept", torch.bool),
    )
    return samples, supervision


def measured(rows: Sequence[Row], sums: dict[str, Tensor] | None = None, **margin: object) -> dict[str, float]:
    return describe(*step(rows), sums or {}, **{**MARGIN, **margin})
