"""Offline difficulty-aware balancing (arXiv 2605.03677): reads rows, writes balanced rows and a histogram.

The student answers every train prompt several times; prompts of medium difficulty are repeated until all difficulties
are about equally frequent. No row is dropped.
"""

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from uniopd_mm.config.balance import BalanceConfig, check_folders
from uniopd_mm.config.components import build
from uniopd_mm.data.repeats import balanced_rows
from uniopd_mm.distill.balancing import balance_difficulty
from uniopd_mm.interfaces import Task
from uniopd_mm.models.loading import checkpoint, load_student, revision
from uniopd_mm.run.pass_rates import PassRateEstimator, Tallies
from uniopd_mm.runtime.hub import use_cache_without_hub
from uniopd_mm.runtime.lock import locked
from uniopd_mm.tracking.console import note, terminal, warn_of_skips, warning
from uniopd_mm.tracking.histogram import histogram, histogram_png, histogram_table
from uniopd_mm.types import Corpus, Sample, Sampling, Skip, UserError


@dataclass(frozen=True, kw_only=True, slots=True)
class PassRates:
    """Pass rates by sample id: `own` come from the rows, `measured` from the student. `without` lists the samples that
    have neither, with the reason."""

    own: Mapping[str, float]
    measured: Mapping[str, float]
    without: Sequence[Skip]

    @property
    def known(self) -> Mapping[str, float]:
        return {**self.own, **self.measured}


def balance(config: BalanceConfig, overrides: Sequence[str]) -> None:
    """Write balanced rows and a histogram, and print a summary."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(config.threads or os.cpu_count() or 1)
    paths = [config.model.path, config.data.path if str(config.data.path).startswith("hub:") else None]
    if text := use_cache_without_hub(paths):
        warning(text)
    task: Task = build(config.task, "task")
    splits = read_splits(task)
    check_folders(config)
    with alone_with(config.files):
        _balance(config, overrides, task, splits)


def _balance(config: BalanceConfig, overrides: Sequence[str], task: Task, splits: Mapping[str, Corpus]) -> None:
    unread = tuple(dict.fromkeys(skip for corpus in splits.values() for skip in corpus.skipped))
    for text in splits["train"].recognised:
        note(text)
    warn_of_skips(unread, "not written")
    for domain, text in splits["train"].grading.items():
        note(f"grading of {domain}: {text}")
    rates = find_pass_rates(config, task, splits["train"])
    warn_of_skips(rates.without, "kept once, without a pass rate")
    ids, values = list(rates.known), torch.tensor(list(rates.known.values()), dtype=torch.float64)
    repeats = balance_difficulty(values, num_bins=config.num_bins, max_repeat=config.max_repeat)
    out, picture = config.files.values()
    counted = histogram(values, repeats, config.num_bins)
    with replacing(picture) as partial:
        histogram_png(counted, partial)
    num_rows = write_rows(out, balanced_rows(splits, rates.measured, dict(zip(ids, repeats.tolist(), strict=True))))
    terminal().print(histogram_table(counted))
    note(f"histogram {picture}")
    for line in closing_lines(splits, rates, len(unread), num_rows, out):
        note(line)
    note(f"next: {next_command(overrides, out)}")


@contextmanager
def alone_with(files: Mapping[str, Path]) -> Iterator[None]:
    """The files to write, by configuration key, which no other process may write meanwhile.

    Raises:
        UserError: one does.
    """
    with ExitStack() as held:
        for key, path in files.items():
            refusal = f"{key}={path}: {{holder}} is writing it; wait for its end, or give another file"
            if not held.enter_context(locked(path.with_name(f".{path.name}.lock"), refusal)):
                warning(f"{key}={path}: its file system has no locks; make sure that no other process writes it")
        yield


def read_splits(task: Task) -> dict[str, Corpus]:
    """The samples of every split, train first.

    Raises:
        UserError: there are no train samples, several tasks are mixed, or a sample has no row to write.
    """
    splits = {"train": task.samples("train")}
    for split in ("validation", "test"):
        try:
            splits[split] = task.samples(split)
        except UserError as error:
            note(f"no {split} split is written: {error}")  # usually there is none: train could be read
    domains = dict.fromkeys(sample.domain for corpus in splits.values() for sample in corpus)
    if len(domains) > 1:
        raise UserError(f"task: samples of {', '.join(domains)}; balance the rows of each task separately")
    for corpus in splits.values():
        for sample in corpus:
            if not sample.row:
                raise UserError(
                    f"task: sample {sample.sample_id} has no `row` to write; let the task fill `Sample.row`"
                )
    return splits


def find_pass_rates(config: BalanceConfig, task: Task, train: Corpus) -> PassRates:
    """The pass rates of the rows, and the student's for rows without one.

    Raises:
        UserError: no row has or gets a pass rate.
    """
    own = {sample.sample_id: sample.pass_rate for sample in train if sample.pass_rate is not None}
    unrated = [sample for sample in train if sample.pass_rate is None]
    measured, without = measure(config, task, unrated) if unrated else ({}, [])
    if not own and not measured:
        first = f"the first of {len(without)}: {without[0].where}: {without[0].reason}" if without else "no train rows"
        raise UserError(f"data.path: no pass rate could be measured; {first}")
    if own:
        note(f"{len(own)} rows have a pass_rate, which is used as it is")
    return PassRates(own=own, measured=measured, without=without)


def measure(config: BalanceConfig, task: Task, samples: Sequence[Sample]) -> tuple[dict[str, float], list[Skip]]:
    """The student's pass rates by sample id, and the samples without one."""
    path = checkpoint(config.model, "model")
    tallies = Tallies(config.model.name, _origin(config, path))
    missing = [sample for sample in samples if tallies.of(sample) is None]
    if len(missing) < len(samples):
        note(f"{len(samples) - len(missing)} of {len(samples)} pass rates are cached ({tallies.path})")
    without = _estimator(config, task, path)(missing, tallies) if missing else []
    measured: dict[str, float] = {}
    for sample in samples:
        tally = tallies.of(sample)
        if tally is not None and tally.pass_rate is not None:
            measured[sample.sample_id] = tally.pass_rate
        elif tally is not None:
            reason = f"all {tally.unknown} outcomes are unknown ({tally.reason})"
            without.append(Skip(where=sample.source, reason=reason))
    return measured, without


