"""`python -m uniopd_mm.train task=video_qa`: compose the configuration, build the parts, run.

`--help` lists every key, `--cfg job` prints the composed configuration, `resume=runs/<name>` goes on with a run. torch
and transformers are imported inside of functions: a command line that is refused does not wait for them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from uniopd_mm.cli.command import Command, Fruitless, Job, run_command
from uniopd_mm.cli.signals import last_word
from uniopd_mm.config.checks import validate
from uniopd_mm.config.train import TrainConfig

if TYPE_CHECKING:
    from uniopd_mm.run.folder import Run
    from uniopd_mm.run.progress import Progress
    from uniopd_mm.runtime.world import World
    from uniopd_mm.tracking.summary import Summary
    from uniopd_mm.trainer import Trainer
    from uniopd_mm.types import Skip


def train(config: TrainConfig, overrides: Sequence[str]) -> Path:
    """Run a job from its composed configuration to its summary; returns the run's folder, which it locks meanwhile."""
    with ExitStack() as held:
        return _train(config, overrides, held)


def _train(config: TrainConfig, overrides: Sequence[str], held: ExitStack) -> Path:
    started = perf_counter()
    if not config.resume:
        validate(config)
        from uniopd_mm.run.checks import check_parts

        check_parts(config)

    import torch
    from transformers.utils import logging as transformers_logging

    from uniopd_mm.run.announcement import places, plan_in_words, rows_beside_the_zoo
    from uniopd_mm.run.checks import check
    from uniopd_mm.run.folder import open_run
    from uniopd_mm.run.trust import resume_command
    from uniopd_mm.runtime.hub import use_cache_without_hub
    from uniopd_mm.runtime.world import World
    from uniopd_mm.tracking.console import note, terminal, warning

    world = World()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    terminal().quiet = not world.is_main
    run = world.from_main(lambda: open_run(config, overrides, held))
    if config.resume:
        world.from_main(lambda: check(run.config))
    torch.set_num_threads(run.config.trainer.threads or cores_each(world))  # sums depend on it: the run's own number
    note(plan_in_words(run.config))
    note(f"run {run.folder}")
    for text in (rows_beside_the_zoo(run.config), use_cache_without_hub(places(run.config))):
        if text:
            warning(text)
    trainer = _assembled(run, world)
    try:
        progress = trainer.train()
    except KeyboardInterrupt as error:
        word, status = last_word(error)
        if world.is_main:
            print(f"{word}; go on with: {resume_command(run.folder, asdict(run.config))}", file=sys.stderr)
        sys.exit(status)
    finally:
        trainer.parts.tracker.close()
    if world.is_main:
        _finish(run, trainer, progress, perf_counter() - started)
    if trainer.stopped:
        raise Fruitless(_stopped(trainer.stopped, run), run.folder)
    return run.folder


def _stopped(reason: str, run: Run) -> str:
    """Why the run ended early, and how to go on."""
    limit = run.config.trainer.max_idle_steps
    return (
        f"trainer.max_idle_steps={limit}: the run stopped, because the student learned nothing for too long: {reason}. "
        f"Summary and checkpoint are in {run.folder}; start a new run with what you change, or go on regardless with "
        f"resume={run.folder} trainer.max_idle_steps=0"
    )


def _assembled(run: Run, world: World) -> Trainer:
    """The trainer, and the plan on the console. A folder in which nothing happened yet is given back."""
    from uniopd_mm.assembly import assemble
    from uniopd_mm.run.folder import give_back
    from uniopd_mm.run.plan import show_plan
    from uniopd_mm.types import UserError

    try:
        trainer = assemble(run, world)
        sizes, held_out = trainer.parts.prompts.mixture.sizes, trainer.progress.before.asked
        show_plan(run.folder, sizes, held_out, trainer.quotas(), is_main=world.is_main)
    except (UserError, KeyboardInterrupt) as error:
        if world.is_main:
            give_back(run)
        elif isinstance(error, UserError):
            print(f"error: rank {world.rank}: {error}", file=sys.stderr)  # only rank 0 prints its errors by itself
        raise
    return trainer


def _finish(run: Run, trainer: Trainer, progress: Progress, elapsed: float) -> None:
    """Summary, table and report."""
    from uniopd_mm.run.plan import show_budget
    from uniopd_mm.tracking.console import note, terminal
    from uniopd_mm.tracking.report import write_report
    from uniopd_mm.tracking.summary import summary_table, write_summary

    summary = summarize(trainer.parts.task.domain, progress, trainer.parts.prompts.skipped)
    earlier = run.state.progress.seconds if run.state else 0.0
    summary = replace(summary, seconds=earlier + elapsed, grading=trainer.parts.grading)
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
    from uniopd_mm.tracking.summary import Summary

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
        extra={
            **({"best": asdict(progress.best)} if progress.best else {}),
            **({"changes": list(progress.changes)} if progress.changes else {}),
        },
    )


def report_jobs(jobs: Sequence[Job]) -> None:
    """The table over the runs of a `--multirun`."""
    from uniopd_mm.run.multirun import FinishedRun, report_multirun

    runs = [FinishedRun(folder=job.folder, overrides=job.overrides, error=job.error) for job in jobs]
    report_multirun(Path(jobs[0].config.run.root), runs)


COMMAND = Command(
    name="train",
    summary="Distil a student: it answers prompts, teachers score its tokens, it moves toward them.",
    schema=TrainConfig,
    run=train,
    finish=report_jobs,
)


def main() -> None:
    """The command."""
    run_command(COMMAND)


if __name__ == "__main__":
    main()
