"""A teacher's log-probs on a student's tokens where the two cut the same text into different tokens.

The text is cut where both have a boundary; within such a span neither's tokens can be told apart by the other's, and
only the log-probs of the whole span can be compared. Leaves out: which bytes a token stands for (the processors).
"""

import torch
from torch import Tensor


def aligned_logprobs(student: Tensor, teacher: Tensor, student_bytes: Tensor, teacher_bytes: Tensor) -> Tensor:
    """The teacher's log-probs f32[R] of the student's tokens.

    A span's distillation reward, teacher's log-prob less student's, is spread evenly over the student's tokens in it:

        text       |    un    happi  |  ly  |           student's tokens: 2 in the first span, 1 in the second
                   |  unhap    pi    |  ly  |
        student      -1.0     -2.0     -0.5
        teacher      -0.5     -1.5     -0.2             rewards: (-2.0 + 3.0) / 2 = 0.5 each, and 0.3
        result       -0.5     -1.5     -0.2

    so that sums over spans are the teacher's own. Where all boundaries are common, it is the teacher's log-prob itself.

    Args:
        student, teacher: log-probs f32[R] and f32[S] of the same text by their own tokens.
        student_bytes, teacher_bytes: how many bytes each token stands for, i64[R] and i64[S]; 0 belongs to the span of
            the token before it (or the first span). The sums are equal.
    """
    assert int(student_bytes.sum()) == int(teacher_bytes.sum()), "the tokens do not spell the same text"
    ends, others = student_bytes.cumsum(0), teacher_bytes.cumsum(0)
    common = torch.unique(ends[torch.isin(ends, others)])
    mine, theirs = _span(ends, common), _span(others, common)
    num_spans = max(1, len(common))
    surplus = _sums(teacher, theirs, num_spans) - _sums(student, mine, num_spans)
    counts = torch.bincount(mine, minlength=num_spans).clamp(min=1)
    return (student.double() + (surplus / counts)[mine]).to(student.dtype)


def _span(ends: Tensor, common: Tensor) -> Tensor:
    """The span of each token, i64: that of its last byte."""
    return torch.searchsorted(common, ends).clamp(max=max(0, len(common) - 1))


def _sums(values: Tensor, spans: Tensor, num_spans: int) -> Tensor:
    return torch.zeros(num_spans, dtype=torch.float64).index_add(0, spans, values.double())
