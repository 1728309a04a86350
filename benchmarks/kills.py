"""Random `kill -9` of training, balancing and evaluating: is anything lost or repeated?

    python benchmarks/kills.py --train 30 --balance 20 --evaluate 10 --grade 10

Each command is first run to its end. Then it is started, killed at a random moment of that time, and started again (a
training with resume=), until it has been killed as often as wanted. A round has three kills at most and then runs to
its end, and what it leaves must equal, byte by byte, what the uninterrupted command left: weights, rollouts and metrics
without their times; balanced rows; responses and scores of benchmarks; outcomes of graded responses. Models are
untrained and have 0.1 M parameters.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "job"), str(ROOT / "tests" / "evaluation")]

import job_parts  # noqa: E402 - commands are forked from a server that has imported everything
from balance_parts import lay_out, row, write  # noqa: E402

from uniopd_mm.processors.tiny import TinyQwen3VL  # noqa: E402
from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions  # noqa: E402

CASES = ROOT / "tests" / "tasks" / "grading_cases.jsonl"
HUB = ROOT / "tests" / "evaluation" / "hub"
KILLS_IN_A_ROUND = 3
Arguments = Callable[[Path], Sequence[str]]
Left = Callable[[Path], Mapping[str, object]]


@dataclass
class Subject:
    """A command under test: its arguments in a folder, and what it leaves there."""

    command: str
    arguments: Arguments
    left: Left
    prepare: Callable[[Path], object]
    kills: int = 0
    rounds: int = 0
    different: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "balance", "evaluate", "grade"):
        parser.add_argument(f"--{name}", type=int, default=0, metavar="KILLS")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cache = {"UNIOPD_MM_CACHE": str(folder / "cache")}
        with job_parts.pytest.MonkeyPatch.context() as patch:
            patch.setenv("UNIOPD_MM_CACHE", cache["UNIOPD_MM_CACHE"])
            job_parts.serve()
            different = 0
            for subject in subjects(folder):
                different += kill(subject, getattr(options, subject.command), folder / subject.command, chance)
    sys.exit(1 if different else 0)


def subjects(folder: Path) -> list[Subject]:
    """The four commands, with a student, a teacher and rows of their own."""
    samples = SyntheticVideoQuestions(num_pretrain=24, num_train=12, num_validation=8).samples("train").samples
    texts = [str(sample.demonstration) for sample in samples]
    for seed, name in enumerate(("student", "teacher")):
        TinyQwen3VL(hidden_size=64, num_layers=1).write(folder / name, texts, seed=seed)
    student, teacher = str(folder / "student"), str(folder / "teacher")
    rows = [row(number, split="train") for number in range(12)]

    def lay_out_rows(where: Path) -> None:
        where.mkdir(parents=True)
        lay_out(where, student, samples)
        write(where, *rows)

    return [
        Subject("train", lambda where: training(where, student, teacher), trained, Path.mkdir),
        Subject("balance", lambda where: balancing(where, student), balanced, lay_out_rows),
        Subject("evaluate", lambda where: evaluating(student), evaluated, Path.mkdir),
        Subject("grade", lambda where: grading(), regraded, Path.mkdir),
    ]


def training(where: Path, student: str, teacher: str) -> list[str]:
    """The run's own command, or, once it has a folder, resume=."""
    if (where / "runs" / "a" / "config.yaml").exists():
        return ["resume=runs/a"]
    sizes = ["task.synthetic.num_pretrain=24", "task.synthetic.num_train=12", "task.synthetic.num_validation=8"]
    models = ["model=tiny", f"model.path={student}", "teacher=tiny_expert", f"teacher.path={teacher}"]
    steps = ["trainer.steps=6", "trainer.prompts_per_step=3", "trainer.eval_every=2", "trainer.threads=1"]
    return [*models, *sizes, *steps, "rollout.num_samples=2", "rollout.max_new_tokens=6", "run.name=a"]


def trained(where: Path) -> dict[str, object]:
    run = where / "runs" / "a"
    best = (run / "checkpoints" / "best" / "best.json").read_bytes()
    names = sorted(path.name for path in (run / "checkpoints").iterdir() if not path.name.startswith("best"))
    rest = {"best": best, "checkpoints": names, "rows": job_parts.measured(run)}
    return {**job_parts.rollouts(run), **rest, "weights": job_parts.weights(run, 6)}


