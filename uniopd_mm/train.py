"""`python -m uniopd_mm.train task=video_qa`: compose the configuration, build the parts, run.

`--help` lists every key, `--cfg job` prints the composed configuration, `resume=runs/<name>` goes on with a run.
"""

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from time import perf_counter

import torch
from transformers.utils import logging as transformers_logging

from uniopd_mm.assembly import assemble, check_components
from uniopd_mm.config.checks import validate
from uniopd_mm.config.cli import run_command
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.run.folder import Run, give_back, open_run
from uniopd_mm.run.plan import show_budget, show_plan
from uniopd_mm.run.progress import Progress
from uniopd_mm.run.recipes import build_recipe
from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.console import note, terminal
from uniopd_mm.tracking.report import write_report
from uniopd_mm.tracking.summary import Summary, summary_table, write_summary
from uniopd_mm.trainer import Trainer
from uniopd_mm.types import Skip, UserError


def train(config: TrainConfig, overrides: Sequence[str]) -> None:
    """Run a job from its composed configuration to its summary."""
    started = perf_counter()
    world = World()
    if not config.resume:
        world.from_main(lambda: check(config))
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    terminal().quiet = not world.is_main
    run = world.from_main(lambda: open_run(config, overrides))
    if config.resume:
        world.from_main(lambda: check(run.config))
    torch.set_num_threads(run.config.trainer.threads or cores_each(world))  # sums depend on it: the run's own number
    note(f"run {run.folder}")
    try:
        trainer = assemble(run, world)
        sizes, held_out = trainer.parts.prompts.mixture.sizes, trainer.progress.before.asked
        show_plan(run.folder, sizes, held_out, trainer.quotas(), is_main=world.is_main)
    except UserError:
        if world.is_main:
            give_back(run)
        raise
    try:
        progress = trainer.train()
    finally:
        trainer.parts.tracker.close()
    if world.is_main:
        _finish(run, trainer, progress, perf_counter() - started)


def check(config: TrainConfig) -> None:
    """All that can be refused before anything is loaded.

    Raises:
        UserError: names the key, its value and the remedy.
    """
    validate(config)
    check_components(config)
    build_recipe(config)


def _finish(run: Run, trainer: Trainer, progress: Progress, elapsed: float) -> None:
    """Summary, table and report."""
    summary = summarize(trainer.parts.task.domain, progress, trainer.parts.prompts.skipped)
    earlier = run.state.progress.seconds if run.state else 0.0
    summary = replace(summary, seconds=earlier + elapsed)
    write_summary(run.folder, summary)
    show_budget(run.folder, tuple(trainer.parts.prompts.mixture.sizes), progress.history)
    terminal().print(summary_table(summary))
    note(f"report {write_report(run.folder)}")


def cores_each(world: World) -> int:
    """Threads for each process that shares this machine."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", world.size))  # set by torch's and accelerate's launchers
    return max(1, (os.cpu_count() or 1) // here)


def summarize(domain: str, progress: Progress, skipped: Sequence[Skip]) -> Summary:
    """What summary.json says of a finished run; its seconds are those of the steps."""
    after, teacher = progress.after or progress.before, progress.teacher
    return Summary(
        task=domain,
        steps=progress.step,
        accuracy_before=progress.before.accuracy,
        accuracy_after=after.accuracy,
        teacher_accuracy=teacher.accuracy if teacher else {},
        num_questions=progress.before.asked,
        seconds=progress.seconds,
        skipped=tuple(dict.fromkeys((*skipped, *progress.before.skipped))),
        teacher_failures=progress.teacher_failures,
        unknown_outcomes=progress.unknown_outcomes,
        left_out=progress.left_out,
        extra={"best": asdict(progress.best)} if progress.best else {},
    )


def main() -> None:
    """The command."""
    run_command(train, TrainConfig, "train")


if __name__ == "__main__":
    main()
