"""A student sharded by FSDP2 over two processes gives each of them what the unsharded one gives."""

import multiprocessing
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor, distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from weight_parts import ADAPTED, adapted, assert_equal, plain

from uniopd_mm.learner.weights import exported
from uniopd_mm.types import UserError

CASES: dict[str, dict[str, Any]] = {
    "plain": {},
    **{name: ADAPTED[name] for name in ("linear", "bias", "embedding of places", "whole modules")},
}
TIMEOUT = 300.0


def student_of(checkpoint: str, case: str) -> Any:
    torch.manual_seed(0)
    return adapted(checkpoint, **CASES[case]) if CASES[case] else plain(checkpoint)


def sharded(student: Any, *, apart: bool = False) -> Any:
    """In one group for each layer and one for all else; `apart`, with tied embeddings in groups of their own."""
    mesh = init_device_mesh("cpu", (2,))
    inner = student.get_base_model() if isinstance(student, PeftModel) else student
    layers = [*inner.model.language_model.layers, *inner.model.visual.blocks]
    for layer in [*layers, *([inner.lm_head, inner.get_input_embeddings()] if apart else [])]:
        fully_shard(layer, mesh=mesh)
    return fully_shard(student, mesh=mesh)


def taken(student: Any) -> dict[str, Tensor]:
    """Copies of what is exported, of which one lives at a time."""
    copies, seen = dict[str, Tensor](), list[weakref.ref[Tensor]]()
    for name, value in exported(student):
        seen.append(weakref.ref(value))
        assert sum(each() is not None for each in seen) <= 1
        copies[name] = value.clone()
    return copies


def refusal(student: Any) -> str:
    try:
        exported(student)
    except UserError as error:
        return str(error)
    return ""


def share(rank: int, checkpoint: str, folder: str) -> None:
    """One of two processes, through all cases."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found: dict[str, Any] = {}
    for case in CASES:
        student = sharded(student_of(checkpoint, case))
        assert all(isinstance(weight, DTensor) for weight in student.parameters())
        before = taken(student)
        with torch.no_grad():
            student(input_ids=torch.arange(20, 60)[None])  # after which the last group's weights are whole
        found[case] = (before, taken(student))
    found["convolution"] = refusal(sharded(adapted(checkpoint, **ADAPTED["convolution"])))
    found["apart"] = refusal(sharded(plain(checkpoint), apart=True))
    torch.save(found, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def found(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes was given."""
    folder = tmp_path_factory.mktemp("sharded")
    started = multiprocessing.get_context("spawn")
    both = [started.Process(target=share, args=(rank, checkpoint, str(folder))) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(TIMEOUT)
    ended = [process.exitcode for process in both]
    for process in both:  # one that waits for another that failed
        process.kill()
    assert ended == [0, 0]
    return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_each_process_is_given_the_whole(case: str, found: list[dict[str, Any]], checkpoint: str) -> None:
    wanted = dict(exported(student_of(checkpoint, case)))
    for each in found:
        for ours in each[case]:
            if CASES[case]:  # products of shards round as they like
                assert list(ours) == list(wanted)
                for name, value in wanted.items():
                    torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-6, msg=name)
            else:
                assert_equal(ours, plain(checkpoint).state_dict())


def test_a_sharded_convolution_is_refused(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert "patch_embed.proj is on a sharded convolution; leave model.visual" in each["convolution"]


def test_tied_weights_in_different_groups_are_refused(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert "lm_head.weight and model.language_model.embed_tokens.weight are tied" in each["apart"]
        assert "shard both in one group" in each["apart"]
