"""Records to tensors: pads sequences, concatenates media, and aligns per-token values with their tokens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import compress
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from uniopd_mm.distill.batch import Batch, TeacherTokens
from uniopd_mm.types import Head, Prompt, Rollout, TeacherScores, TokenBatch, Trajectory

Record = TypeVar("Record", TokenBatch, TeacherTokens, Batch, Head)


def collate_rollouts(rollouts: Sequence[Rollout], pad_id: int) -> TokenBatch:
    """Prompt + response of each rollout as one padded batch; the loss mask covers the response.

    With L=2, R=1 and L=1, R=3:  input_ids [[p p r 0], [p r r r]], loss_mask [[0 0 1 0], [0 1 1 1]].
    """
    prompts = [rollout.prompt for rollout in rollouts]
    masks = [loss_mask(rollout) for rollout in rollouts]
    return TokenBatch(
        input_ids=_pad([torch.cat([r.prompt.token_ids, r.response_ids]) for r in rollouts], pad_id),
        attention_mask=_pad([torch.ones_like(mask) for mask in masks], False),
        loss_mask=_pad(masks, False),
        media=concatenate_media(prompts),
        token_features=_token_features(rollouts),
    )


def collate(trajectories: Sequence[Trajectory], pad_id: int) -> Batch:
    """The batch of an update. A trajectory that a teacher failed to score is masked entirely."""
    rollouts = [trajectory.rollout for trajectory in trajectories]
    tokens = collate_rollouts(rollouts, pad_id)
    teachable = [trajectory.teachable for trajectory in trajectories]
    mask = tokens.loss_mask & torch.tensor(teachable)[:, None]
    scored = list(compress(trajectories, teachable))
    scores = [trajectory.scores for trajectory in scored if isinstance(trajectory.scores, TeacherScores)]
    return Batch(
        tokens=replace(tokens, loss_mask=mask),
        advantages=align(mask, [_advantages(trajectory) for trajectory in scored]),
        old_logprobs=align(mask, [trajectory.rollout.logprobs for trajectory in scored]),
        teacher_logprobs=align(mask, [entry.logprobs for entry in scores]) if len(scores) == len(scored) else None,
        teacher_tokens=_teacher_tokens(scores if len(scores) == len(scored) else ()),
        weights=torch.tensor([trajectory.weight for trajectory in trajectories]),
        domains=tuple(rollout.prompt.sample.domain for rollout in rollouts),
    )


def _advantages(trajectory: Trajectory) -> Tensor:
    assert trajectory.advantages is not None, "a recipe gives every trajectory its advantages"
    return trajectory.advantages


def _teacher_tokens(scores: Sequence[TeacherScores]) -> TeacherTokens:
    """Per-token entries, concatenated in the order of the loss mask's True entries."""
    names = ("top_ids", "topk_ids", "topk_logprobs", "hidden")
    columns = {name: [getattr(entry, name) for entry in scores] for name in names}
    given = {name: torch.cat(rows) for name, rows in columns.items() if rows and all(row is not None for row in rows)}
    heads = {id(entry.head): entry.head for entry in scores}
    assert "hidden" not in given or len(heads) == 1, "hidden states of several teachers in one batch"
    return TeacherTokens(**given, head=next(iter(heads.values())) if "hidden" in given else None)


def loss_mask(rollout: Rollout) -> Tensor:
    """bool[L+R]: False on the prompt, True on the response."""
    return torch.arange(len(rollout.prompt.token_ids) + len(rollout.response_ids)) >= len(rollout.prompt.token_ids)


def align(mask: Tensor, values: Sequence[Tensor]) -> Tensor:
    """[N, T] with the values f32[R] of each sample placed on the True entries of `mask` bool[N, T], 0 elsewhere. Fully
    masked samples have no values."""
    lengths = [len(entry) for entry in values if len(entry)]
    assert lengths == mask.sum(-1)[mask.any(-1)].tolist(), "values and mask disagree on a response's length"
    return torch.zeros(mask.shape).masked_scatter(mask, torch.cat([torch.empty(0), *values]))


def concatenate_media(prompts: Iterable[Prompt]) -> Mapping[str, Tensor]:
    """Media tensors by forward argument, concatenated along dim 0 in the order of the prompts, which may have different
    arguments. Where other dimensions differ, the shorter ones are padded with zeros at their end."""
    by_name: dict[str, list[Tensor]] = {}
    for prompt in prompts:
        for name, tensor in prompt.media.items():
            by_name.setdefault(name, []).append(tensor)
    return {name: torch.cat(_equally_shaped(tensors)) for name, tensors in by_name.items()}


def _equally_shaped(tensors: list[Tensor]) -> list[Tensor]:
    """The tensors, padded with zeros at the end of every dimension but the first."""
    if len({tensor.shape[1:] for tensor in tensors}) == 1:
        return tensors
    shape = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    return [_enlarged(tensor, shape) for tensor in tensors]


def _enlarged(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    larger = tensor.new_zeros((len(tensor), *shape))
    larger[tuple(slice(size) for size in tensor.shape)] = tensor
    return larger


def left_padded(prompts: Sequence[Prompt], pad_id: int) -> TokenBatch:
    """Prompts only, padded on the left for generation; the loss mask is all False."""
    ids = _pad([prompt.token_ids for prompt in prompts], pad_id, side="left")
    mask = _pad([torch.ones_like(prompt.token_ids, dtype=torch.bool) for prompt in prompts], False, side="left")
    features = {
        name: _pad([_feature(prompt, name, 0) for prompt in prompts], 0, side="left")
        for name in _feature_names(prompts)
    }
    return TokenBatch(
        input_ids=ids,
        attention_mask=mask,
        loss_mask=torch.zeros_like(mask),
        media=concatenate_media(prompts),
        token_features=features,
    )


def to_device(record: Record, device: torch.device) -> Record:
    """A copy of a `TokenBatch` or `Batch` with every tensor on `device`."""
    moved = {entry.name: _moved(getattr(record, entry.name), device) for entry in fields(record)}
    return replace(record, **moved)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: tensor.to(device) for name, tensor in value.items()}
    if isinstance(value, TokenBatch):
        return to_device(value, device)
    if isinstance(value, TeacherTokens):
        return to_device(value, device)
    return to_device(value, device) if isinstance(value, Head) else value


def _token_features(rollouts: Sequence[Rollout]) -> Mapping[str, Tensor]:
    names = _feature_names([rollout.prompt for rollout in rollouts])
    return {name: _pad([_feature(r.prompt, name, len(r.response_ids)) for r in rollouts], 0) for name in names}


def _feature_names(prompts: Iterable[Prompt]) -> list[str]:
    return sorted({name for prompt in prompts for name in prompt.token_features})


def _feature(prompt: Prompt, name: str, response_length: int) -> Tensor:
    """The feature over prompt and response. It is 0 (ordinary text) on the response, and everywhere if the prompt lacks
    it."""
    values = prompt.token_features.get(name, torch.zeros_like(prompt.token_ids))
    return torch.cat([values, values.new_zeros(response_length)])


def _pad(rows: list[Tensor], value: float, side: str = "right") -> Tensor:
    return pad_sequence(rows, batch_first=True, padding_value=value, padding_side=side)
