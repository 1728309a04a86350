"""Real servers on loopback, around the tiny model in this process or in processes of their own."""

import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from queue import Queue
from threading import Event, Thread
from typing import Any

import httpx
import torch

from uniopd_mm.config.parts import Engine, RemoteOptions, TeacherConfig
from uniopd_mm.interfaces import Finished, Processor, RolloutEngine, Teacher
from uniopd_mm.serving.server import ServerOptions, run_server
from uniopd_mm.serving.service import Loaded
from uniopd_mm.teachers.remote import RemoteTeacher
from uniopd_mm.types import Failure, Prompt, Rollout, Sampling, Settings, TeacherScores, Vocabulary
from uniopd_mm.wire.info import server_info
from uniopd_mm.wire.media import Needs

SAMPLING = Sampling(temperature=1.0, max_new_tokens=6, seed=3, policy_step=2)
TIMEOUT = 300.0  # seconds
FORKED = multiprocessing.get_context("forkserver")
PRELOADED = [
    "uniopd_mm.serve",
    "hydra.main",
    "serving_parts",
    "uniopd_mm.processors.qwen_vl",
    "uniopd_mm.tasks.video_qa",
    "transformers.models.qwen3_vl.modeling_qwen3_vl",
    "transformers.models.qwen3_vl.video_processing_qwen3_vl",
]


@dataclass
class Watched:
    """A teacher in front of another one, that notes its calls, waits while it is told to, and fails where it is."""

    inner: Teacher
    engine: RolloutEngine
    calls: list[int] = field(default_factory=list)
    gate: Event = field(default_factory=Event)
    entered: Event = field(default_factory=Event)
    poison: int | None = None

    def __post_init__(self) -> None:
        self.gate.set()

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def overlaps(self) -> bool:
        return False

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        self._note(len(rollouts))
        if any(self.poison in rollout.response_ids.tolist() for rollout in rollouts):
            raise RuntimeError("the engine does not like this")
        return self.inner.score(rollouts, temperature)

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        self._note(len(prompts))
        return self.engine.generate(prompts, num_samples, sampling, finished)

    def load_weights(self, named_tensors: Any) -> None:
        raise AssertionError("teachers do not change")

    def _note(self, size: int) -> None:
        self.calls.append(size)
        self.entered.set()
        assert self.gate.wait(TIMEOUT)


@dataclass
class Served:
    """A server in a thread of this process."""

    url: str
    engine: Watched

    def metric(self, name: str, labels: str = "") -> float:
        return metric(self.url, name, labels)


def metric(url: str, name: str, labels: str = "") -> float:
    text = httpx.get(f"{url}/metrics").text
    return next(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name}{labels} "))


def serve(
    engine: Watched,
    processor: Processor,
    *,
    vocab_size: int,
    vocabulary: Vocabulary | None = None,
    top_k: int = 0,
    name: str = "t",
    **options: Any,
) -> Served:
    """It lives as long as this process."""
    vocabulary = vocabulary or processor.vocabulary
    info = server_info(
        name,
        vocabulary,
        vocab_size=vocab_size,
        needs=Needs.MEDIA,
        top_k=top_k,
        settings=Settings(binding={"image.mean": "0.5"}, informative={}),
    )
    loaded = Loaded(scorer=engine, engine=engine, check=processor.check_media, info=info, vocabulary=vocabulary)
    announced: Queue[str] = Queue()
    arguments = (ServerOptions(**options), lambda: loaded, announced.put)
    Thread(target=run_server, args=arguments, daemon=True).start()
    return Served(url=announced.get(timeout=TIMEOUT).rpartition(" at ")[2], engine=engine)


def plan_for(*urls: str, **remote: Any) -> TeacherConfig:
    options = replace(RemoteOptions(breaker_seconds=0.3), **remote)
    return TeacherConfig(name="t", processor={}, engine=Engine.remote, urls=list(urls), remote=options)


@contextmanager
def connected(
    *urls: str, top_k: int = 0, vocabulary: Vocabulary | None = None, **remote: Any
) -> Iterator[RemoteTeacher]:
    teacher = RemoteTeacher.connect(plan_for(*urls, **remote), "teacher", top_k=top_k, vocabulary=vocabulary)
    try:
        yield teacher
    finally:
        teacher.close()


def assert_same(answers: Sequence[TeacherScores | Failure], expected: Sequence[TeacherScores | Failure]) -> None:
    for mine, theirs in zip(answers, expected, strict=True):
        assert isinstance(theirs, TeacherScores)
        assert isinstance(mine, TeacherScores), mine
        assert torch.equal(mine.token_ids, theirs.token_ids)
        torch.testing.assert_close(mine.logprobs, theirs.logprobs, atol=1e-5, rtol=0)


def free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return place.getsockname()[1]


@dataclass(frozen=True)
class ServerProcess:
    """`python -m uniopd_mm.serve` in a process of its own."""

    process: ForkServerProcess
    out: Path

    @property
    def text(self) -> str:
        return self.out.read_text() if self.out.exists() else ""

    def url(self) -> str:
        """As it is printed, once it is ready."""
        deadline = time.monotonic() + TIMEOUT
        while "serving " not in self.text:
            assert self.process.exitcode is None and time.monotonic() < deadline, self.text
            time.sleep(0.02)
        return next(line for line in self.text.splitlines() if line.startswith("serving ")).rpartition(" at ")[2]

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def end(self) -> int:
        self.process.join(TIMEOUT)
        assert self.process.exitcode is not None, self.text
        return self.process.exitcode

    def kill(self) -> None:
        self.process.kill()
        self.process.join(TIMEOUT)


def start_process(folder: Path, *arguments: str) -> ServerProcess:
    """The command with these arguments, its output in a file."""
    out = folder / f"out-{time.monotonic_ns()}"
    process = FORKED.Process(target=_command, args=(list(arguments), str(folder), str(out), dict(os.environ)))
    process.start()
    return ServerProcess(process, out)


def preload() -> None:
    """Let commands be forked from a process that has imported everything."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")])
    FORKED.set_forkserver_preload(PRELOADED)


def _command(arguments: list[str], folder: str, out: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    os.chdir(folder)
    for descriptor in (1, 2):
        os.dup2(os.open(out, os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["serve", *arguments]
    from uniopd_mm.serve import main

    main()
