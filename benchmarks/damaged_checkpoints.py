"""Damaged checkpoints: does a resume ever use one, and does it name the file?

    python benchmarks/damaged_checkpoints.py --cases 200

Trains a tiny student for three steps. Each case damages a copy of the run: every file of the newest checkpoint is
deleted, emptied, cut off and has one bit flipped; then random files of the newest checkpoints are. The folder is then
opened as resume= does, up to where training would begin.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from uniopd_mm.cli.command import composed
from uniopd_mm.learner.checkpoint import newest_whole_checkpoint
from uniopd_mm.run.folder import open_run
from uniopd_mm.tracking.console import terminal
from uniopd_mm.train import COMMAND
from uniopd_mm.types import UserError

STEPS = 3
SMALL = ["task.synthetic.num_pretrain=24", "task.synthetic.num_train=12", "task.synthetic.num_validation=8"]
SMALL += ["rollout.max_new_tokens=6", "trainer.prompts_per_step=3", f"trainer.steps={STEPS}", "trainer.threads=1"]
SMALL += ["trainer.keep_checkpoints=9", "tracking.tensorboard=false", "run.name=a"]
Damage = Callable[[Path, random.Random], None]
Case = list[tuple[int, str, str]]  # step, file, damage


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    terminal().quiet = True
    with tempfile.TemporaryDirectory() as scratch:
        run = trained(Path(scratch))
        found = Counter[str]()
        for case in islice(cases(run, chance), options.cases):
            copy = Path(scratch) / "copy"
            shutil.copytree(run, copy, symlinks=True)
            for step, name, damage in case:
                DAMAGES[damage](copy / "checkpoints" / f"step_{step}" / name, chance)
            outcome = resumed(copy, case)
            found[outcome] += 1
            if outcome in (USED, NOT_NAMED):
                print(f"{outcome}: {case}")
            shutil.rmtree(copy)
    print(
        f"{sum(found.values())} damaged checkpoints: {found[USED]} trained on, {found[NOT_NAMED]} not named", end="; "
    )
    print(f"{found[EARLIER]} went on from the one before, {found[REFUSED]} were refused as no checkpoint was whole")
    sys.exit(1 if found[USED] or found[NOT_NAMED] else 0)


def trained(folder: Path) -> Path:
    """The folder of a run with three checkpoints. Student and teacher are untrained."""
    from uniopd_mm.processors.tiny import TinyQwen3VL
    from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions

    samples = SyntheticVideoQuestions(num_pretrain=24, num_train=12, num_validation=8).samples("train").samples
    texts = [str(sample.demonstration) for sample in samples]
    for seed, name in enumerate(("student", "teacher")):
        TinyQwen3VL(hidden_size=64, num_layers=1).write(folder / name, texts, seed=seed)
    models = ["model=tiny", f"model.path={folder / 'student'}", "teacher=tiny_expert"]
    command = [sys.executable, "-m", "uniopd_mm.train", *models, f"teacher.path={folder / 'teacher'}", *SMALL]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "runs" / "a"


def cases(run: Path, chance: random.Random) -> Iterator[Case]:
    """First every file of the newest checkpoint with every damage, then random ones."""
    newest = run / "checkpoints" / f"step_{STEPS}"
    files = sorted(str(path.relative_to(newest)) for path in newest.rglob("*") if path.is_file())
    yield from ([(STEPS, name, damage)] for name in files for damage in DAMAGES)
    while True:
        steps = range(STEPS, STEPS - chance.randint(1, STEPS), -1)
        yield [(step, chance.choice(files), chance.choice(list(DAMAGES))) for step in steps]


def resumed(run: Path, case: Case) -> str:
    """What resume= does with a damaged run."""
    damaged = {step for step, _, _ in case}
    whole = max(set(range(1, STEPS + 1)) - damaged, default=None)
    arguments = [f"resume={run}"]
    try:
        named = " ".join(newest_whole_checkpoint(run)[1])
        with ExitStack() as held:
            used = open_run(composed(COMMAND, arguments), arguments, held).step
    except UserError as error:
        named, used = str(error), None
    if not all(f"step_{step}/{name}: " in named for step, name, _ in case):
        return NOT_NAMED
    if used != whole:
        return USED
    return REFUSED if used is None else EARLIER


USED, NOT_NAMED, EARLIER, REFUSED = "used", "not named", "earlier", "refused"


def flip(path: Path, chance: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


DAMAGES: dict[str, Damage] = {
    "delete": lambda path, chance: path.unlink(),
    "empty": lambda path, chance: path.write_bytes(b"") and None,
    "last byte": lambda path, chance: os.truncate(path, path.stat().st_size - 1),
    "cut": cut,
    "flip": flip,
}

if __name__ == "__main__":
    main()
