"""Extra cost of scoring with a server on loopback, compared with scoring in this process.

    python benchmarks/loopback.py

96 rollouts of 24 prompts with clips are scored by the same checkpoint with transformers on one thread, in turns in this
process and by `python -m uniopd_mm.serve` in another one. There are two model sizes: the zoo's, for which a message
costs about as much as scoring, and one of about 120 M parameters, which takes minutes. The clips are new to the server
each time, so their pixels are transferred; the transferred bytes are compared with the size of the clips. Exit status 1
if the larger model takes more than LIMIT longer.
"""

import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import torch

from uniopd_mm.config.parts import Engine, TeacherConfig
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.tiny import TinyQwen3VL
from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.teachers.remote import RemoteTeacher
from uniopd_mm.types import FinishReason, Prompt, Rollout, TeacherScores

SIZES = {"0.8 M": (128, 2), "120 M": (1024, 8)}
REPEATS, PROMPTS, SAMPLES, LENGTH = 5, 24, 4, 32
LIMIT = 0.15


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server for the checkpoint."""
    arguments = ["teacher.builder=null", f"teacher.path={folder}", "server.port=0", "threads=1"]
    command = [sys.executable, "-m", "uniopd_mm.serve", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            yield next(found[1] for line in server.stdout if (found := re.search(r"serving \S+ at (\S+)", line)))
        finally:
            server.terminate()


def rollouts(prompts: Sequence[Prompt], turn: int) -> list[Rollout]:
    """Responses of LENGTH ids to this turn's prompts, which are new to the server."""
    chosen = prompts[turn * PROMPTS : (turn + 1) * PROMPTS]
    ids = torch.randint(300, 400, (len(chosen), SAMPLES, LENGTH), generator=torch.Generator().manual_seed(turn))
    return [
        Rollout(
            prompt=prompt,
            group_id=place,
            response_ids=response,
            logprobs=torch.zeros(LENGTH),
            finish_reason=FinishReason.STOP,
            policy_step=0,
        )
        for place, prompt in enumerate(chosen)
        for response in ids[place]
    ]


def seconds(teacher: LocalTeacher | RemoteTeacher, written: Sequence[Rollout]) -> tuple[float, torch.Tensor]:
    """The seconds of one call, and all log-probs."""
    began = time.perf_counter()
    scores = teacher.score(written)
    took = time.perf_counter() - began
    assert all(isinstance(score, TeacherScores) for score in scores)
    return took, torch.cat([score.logprobs for score in scores if isinstance(score, TeacherScores)])


def media_bytes(url: str) -> float:
    """Media bytes that the server has received so far."""
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("uniopd_media_bytes_total "))


def measure(folder: Path, hidden_size: int, num_layers: int) -> tuple[float, float, float]:
    """Median seconds in this process, the median ratio, and the transferred media bytes relative to their size."""
    clips = SyntheticVideoQuestions(num_pretrain=4, num_train=PROMPTS * (REPEATS + 1), num_validation=4).samples(
        "train"
    )
    TinyQwen3VL(hidden_size=hidden_size, num_layers=num_layers).write(folder, [str(c.demonstration) for c in clips], 0)
    processor = QwenVLProcessor(str(folder), video_num_frames=6)
    prompts = [processor.encode(sample) for sample in clips]
    local = LocalTeacher("local", Backbone(load_model(str(folder), "path")), processor.vocabulary)
    pairs = []
    with serving(folder) as url:
        plan = TeacherConfig(name="remote", engine=Engine.remote, urls=[url], processor={})
        remote = RemoteTeacher.connect(plan, "teacher", vocabulary=processor.vocabulary)
        for turn in range(REPEATS + 1):
            local_seconds, local_logprobs = seconds(local, rollouts(prompts, turn))
            remote_seconds, remote_logprobs = seconds(remote, rollouts(prompts, turn))
            torch.testing.assert_close(local_logprobs, remote_logprobs, atol=1e-4, rtol=0)
            pairs.append((local_seconds, remote_seconds))
        transferred = media_bytes(url)
        remote.close()
    size = sum(tensor.nbytes for prompt in prompts for tensor in prompt.media.values())
    later = pairs[1:]  # the first turn warms both up
    ratio = statistics.median(remote_seconds / local_seconds for local_seconds, remote_seconds in later)
    return statistics.median(local_seconds for local_seconds, _ in later), ratio, transferred / size


def main() -> int:
    torch.set_num_threads(1)
    over = 0.0
    for name, (hidden_size, num_layers) in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            local, ratio, transfers = measure(Path(folder), hidden_size, num_layers)
        over = ratio - 1
        print(
            f"{name} parameters: {local * 1e3:.0f} ms in this process, {over:+.0%} over loopback, "
            f"media transferred {transfers:.2f} times"
        )
    return int(over > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
