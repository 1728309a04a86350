"""A model of 50 words that reads one token and predicts the next, and all its responses of two tokens as one batch.

Evidence and batches are the records that the trainer makes; each response is weighted by its probability, so that a
loss is an expectation. Exact values are of plain softmaxes over tables.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from uniopd_mm.distill.batch import Batch, TeacherTokens
from uniopd_mm.distill.evidence import Evidence
from uniopd_mm.distill.logprobs import predicted_logprobs, shifted
from uniopd_mm.distill.objective import Objective
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.types import Head, TokenBatch

V, H, TEMPERATURE = 50, 6, 0.8
PROMPT = 7  # the one token of the prompt
REDUCTIONS = ["sample_mean", "token_mean"]
FIRST, SECOND = (column.flatten() for column in torch.meshgrid(torch.arange(V), torch.arange(V), indexing="ij"))
RESPONSES = torch.stack([FIRST, SECOND], 1)  # i64[V * V, 2]


@dataclass(frozen=True)
class Model:
    """Hidden state: the row of the token just read."""

    table: Tensor
    head: Tensor
    temperature: float = 1.0

    @property
    def parameters(self) -> tuple[Tensor, Tensor]:
        return self.table, self.head

    def next_token(self) -> Tensor:
        """log p(next | last) [V, V], by a plain softmax."""
        logits = self.table @ self.head.T / self.temperature
        return logits - logits.exp().sum(-1, keepdim=True).log()

    def logprobs(self) -> Tensor:
        """Of every response's tokens, [V * V, 2]."""
        table = self.next_token()
        return torch.stack([table[PROMPT, FIRST], table[FIRST, SECOND]], 1)

    def __call__(self, tokens: TokenBatch, temperature: float, read: Any = predicted_logprobs) -> tuple[Tensor, ...]:
        """As `Backbone.forward`."""
        states, targets = shifted(self.table[tokens.input_ids], tokens.input_ids, tokens.loss_mask)
        return read(states, Head(weight=self.head), targets, chunk_size=997, temperature=temperature, banned_ids=())


def model(seed: int, temperature: float = 1.0, scale: float = 1.0) -> Model:
    generator = torch.Generator().manual_seed(seed)
    table, head = (scale * torch.randn(V, H, generator=generator, dtype=torch.float64) for _ in range(2))
    return Model(table, head, temperature)


STUDENT = model(0, TEMPERATURE, 0.8)


for parameter in STUDENT.parameters:
    parameter.requires_grad_()


# Their distributions at the student's temperature, which is what they are asked for.
TEACHER, OTHER_TEACHER, BASE = (model(seed, TEMPERATURE, scale=0.7 * TEMPERATURE**0.5) for seed in (1, 2, 3))
ENGINE = model(4, scale=0.7)


def policy(**changes: Any) -> PolicyLoss:
    return PolicyLoss(temperature=TEMPERATURE, gate=1e9, **changes)


def evidence(rows: Tensor, old: Tensor, **changes: Any) -> Evidence:
    """Of the responses RESPONSES[rows]."""
    nothing = torch.zeros(len(rows), dtype=torch.bool)
    record = Evidence(
        mask=torch.ones(len(rows), 2, dtype=torch.bool),
        old_logprobs=old[rows],
        teacher_logprobs=TEACHER.logprobs()[rows],
        base_logprobs=BASE.logprobs()[rows],
        teachable=~nothing,
        correct=nothing,
        incorrect=nothing,
        outcome_rewards=torch.zeros(len(rows)),
        group_ids=torch.arange(len(rows)),
    )
    return replace(record, **changes)


def aligned(values: Tensor) -> Tensor:
    """[N, 2] of responses to [N, 3] of sequences."""
    return torch.cat([torch.zeros_like(values[:, :1]), values], 1)


def batch(
    rows: Tensor, probabilities: Tensor, old: Tensor, advantages: Tensor, teacher: TeacherTokens | None = None
) -> Batch:
    """The responses RESPONSES[rows], so weighted that a mean over them is the mean over `probabilities` [N]."""
    ids = aligned(RESPONSES[rows])
    ids[:, 0] = PROMPT
    mask = torch.ones_like(ids, dtype=torch.bool)
    mask[:, 0] = False
    return Batch(
        tokens=TokenBatch(
            input_ids=ids, attention_mask=torch.ones_like(mask), loss_mask=mask, media={}, token_features={}
        ),
        advantages=aligned(advantages),
        old_logprobs=aligned(old[rows]),
        teacher_logprobs=aligned(TEACHER.logprobs()[rows]),
        teacher_tokens=teacher or TeacherTokens(),
        weights=probabilities.detach() * len(rows),
        domains=("d",) * len(rows),
    )


ALL = torch.arange(V * V)
OLD = STUDENT.logprobs().detach()
DRAWN = OLD.sum(1).exp()  # the probability of each response


def gradient(value: Tensor) -> tuple[Tensor, ...]:
    gradients = torch.autograd.grad(value, STUDENT.parameters)
    return gradients


def expected_gradient(objective: Objective, teacher: TeacherTokens | None = None, **changes: Any) -> tuple[Tensor, ...]:
    """Of an objective over all responses, as the trainer goes about it: evidence, rewards, advantages, loss."""
    seen = evidence(ALL, OLD, **changes)
    advantages = objective.advantages(seen.over_spans(objective.token_rewards(seen)), seen)
    return gradient(objective.loss(STUDENT, batch(ALL, DRAWN, OLD, advantages, teacher))[0])


def at_fixed_prefixes(of_rows: Tensor, drawn_by: Model = STUDENT) -> Tensor:
    """The mean over both tokens of a quantity [V] that depends on the token before; prefixes are drawn, and held
    fixed."""
    first = drawn_by.next_token()[PROMPT].detach().exp()
    return (of_rows[PROMPT] + first @ of_rows) / 2


def kl(first: Tensor, second: Tensor) -> Tensor:
    return (first.exp() * (first - second)).sum(-1)


def exact_reverse_kl(drawn_by: Model = STUDENT, teacher: Model = TEACHER) -> tuple[Tensor, ...]:
    return gradient(at_fixed_prefixes(kl(STUDENT.next_token(), teacher.next_token()), drawn_by))


def same(ours: tuple[Tensor, ...], exact: tuple[Tensor, ...]) -> None:
    """Equal, and not because both are nothing."""
    torch.testing.assert_close(ours, exact, rtol=1e-9, atol=1e-12)
    assert all(part.abs().max() > 1e-3 for part in exact)


def different(ours: tuple[Tensor, ...], exact: tuple[Tensor, ...]) -> None:
    """By more than a tenth."""
    assert all((a - b).norm() > 0.1 * b.norm() for a, b in zip(ours, exact, strict=True))


def nothing(ours: tuple[Tensor, ...]) -> None:
    for part in ours:
        torch.testing.assert_close(part, torch.zeros_like(part), rtol=0, atol=1e-12)