def balancing(where: Path, student: str) -> list[str]:
    settings = ["model=tiny", "model.path=student", "rollout.max_new_tokens=6", "threads=1", "num_rollouts=6"]
    task = ["task._target_=noise.NoiseTask", "prompts_per_chunk=1", "data.path=in.jsonl"]
    return [*settings, *task, "out=balanced/out.jsonl", "overwrite=true"]


def balanced(where: Path) -> dict[str, object]:
    """The rows, and how often each prompt was asked, which is once."""
    files = (where / "cache" / "pass_rates").glob("*.jsonl")
    lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
    whole = [json.loads(line)["id"] for line in lines if line.endswith("}")]
    rows = (where / "balanced" / "out.jsonl").read_text(encoding="utf-8").replace(str(where), "")
    return {"rows": rows, "asked": sorted(whole)}


def evaluating(student: str) -> list[str]:
    small = ["tasks=[uniopd_aime24,uniopd_chartqa]", f"data_root={HUB}", "engine=hf", "num_samples=2", "threads=1"]
    return [f"checkpoints=[{student}]", *small, "max_new_tokens=8", "out=out"]


def evaluated(where: Path) -> dict[str, object]:
    """Every question's responses and scores, and the table's values."""
    record = json.loads((where / "out" / "results.json").read_text())
    scores = {score["task"]: (score["value"], score["num_questions"], score["status"]) for score in record["scores"]}
    lines = {path.parent.name: path.read_text().splitlines() for path in (where / "out").glob("*/*/samples.jsonl")}
    answers = {
        task: [(json.loads(line)["doc_id"], json.loads(line)["resps"]) for line in lines[task]] for task in lines
    }
    return {"scores": scores, "answers": answers}


def grading() -> list[str]:
    return ["mixed=true", f"data.path={CASES}", "out=graded.jsonl", "overwrite=true"]


def regraded(where: Path) -> dict[str, object]:
    """Every outcome but its time; nothing else is left."""
    lines = [json.loads(line) for line in (where / "graded.jsonl").read_text().splitlines()]
    outcomes = [{name: value for name, value in line.items() if name != "seconds"} for line in lines]
    return {"outcomes": outcomes, "left": sorted(path.name for path in where.glob(".*.part"))}


def kill(subject: Subject, kills: int, folder: Path, chance: random.Random) -> int:
    """Kill the command `kills` times; returns how many rounds left something else than the uninterrupted command."""
    if not kills:
        return 0
    folder.mkdir()
    finished(subject, folder / "first")  # takes longer: whatever the server has not imported yet
    began = time.monotonic()
    wanted = finished(subject, folder / "whole")
    seconds = time.monotonic() - began
    print(f"{subject.command}: uninterrupted in {seconds:.1f} s", flush=True)
    while subject.kills < kills:
        where = folder / f"round_{subject.rounds}"
        subject.rounds += 1
        subject.prepare(where)
        for _ in range(min(chance.randint(1, KILLS_IN_A_ROUND), kills - subject.kills)):
            subject.kills += killed(subject, where, chance.uniform(0, seconds))
        found = finished(subject, where)
        subject.different += [f"round {subject.rounds}: {name}" for name in wanted if found.get(name) != wanted[name]]
        shutil.rmtree(where)
    lost = "; ".join(subject.different) or "nothing lost, nothing repeated, every result identical"
    print(f"{subject.command}: {subject.kills} kills in {subject.rounds} rounds: {lost}", flush=True)
    return len(subject.different)


def killed(subject: Subject, where: Path, later: float) -> bool:
    """Start the command and kill it; False where it ended before."""
    command = job_parts.start(subject.arguments(where), where, environment(where), subject.command)
    return command.kill_when(lambda: True, later)


def finished(subject: Subject, where: Path) -> Mapping[str, object]:
    if not where.exists():
        subject.prepare(where)
    done = job_parts.run(subject.arguments(where), where, environment(where), subject.command)
    if done.status:
        return {"status": done.status, "said": done.err}
    return subject.left(where)


def environment(where: Path) -> dict[str, str]:
    """Pass rates are cached for each round anew, and no hub is asked."""
    own = {"UNIOPD_MM_CACHE": str(where / "cache")} if where.parent.name == "balance" else {}
    return {**own, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}


if __name__ == "__main__":
    main()
