"""A job so small that it takes a second: untrained student and teacher, twelve clips, two steps."""

from pathlib import Path

import job_parts
import pytest

from uniopd_mm.processors.tiny import TinyQwen3VL
from uniopd_mm.types import Sample


@pytest.fixture(scope="session", autouse=True)
def server(own_cache: Path) -> None:
    """The process that commands are forked from, after the cache of the tests is known."""
    job_parts.serve()


@pytest.fixture(scope="session")
def teacher(tmp_path_factory: pytest.TempPathFactory, samples: tuple[Sample, ...]) -> str:
    """An untrained model with the vocabulary of `checkpoint` and other weights."""
    folder = tmp_path_factory.mktemp("teacher")
    TinyQwen3VL(hidden_size=64, num_layers=1).write(folder, [str(sample.demonstration) for sample in samples], seed=1)
    return str(folder)


@pytest.fixture(scope="session")
def parts(checkpoint: str, teacher: str) -> list[str]:
    """Arguments that make student and teacher the untrained ones, and steps small."""
    return [
        *("model=tiny", f"model.path={checkpoint}"),
        *("teacher=tiny_expert", f"teacher.path={teacher}"),
        "rollout.num_samples=2",
        "rollout.max_new_tokens=6",
        "trainer.steps=2",
        "trainer.prompts_per_step=3",
        "trainer.warmup_steps=1",
        "trainer.eval_every=1",
        "trainer.threads=1",
        "tracking.tensorboard=false",
    ]


@pytest.fixture(scope="session")
def small(parts: list[str]) -> list[str]:
    """Arguments of a whole small job on twelve synthetic clips, in ./runs/small."""
    sizes = ["task.synthetic.num_pretrain=24", "task.synthetic.num_train=12", "task.synthetic.num_validation=8"]
    return [*parts, *sizes, "run.name=small"]
