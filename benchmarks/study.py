"""Does the recipe help if the teacher cannot be trusted? Compares recipes on the built-in zoo, with several seeds each.

The teacher's likelihood rewards a fluent wrong answer about as much as the correct one (experiment=unreliable_teacher).
Every recipe trains the same student on the same number of rollouts. Offline balancing measures the student's pass rates
beforehand, once for all seeds. A finished run is not repeated.

    python benchmarks/study.py            # about 30 minutes on two cores, plus 5 to build the zoo on the first run
    python benchmarks/study.py --quick    # about 5 minutes, with too few seeds to be conclusive

Prints a Markdown table; `--picture FILE.png` draws it. There is no tuning: all recipes share one learning rate.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure
from rich.progress import Progress

from uniopd_mm.tasks.synthetic.video_questions import SyntheticVideoQuestions

ROWS, BALANCED = "data.path=rows.jsonl", "data.path=balanced.jsonl"
RECIPES = {
    "opd": ["recipe=opd", ROWS],
    "opd + online balance": ["recipe=opd", "recipe.balancing.ratio=1", ROWS],
    "opd + offline balance": ["recipe=opd", BALANCED],
    "opd + margin shift": ["recipe=opd", "recipe.calibration.method=SHIFT", ROWS],
    "uni_opd": ["recipe=uni_opd", BALANCED],
    "grpo": ["recipe=grpo", ROWS],
}
NUM_TRAIN, NUM_VALIDATION = 1000, 960
COMMON = ["experiment=unreliable_teacher", "tracking.tensorboard=false", "tracking.progress=false", "trainer.threads=1"]
COMMON += [f"data.max_validation_samples={NUM_VALIDATION}"]
LAST_STEPS = 5  # training metrics are averaged over these
T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}  # Student's t


@dataclass(frozen=True)
class Run:
    """The measurements of a finished run, as shares."""

    before: float
    teacher: float | None
    after: float
    rollouts: float
    consistency: float | None


Runs = dict[tuple[str, int], Run]


def main() -> None:
    """Run the study and print the table."""
    options = parse()
    root = options.root.absolute()
    root.mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    write_rows(root, 1 / 3 if options.quick else 1)
    balance(root)
    jobs = {
        (recipe, seed): command(recipe, seed, options.steps, root)
        for seed in range(options.seeds)
        for recipe in RECIPES
    }
    work(jobs, root, options.workers)
    runs = {name: read(root / folder(*name)) for name in jobs}
    lines = table(runs, options.seeds, options.steps)
    print("\n".join([*lines, "", f"{time.perf_counter() - begun:.0f} s on {options.workers} processes"]))
    if options.picture:
        draw(runs, options.seeds, options.picture)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="2 seeds of 6 steps, with a third of the prompts and questions"
    )
    parser.add_argument("--seeds", type=int, help="runs of each recipe, 2 to 10 (default 5)")
    parser.add_argument("--steps", type=int, help="steps of a run (default 20)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="parallel runs, each on one thread")
    parser.add_argument("--root", type=Path, help="folder of the runs (default runs/study)")
    parser.add_argument("--picture", type=Path, metavar="FILE.png", help="draw the table")
    options = parser.parse_args()
    seeds, steps, root = (2, 6, "runs/study_quick") if options.quick else (5, 20, "runs/study")
    options.seeds, options.steps = options.seeds or seeds, options.steps or steps
    options.root = options.root or Path(root)
    if not 2 <= options.seeds <= 10:
        parser.error("--seeds must be between 2 and 10: one gives no spread, and ten are enough")
    return options


def write_rows(root: Path, share: float) -> None:
    """Write the first `share` of the zoo's train clips, and of held-out questions about clips that none of its models
    has seen. A clip's hash determines its split, whatever the seed."""
    train = SyntheticVideoQuestions(num_pretrain=1600, num_train=NUM_TRAIN).samples("train")
    held_out = SyntheticVideoQuestions(num_validation=NUM_VALIDATION, seed=1).samples("validation")
    splits = {"train": train, "validation": held_out}
    rows = [
        {**sample.row, "split": split}
        for split, corpus in splits.items()
        for sample in corpus[: round(share * len(corpus))]
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def balance(root: Path) -> None:
    """Balance the train prompts by the student's pass rates. This also builds the zoo's student."""
    if not (root / "balanced.jsonl").exists():
        words = [sys.executable, "-m", "uniopd_mm.balance", ROWS, "out=balanced.jsonl", "threads=1"]
        subprocess.run(words, cwd=root, check=True)


def folder(recipe: str, seed: int) -> str:
    return f"{recipe.replace(' ', '_')}_{seed}"


def command(recipe: str, seed: int, steps: int, root: Path) -> list[str]:
    """Arguments of the training command; empty if the run is done."""
    name = folder(recipe, seed)
    if (root / name).exists() and f"\n  steps: {steps}\n" not in (root / name / "config.yaml").read_text("utf-8"):
        raise SystemExit(f"{root / name}: has another number of steps; choose another --root")
    if (root / name / "summary.json").exists():
        return []
    if (root / name).exists():
        return [f"resume={root / name}"]
    sizes = [f"trainer.steps={steps}", f"trainer.save_every={steps}"]
    return [*COMMON, *RECIPES[recipe], *sizes, f"seed={seed}", f"run.name={name}", f"run.root={root}"]


def work(jobs: dict[tuple[str, int], list[str]], root: Path, workers: int) -> None:
    """Run one job first, which builds the teacher, then all others in parallel."""
    left = [(folder(*name), arguments) for name, arguments in jobs.items() if arguments]
    with Progress() as bar, ThreadPoolExecutor(workers) as pool:
        task = bar.add_task("runs", total=len(left))
        for part in (left[:1], left[1:]):
            for _ in pool.map(lambda job: train(*job, root), part):
                bar.advance(task)


def train(name: str, arguments: list[str], root: Path) -> None:
    """Start a run in a new process, with its output in a file."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (root / f"{name}.log").open("w", encoding="utf-8") as log:
        words = [sys.executable, "-m", "uniopd_mm.train", *arguments]
        if subprocess.run(words, cwd=root, env=environment, stdout=log, stderr=log).returncode:
            raise SystemExit(f"{name}: failed; see {log.name}")


def read(run: Path) -> Run:
    """The measurements of a finished run."""
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    steps = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    (domain,) = summary["accuracy_after"]
    consistency = [step["order_consistency"] for step in steps[-LAST_STEPS:] if "order_consistency" in step]
    return Run(
        before=summary["accuracy_before"][domain],
        teacher=summary["teacher_accuracy"].get(domain),
        after=summary["accuracy_after"][domain],
        rollouts=statistics.mean(step["accuracy"] for step in steps[-LAST_STEPS:] if "accuracy" in step),
        consistency=statistics.mean(consistency) if consistency else None,
    )


def table(runs: Runs, seeds: int, steps: int) -> list[str]:
    """The Markdown table: means with standard errors, and differences to opd with the same seed, with 95 %
    intervals."""
    first = runs["opd", 0]
    lines = [
        f"{seeds} seeds of {steps} steps; student before {first.before:.1%}, teacher {first.teacher:.1%} (greedy)",
        "",
        "| recipe | held-out accuracy | minus opd | 95 % interval | accuracy of rollouts | order consistency |",
        "|---|---|---|---|---|---|",
    ]
    for recipe in RECIPES:
        own = [runs[recipe, seed] for seed in range(seeds)]
        consistency = [run.consistency for run in own if run.consistency is not None]
        after, rollouts = [run.after for run in own], [run.rollouts for run in own]
        cells = [recipe, share(after), *difference(runs, recipe, seeds), share(rollouts), share(consistency)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def share(values: Sequence[float]) -> str:
    """Mean and standard error in percent; "-" without values."""
    if not values:
        return "-"
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{100 * statistics.mean(values):.1f} ± {100 * error:.1f}"


def interval(runs: Runs, recipe: str, seeds: int) -> tuple[float, float]:
    """Mean difference to opd with the same seed, and half the width of its 95 % interval (Student's t)."""
    pairs = [runs[recipe, seed].after - runs["opd", seed].after for seed in range(seeds)]
    return statistics.mean(pairs), T_95[seeds - 1] * statistics.stdev(pairs) / seeds**0.5


def difference(runs: Runs, recipe: str, seeds: int) -> tuple[str, str]:
    if recipe == "opd":
        return "-", "-"
    mean, half = interval(runs, recipe, seeds)
    return f"{100 * mean:+.1f}", f"{100 * (mean - half):+.1f} to {100 * (mean + half):+.1f}"


def draw(runs: Runs, seeds: int, path: Path) -> None:
    """Draw every run as a point, the mean of each recipe as a bar, and student and teacher as lines."""
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for row, recipe in enumerate(RECIPES):
        values = [100 * runs[recipe, seed].after for seed in range(seeds)]
        axes.barh(row, statistics.mean(values), color="#93b4f5" if recipe == "uni_opd" else "#d5dbe6", height=0.62)
        axes.plot(values, [row] * seeds, "o", color="#2563eb", markersize=4, alpha=0.8)
    for name, value in (("student", runs["opd", 0].before), ("teacher", runs["opd", 0].teacher)):
        axes.axvline(100 * value, color="#3b4252", linewidth=0.9, linestyle=(0, (4, 3)))
        axes.text(100 * value, -0.75, name, ha="center", fontsize=8, color="#3b4252")
    axes.set_yticks(range(len(RECIPES)), RECIPES)
    axes.set_xlim(0, 100)
    axes.set_xlabel("held-out accuracy [%], one point per seed", fontsize=9)
    axes.tick_params(length=0, labelsize=9)
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.savefig(path, dpi=200, facecolor="white")


if __name__ == "__main__":
    main()
