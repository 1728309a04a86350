"""A sweep from checkpoints to a table: every checkpoint on every task of a suite. The same command continues it."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from omegaconf import OmegaConf

from uniopd_mm.config.evaluate import EvaluateConfig, SweepEngine
from uniopd_mm.evaluation.available import require_installed
from uniopd_mm.evaluation.checkpoints import Checkpoint, read_checkpoints
from uniopd_mm.evaluation.choice import chosen_tasks
from uniopd_mm.evaluation.jobs import Job, Limits, blank_score, first_samples, stored
from uniopd_mm.evaluation.manifest import manifest
from uniopd_mm.evaluation.page import write_page
from uniopd_mm.evaluation.pictures import write_pictures
from uniopd_mm.evaluation.plan import Plan, make_jobs, make_plan, needs, plan_table
from uniopd_mm.evaluation.protocol import Opening
from uniopd_mm.evaluation.records import Score, Status
from uniopd_mm.evaluation.results import write_results
from uniopd_mm.evaluation.suites import suite_tasks
from uniopd_mm.evaluation.sweep import Sweep
from uniopd_mm.evaluation.table import markdown, sweep_table, terminal_table
from uniopd_mm.runtime.hub import use_cache_without_hub
from uniopd_mm.tracking.console import note, terminal, warning
from uniopd_mm.tracking.files import write_atomically, writing
from uniopd_mm.types import UserError

MARKDOWN, LOCK = "table.md", ".lock"
SHOWN = 2  # responses of each evaluation on the page


def evaluate(config: EvaluateConfig, overrides: Sequence[str]) -> None:
    """From checkpoints to a table.

    Raises:
        UserError: something cannot work, or evaluations failed after all others were done.
    """
    require_installed()
    checkpoints = read_checkpoints(config.checkpoints)
    if text := use_cache_without_hub(checkpoint.path for checkpoint in checkpoints):
        warning(text)
    tasks = chosen_tasks(suite_tasks(config.suite.tasks), config.tasks)
    out, data_root = Path(config.out).expanduser(), _folder(config.data_root)
    limits = Limits(limit=config.limit, num_samples=config.num_samples, max_new_tokens=config.max_new_tokens)
    no_network = config.offline or config.dry_run
    jobs = make_jobs(checkpoints, tasks, limits, out, engine_settings(config), no_network)
    with nullcontext() if config.dry_run else alone_in(out):
        plan = make_plan(jobs, data_root)
        show(plan, out, config.offline)
        if config.dry_run:
            return
        record = manifest(jobs, OmegaConf.to_container(OmegaConf.structured(config)), overrides)  # type: ignore[arg-type]
        failures = run(config, plan, checkpoints, out, data_root)
        scores = [_score(job, failures) for job in jobs]
        report(scores, jobs, record, config.suite.title, out)
    check_complete(scores)


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """The folder of the results, which another sweep may not write to meanwhile. A killed sweep holds nothing.

    Raises:
        UserError: another one does.
    """
    with writing(out, None):
        out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"out={out}: another sweep writes there; wait for its end, or give another out=") from None
    try:
        yield
    finally:
        lock.release()


def check_complete(scores: Sequence[Score]) -> None:
    """Raises UserError where evaluations failed or lack questions, for an exit status that says so."""
    lacking = [score for score in scores if score.status in (Status.FAILED, Status.INCOMPLETE)]
    if lacking:
        first = lacking[0]
        reason = first.reason or f"{first.unreadable[0].where}: {first.unreadable[0].reason}"
        raise UserError(
            f"{len(lacking)} of {len(scores)} evaluations are not whole, the first {first.checkpoint} on {first.task}: "
            f"{reason}; mend it and give the same command again: what is done stays"
        )


def engine_settings(config: EvaluateConfig) -> dict[str, Any]:
    """What decides a response beside checkpoint and task; with engine=hf no batch does."""
    engine = chosen_engine(config.engine)
    own = {"vllm": asdict(config.vllm)} if engine == "vllm" else {}
    return {"engine": engine, "dtype": config.dtype, "processor": config.processor, "seed": config.seed, **own}


def chosen_engine(engine: SweepEngine) -> str:
    """hf or vllm."""
    if engine is not SweepEngine.auto:
        return engine.value
    return "vllm" if find_spec("vllm") else "hf"


def show(plan: Plan, out: Path, offline: bool) -> None:
    """The plan, before it starts."""
    terminal().print(plan_table(plan))
    for line in needs(plan, out, offline):
        note(line)
    for found in plan.found.values():
        if found.problem:
            warning(f"{found.problem}; done again")


def run(
    config: EvaluateConfig, plan: Plan, checkpoints: Sequence[Checkpoint], out: Path, data_root: Path | None
) -> dict[tuple[str, str], str]:
    """Whatever is not done yet; why what failed did."""
    if config.offline:
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}  # for the workers
    openings = {checkpoint.name: _opening(config, checkpoint, data_root) for checkpoint in checkpoints}
    if not plan.waiting:
        return {}
    sweep = Sweep(
        jobs=plan.waiting,
        openings=openings,
        slots=slots(config),
        logs=out / "logs",
        task_minutes=config.task_minutes,
    )
    return sweep.run()


def slots(config: EvaluateConfig) -> list[str | None]:
    """The GPUs of each model, as CUDA_VISIBLE_DEVICES has them; one slot without any.

    Raises:
        UserError: there are not as many.
    """
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = shown.split(",") if shown else [str(index) for index in range(torch.cuda.device_count())]
    if config.gpus is not None and config.gpus > len(names):
        raise UserError(f"gpus={config.gpus}: there are {len(names)}; give fewer, or null for all")
    each = config.vllm.tensor_parallel_size if chosen_engine(config.engine) == "vllm" else 1
    names = names[: config.gpus]
    if names and each > len(names):
        raise UserError(f"vllm.tensor_parallel_size={each}: there are {len(names)} GPUs for it; give fewer")
    groups = [",".join(names[start : start + each]) for start in range(0, len(names) - each + 1, each)]
    return list(groups) or [None]


def _opening(config: EvaluateConfig, checkpoint: Checkpoint, data_root: Path | None) -> Opening:
    return Opening(
        path=checkpoint.path,
        engine=chosen_engine(config.engine),
        dtype=config.dtype,
        options=config.vllm,
        processor=config.processor,
        seed=config.seed,
        prompts_per_chunk=config.prompts_per_chunk,
        max_batch_size=config.max_batch_size,
        data_root=data_root,
        run=checkpoint.run,
        threads=config.threads,
    )


def _score(job: Job, failures: Mapping[tuple[str, str], str]) -> Score:
    """What the job's files say, or that it failed."""
    reason = failures.get((job.checkpoint.name, job.task.task))
    if reason is not None:
        return blank_score(job, Status.FAILED, reason)
    found = stored(job)
    if found.score is None:
        return blank_score(job, Status.FAILED, found.problem or "nothing was written")
    return found.score


def report(scores: Sequence[Score], jobs: Sequence[Job], record: Mapping[str, Any], title: str, out: Path) -> None:
    """results.json, table.md, pictures and report.html, and the table on the terminal."""
    table = sweep_table(scores)
    terminal().print(terminal_table(table, title))
    files = [write_results(out, scores, record), out / MARKDOWN, *write_pictures(out, scores)]
    write_atomically(out / MARKDOWN, [markdown(table, title).encode()], run=None)
    whole = [job for job, score in zip(jobs, scores, strict=True) if score.status in (Status.DONE, Status.INCOMPLETE)]
    samples = [sample for job in whole for sample in first_samples(job, SHOWN)]
    files.append(write_page(out, scores, record, title=title, samples=samples))
    for file in files:
        note(f"{file}")


def _folder(path: str | None) -> Path | None:
    return None if path is None else Path(path).expanduser().resolve()
