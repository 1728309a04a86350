"""One process is a world of its own: what is shared is all, what is gathered is one's own."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from uniopd_mm.runtime.world import World
from uniopd_mm.types import UserError


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def of_size(monkeypatch: pytest.MonkeyPatch, rank: int, size: int) -> World:
    """One process of several, for what needs none of the others."""
    monkeypatch.setattr(World, "rank", property(lambda _: rank))
    monkeypatch.setattr(World, "size", property(lambda _: size))
    return World()


def test_one_process_is_the_main_one(world: World) -> None:
    assert (world.rank, world.size, world.is_main) == (0, 1, True)


@pytest.mark.parametrize("num_items", [0, 1, 5])
def test_it_takes_all(world: World, num_items: int) -> None:
    items = list(range(num_items))
    assert world.sizes(num_items) == [num_items]
    assert world.share(items) == items and world.share(tuple(items)) == tuple(items)


def test_what_it_gathers_is_its_own(world: World) -> None:
    item = {"a": torch.ones(2)}
    (gathered,) = world.gather(item)
    assert gathered is item
    assert world.gather([1, 2]) == [[1, 2]], "an item that is a list stays one item"


def test_what_the_main_process_makes_is_made_once(world: World) -> None:
    calls: list[None] = []
    item = object()
    assert world.from_main(lambda: (calls.append(None), item)[1]) is item and len(calls) == 1
    assert world.from_main(lambda: None) is None
    assert world.from_main(lambda: []) == []


def test_what_the_main_process_refuses_is_refused(world: World) -> None:
    def refuse() -> None:
        raise UserError("key=1: no")

    with pytest.raises(UserError, match="key=1: no"):
        world.from_main(refuse)


def test_a_module_is_not_wrapped(world: World) -> None:
    module = nn.Linear(2, 1, bias=False)
    assert world.wrapped(module) is module
    with world.without_sync(module):
        module(torch.tensor([[1.0, 2.0]])).sum().backward()
    assert module.weight.grad is not None and module.weight.grad.tolist() == [[1.0, 2.0]]
    world.wait()


@pytest.mark.parametrize("variable", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
@pytest.mark.parametrize("value", ["true", "1"])
def test_a_launcher_that_shards_weights_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UserError, match=rf"^{variable}={value}: .*`accelerate launch --multi_gpu`"):
        World()
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit, match="2"):
        World()
    monkeypatch.setenv(variable, "false")
    monkeypatch.delenv("RANK")
    assert World().size == 1


def test_sizes_of_several_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    world = of_size(monkeypatch, 1, 3)
    assert not world.is_main
    assert world.sizes(7) == [2, 2, 3] and world.share("abcdefg") == "cd"
    assert world.sizes(2) == [0, 1, 1] and world.share("ab") == "a"


@given(num_items=st.integers(0, 50), size=st.integers(1, 9))
def test_shares_are_the_whole_in_order_and_within_one_of_each_other(num_items: int, size: int) -> None:
    items, shares = list(range(num_items)), list[list[int]]()
    for rank in range(size):
        with pytest.MonkeyPatch.context() as patch:
            world = of_size(patch, rank, size)
            sizes = world.sizes(num_items)
            shares.append(list(world.share(items)))
    assert [len(share) for share in shares] == sizes
    assert max(sizes) - min(sizes) <= 1 and [item for share in shares for item in share] == items
