"""A teacher's log-probs on the student's tokens, where two tokenizers split the same text differently.

The text is split where both tokenizers have a boundary. Within such a span, tokens of the two cannot be matched. Only
the log-prob of the whole span can be compared. Not here: the bytes that a token stands for (the processors).
"""

import torch
from torch import Tensor


def aligned_logprobs(student: Tensor, teacher: Tensor, student_bytes: Tensor, teacher_bytes: Tensor) -> Tensor:
    """The teacher's log-probs f32[R] of the student's tokens.

    A span's distillation reward, teacher's log-prob minus student's, is spread evenly over the student's tokens in it:

        text       |    un    happi  |  ly  |           student's tokens: 2 in the first span, 1 in the second
                   |  unhap    pi    |  ly  |
        student      -1.0     -2.0     -0.5
        teacher      -0.5     -1.5     -0.2             rewards: (-2.0 + 3.0) / 2 = 0.5 each, and 0.3
        result       -0.5     -1.5     -0.2

    so that sums over spans equal the teacher's. If all boundaries are common, the result is the teacher's log-prob
    itself.

    Args:
        student, teacher: log-probs f32[R] and f32[S] of the same text by each one's own tokens.
        student_bytes, teacher_bytes: number of bytes that each token stands for, i64[R] and i64[S]. A token with 0
            bytes belongs to the span of the token before it (or the first span). The sums are equal.
    """
    assert int(student_bytes.sum()) == int(teacher_bytes.sum()), "the tokens do not spell the same text"
    student_ends, teacher_ends = student_bytes.cumsum(0), teacher_bytes.cumsum(0)
    common = torch.unique(student_ends[torch.isin(student_ends, teacher_ends)])
    student_spans, teacher_spans = _spans(student_ends, common), _spans(teacher_ends, common)
    num_spans = max(1, len(common))
    rewards = _sums(teacher, teacher_spans, num_spans) - _sums(student, student_spans, num_spans)
    counts = torch.bincount(student_spans, minlength=num_spans).clamp(min=1)
    return (student.double() + (rewards / counts)[student_spans]).to(student.dtype)


def _spans(ends: Tensor, common: Tensor) -> Tensor:
    """The span of each token, i64: the one that contains its last byte."""
    return torch.searchsorted(common, ends).clamp(max=max(0, len(common) - 1))


def _sums(values: Tensor, spans: Tensor, num_spans: int) -> Tensor:
    return torch.zeros(num_spans, dtype=torch.float64).index_add(0, spans, values.double())
