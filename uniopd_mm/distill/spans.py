"""A teacher's log-probs on the student's tokens, where two tokenizers split the same text differently.

The text is split where both tokenizers have a boundary. Within such a span, tokens of the two cannot be matched. Only
the log-prob of the whole span can be compared, so a span is one action: with its tokens' log-probs summed to log pi and
the teacher's to log pi_T, the gradient of its reverse KL at a given prefix is

    grad E[log pi - log pi_T] = -E[(log pi_T - log pi) grad log pi]    (E[grad log pi] is 0)

and grad log pi is the sum over its tokens. So the advantage of every token is the reward of the whole span
(`span_sums`), and not its n-th part. Returns are means over tokens; there the span's reward counts once, spread over
its n tokens (`aligned_logprobs`). Not here: the bytes that a token stands for (the processors).
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
    student_spans, teacher_spans, num_spans = _spans_of_both(student_bytes, teacher_bytes)
    rewards = _sums(teacher, teacher_spans, num_spans) - _sums(student, student_spans, num_spans)
    counts = torch.bincount(student_spans, minlength=num_spans).clamp(min=1)
    return (student.double() + (rewards / counts)[student_spans]).to(student.dtype)


def span_ends(student_bytes: Tensor, teacher_bytes: Tensor) -> Tensor:
    """Whether each of the student's tokens is the last one of its span, bool[R]. Arguments as in `aligned_logprobs`."""
    spans, _, _ = _spans_of_both(student_bytes, teacher_bytes)
    return torch.diff(spans, append=spans[-1:] + 1) > 0


def span_sums(values: Tensor, ends: Tensor) -> Tensor:
    """Each token's value replaced by the sum over its span, f[N, R], from `ends` bool[N, R]."""
    spans = ends.cumsum(-1) - ends.long()
    return torch.zeros_like(values).scatter_add(-1, spans, values).gather(-1, spans)


def clipped(rewards: Tensor, bound: float | None, ends: Tensor | None = None) -> Tensor:
    """Token rewards f[N, R] whose sum over each span lies between plus and minus `bound` (None: no bound). Without
    `ends` every token is its own span. What a teacher rules out (-inf) stays -inf: a clip gives it no finite value."""
    if bound is None:
        return rewards
    totals = rewards if ends is None else span_sums(rewards, ends)
    lengths = torch.ones_like(rewards) if ends is None else span_sums(torch.ones_like(rewards), ends)
    return (totals.clamp(-bound, bound) / lengths).masked_fill(totals == float("-inf"), float("-inf"))


def _spans_of_both(student_bytes: Tensor, teacher_bytes: Tensor) -> tuple[Tensor, Tensor, int]:
    """The span of each token of student and teacher, i64[R] and i64[S], and the number of spans."""
    assert int(student_bytes.sum()) == int(teacher_bytes.sum()), "the tokens do not spell the same text"
    student_ends, teacher_ends = student_bytes.cumsum(0), teacher_bytes.cumsum(0)
    common = torch.unique(student_ends[torch.isin(student_ends, teacher_ends)])
    return _spans(student_ends, common), _spans(teacher_ends, common), max(1, len(common))


def _spans(ends: Tensor, common: Tensor) -> Tensor:
    """The span of each token, i64: the one that contains its last byte."""
    return torch.searchsorted(common, ends).clamp(max=max(0, len(common) - 1))


def _sums(values: Tensor, spans: Tensor, num_spans: int) -> Tensor:
    return torch.zeros(num_spans, dtype=torch.float64).index_add(0, spans, values.double())