def _estimator(config: BalanceConfig, task: Task, path: str) -> PassRateEstimator:
    seen_once = replace(config.data, prompt_cache_mb=0)
    student, processor = load_student(config.model, seen_once, path)
    engine = build(config.rollout.engine, "rollout.engine", backbone=student, processor=processor)
    return PassRateEstimator(
        task=task,
        processor=processor,
        engine=engine,
        sampling=_sampling(config),
        num_rollouts=config.num_rollouts,
        max_prompt_tokens=config.data.max_prompt_tokens,
        chunk=config.prompts_per_chunk,
    )


def _sampling(config: BalanceConfig) -> Sampling:
    rollout = config.rollout
    return Sampling(
        temperature=rollout.temperature,
        max_new_tokens=rollout.max_new_tokens,
        seed=config.seed,
        policy_step=0,
        stop_strings=tuple(rollout.stop),
    )


def _origin(config: BalanceConfig, path: str) -> dict[str, Any]:
    """Everything that pass rates depend on apart from the sample."""
    return {
        "weights": revision(path),
        "dtype": config.model.dtype,
        "processor": config.model.processor,
        "task": config.task,
        "engine": config.rollout.engine,
        "sampling": repr(_sampling(config)),
        "num_rollouts": config.num_rollouts,
    }


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write the file atomically; returns the number of rows."""
    num_rows = 0
    with replacing(path) as partial, partial.open("wb") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n")
            num_rows += 1
        file.flush()
        os.fsync(file.fileno())
    return num_rows


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file for the block to write, which then replaces `path` atomically.

    Raises:
        UserError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        remedy = "fix this and run the command again; pass rates are cached"
        raise UserError(f"{path}: {error.strerror}; {remedy}") from error
    finally:
        partial.unlink(missing_ok=True)


def closing_lines(
    splits: Mapping[str, Sequence[Sample]], rates: PassRates, num_unread: int, num_rows: int, out: Path
) -> Iterator[str]:
    """How many rows were written, repeated and left out."""
    counts = {split: len(samples) for split, samples in splits.items()}
    others = "".join(f", {split} {count}" for split, count in counts.items() if split != "train")
    repeats = num_rows - sum(counts.values())
    yield f"rows {out}: {num_rows}, of which train {counts['train']}{others}, repeats of train {repeats}"
    if rates.without:
        yield f"without a pass rate, written once: {len(rates.without)} of train"
    if num_unread:
        yield f"not written because they are not valid samples: {num_unread}; correct these rows and balance again"


def next_command(overrides: Sequence[str], out: Path) -> str:
    """The command that trains on the balanced rows, with the same task and student."""
    chosen = [override for override in overrides if override.startswith(("model=", "model."))]
    task = next((override for override in overrides if override.startswith("task=")), "task=video_qa")
    return shlex.join(["python", "-m", "uniopd_mm.train", task, *chosen, f"data.path={out}"])
