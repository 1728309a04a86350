"""However a step's trajectories are spread over processes, they are taught alike, bit for bit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from supervision_parts import EVEN, NONE, OPD, answer, measured, supervised
from torch import Tensor

from uniopd_mm.distill.choices import CalibrationMethod, Scope, Statistic
from uniopd_mm.distill.evidence import StepSamples, merged, spread
from uniopd_mm.distill.recipe import Balancing, Calibration
from uniopd_mm.distill.supervision import Recipe, SupervisedBatch, supervise
from uniopd_mm.types import Trajectory


def in_parts(trajectories: Sequence[Trajectory], owners: Sequence[int]) -> list[list[Trajectory]]:
    """What each process holds where trajectory i belongs to process owners[i]."""
    return [
        [one for one, owner in zip(trajectories, owners, strict=True) if owner == rank]
        for rank in range(max(owners) + 1)
    ]


def supervised_parts(parts: Sequence[Sequence[Trajectory]], recipe: Recipe, seed: int) -> list[SupervisedBatch]:
    """What each process makes of a step, with what all of them would gather."""
    gathered: list[StepSamples] = []

    def made(rank: int, everybodys: list[StepSamples] | None) -> SupervisedBatch:
        def gather(own: StepSamples) -> list[StepSamples]:
            gathered.extend([own] if everybodys is None else [])
            return everybodys or [own]

        generator = torch.Generator().manual_seed(seed)
        return supervise(parts[rank], recipe, generator=generator, gather=gather, rank=rank if everybodys else 0)

    for rank in range(len(parts)):
        made(rank, None)
    everybodys = list(gathered)
    return [made(rank, everybodys) for rank in range(len(parts))]


def same(left: object, right: object) -> None:
    """Two records, bit for bit."""
    for field in fields(left):  # type: ignore[arg-type]
        ours, theirs = getattr(left, field.name), getattr(right, field.name)
        assert torch.equal(ours, theirs) if isinstance(ours, Tensor) else ours == theirs, field.name


def assert_independent(
    trajectories: Sequence[Trajectory], owners: Sequence[int], calibration: Calibration, balancing: Balancing, seed: int
) -> None:
    """The step of several processes is that of one, whose trajectories stand in the order of their groups."""
    recipe = Recipe(objective=OPD, calibration=calibration, balancing=balancing)
    ordered = sorted(trajectories, key=lambda one: one.rollout.group_id)
    alone = supervised(ordered, calibration, balancing, seed)
    assert alone.mine.tolist() == list(range(len(ordered)))
    parts = in_parts(trajectories, owners)
    together = supervised_parts(parts, recipe, seed)
    for part, ours in zip(parts, together, strict=True):
        same(ours.samples, alone.samples)
        same(ours.supervision, alone.supervision)
        for own, one, place in zip(part, ours.trajectories, ours.mine.tolist(), strict=True):
            assert own.rollout is one.rollout is ordered[place].rollout
            assert one.weight == alone.trajectories[place].weight
            assert torch.equal(one.advantages, alone.trajectories[place].advantages)  # type: ignore[arg-type]
    marked = [(ours.mine, {"tokens": ours.mine.double()}) for ours in together]
    assert spread(marked)["tokens"].tolist() == list(range(len(ordered)))


FOUR_GROUPS = [
    *[answer([0.5, 0.25], True, 0), answer([1.0], True, 0), answer([0.125], None, 0)],
    *[answer([0.75], False, 1), answer([0.5, -2.0, 0.25, 0.25], False, 1)],
    *[answer([-0.5], True, 2), answer([0.25], False, 2), answer([1.0], False, 2), answer([3.0], True, 2, failed=True)],
    *[answer([], False, 3), answer([-1.0, -math.inf], True, 3), answer([2.0], False, 3)],
]
SPLITS = {
    "no incorrect sample on the first, no correct one on the second": [0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 2],
    "one group and three": [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "in turn": [0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1],
    "in turn over three, last first": [2, 2, 2, 1, 1, 2, 2, 2, 2, 0, 0, 0],
    "a group cut in two": [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1],
}


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("method", CalibrationMethod)
def test_a_split_over_processes_changes_no_bit(split: str, method: CalibrationMethod) -> None:
    for scope in Scope:
        if (method, scope) == (CalibrationMethod.GROUP_MASK, Scope.BATCH):
            continue
        for after in (False, True):
            plan = Calibration(method=method, scope=scope, delta=0.5, after_balancing=after)
            for balancing in (NONE, EVEN, Balancing(ratio=0.5, scope=Scope.BATCH)):
                assert_independent(FOUR_GROUPS, SPLITS[split], plan, balancing, seed=3)


EIGHTHS = st.integers(-16, 16).map(lambda number: number / 8)


@dataclass(frozen=True)
class Row:
    """A trajectory to be. Sums of eighths are exact, whatever the padding beside them."""

    rewards: tuple[float, ...]
    correct: bool | None
    failed: bool


ROWS = st.builds(
    Row,
    rewards=st.lists(EIGHTHS | st.just(-math.inf), max_size=4).map(tuple),
    correct=st.sampled_from([True, False, True, False, None]),
    failed=st.sampled_from([False, False, False, True]),
)


@settings(max_examples=80, deadline=None)
@given(
    groups=st.lists(st.tuples(st.lists(ROWS, min_size=1, max_size=4), st.integers(0, 2)), min_size=1, max_size=6),
    method=st.sampled_from(CalibrationMethod),
    scopes=st.tuples(st.sampled_from(Scope), st.sampled_from(Scope)),
    statistic=st.sampled_from(Statistic),
    ratio=st.sampled_from([None, 0.0, 0.5, 1.0, math.inf]),
    after=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_split_over_processes_changes_no_bit(
    groups: list[tuple[list[Row], int]],
    method: CalibrationMethod,
    scopes: tuple[Scope, Scope],
    statistic: Statistic,
    ratio: float | None,
    after: bool,
    seed: int,
) -> None:
    names = {owner: rank for rank, owner in enumerate(sorted({owner for _, owner in groups}))}
    flat = [(row, group, names[owner]) for group, (rows, owner) in enumerate(groups) for row in rows]
    trajectories = [answer(row.rewards, row.correct, group, failed=row.failed) for row, group, _ in flat]
    plan = Calibration(method=method, scope=scopes[0], statistic=statistic, after_balancing=after)
    balancing = Balancing(ratio=ratio, scope=scopes[1])
    assert_independent(trajectories, [rank for _, _, rank in flat], plan, balancing, seed)
    measured(supervised(trajectories, plan, balancing, seed), plan)


def test_merged_samples_go_back_to_their_parts() -> None:
    """Groups 0 and 2 on one process, 1 on the other, whose two samples stand between those of the first."""
    parts = in_parts(FOUR_GROUPS[:9], [0, 0, 0, 1, 1, 0, 0, 0, 0])
    samples = [supervised(part).samples for part in parts]
    whole, places = merged(samples)
    assert [place.tolist() for place in places] == [[0, 1, 2, 5, 6, 7, 8], [3, 4]]
    for part, place in zip(samples, places, strict=True):
        for field in fields(StepSamples):
            column, own = getattr(whole, field.name), getattr(part, field.name)
            picked = column[place] if isinstance(column, Tensor) else tuple(column[index] for index in place.tolist())
            assert torch.equal(picked, own) if isinstance(own, Tensor) else picked == own, field.name
    values = [{"tokens": part.lengths.double()} for part in samples]
    assert torch.equal(spread(list(zip(places, values, strict=True)))["tokens"], whole.lengths.double())


def test_spread_by_hand() -> None:
    first = (torch.tensor([2, 0]), {"a": torch.tensor([20.0, 0.0]), "b": torch.tensor([1, 2])})
    second = (torch.tensor([1]), {"a": torch.tensor([10.0]), "b": torch.tensor([3])})
    assert {name: column.tolist() for name, column in spread([first, second]).items()} == {
        "a": [0.0, 10.0, 20.0],
        "b": [2, 3, 1],
    }
