"""Grades responses that were written before: reads them from rows, grades them in parallel, writes the outcomes.

Finished outcomes are kept in a file beside the output, so that the same command continues after a kill. They are used
again only for the same row, response and task. Left out: what the tables look like (`tracking.verdicts`).
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from uniopd_mm.config.components import build
from uniopd_mm.config.grade import GradeConfig
from uniopd_mm.interfaces import Task
from uniopd_mm.run.fingerprints import own_version
from uniopd_mm.runtime.lock import locked
from uniopd_mm.tracking.console import note, progress, terminal, warn_of_skips, warning
from uniopd_mm.tracking.files import write_atomically, write_durably, writing
from uniopd_mm.tracking.verdicts import Graded, tables
from uniopd_mm.types import Corpus, Sample, Skip, UserError

SPLITS = ("train", "validation", "test")
EXPECTED = re.compile(r"[TFN]*(?:=[0-9]+(?:\.[0-9]+)?)?")
FORM = "give the letters of acceptable verdicts, T, F and N, or T=0.5"
DEMONSTRATION = "response"  # the column of a response to imitate, which grading does not need


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered:
    """A sample, one of its responses, and the verdicts that its row calls acceptable ("" for none)."""

    task: Task
    sample: Sample
    response: str
    expected: str
    key: str


def grade_rows(config: GradeConfig, answered: Sequence[Answered], skipped: Sequence[Skip]) -> list[Graded]:
    """Grade the responses and write `config.out`.

    Raises:
        UserError: there are none, or another process writes the file.
    """
    if not answered:
        first = f"; the first: {skipped[0].where}: {skipped[0].reason}" if skipped else ""
        raise UserError(f"data.path={config.data.path}: no row can be graded{first}")
    out = Path(str(config.out)).expanduser()
    refusal = f"out={out}: {{holder}} is writing it; wait for its end, or give another file"
    with locked(out.with_name(f".{out.name}.lock"), refusal) as held:
        if not held:
            warning(f"out={out}: its file system has no locks; make sure that no other process writes it")
        graded = _graded(answered, out.with_name(f".{out.name}.part"), config.threads)
        write_atomically(out, [line_of(outcome.record) for outcome in graded], run=None)
        out.with_name(f".{out.name}.part").unlink(missing_ok=True)
    return graded


def report(config: GradeConfig, graded: Sequence[Graded], skipped: Sequence[Skip]) -> None:
    """Print what came out."""
    warn_of_skips(skipped, "not graded")
    for table in tables(graded):
        terminal().print(table)
    note(f"outcomes {config.out}: {len(graded)} responses" + (f", {len(skipped)} rows not graded" if skipped else ""))


def read_answered(config: GradeConfig) -> tuple[list[Answered], list[Skip]]:
    """The samples of all splits with their responses, and the rows that have none or cannot be read."""
    columns = (config.response_column, config.expected_column)
    rows = config.task["rows"]
    own = {**rows, "ignore": [*rows.get("ignore", ()), *columns, DEMONSTRATION], "graded_only": True}
    task: Task = build({**config.task, "rows": own}, "task")
    corpora = _corpora(task)
    samples = {sample.source: sample for corpus in corpora for sample in corpus}
    skipped = {skip.where: skip for corpus in corpora for skip in corpus.skipped}
    origin = json.dumps([config.task, own_version()], sort_keys=True, default=str)
    answered: list[Answered] = []
    for raw in source_of(config, columns).raw_rows():
        if (sample := samples.get(raw.where)) is None or not isinstance(raw.content, Mapping):
            continue
        responses = _responses(raw.content.get(config.response_column))
        if not responses:
            skipped[raw.where] = Skip(where=raw.where, reason=f"no {config.response_column}: neither text nor texts")
        expected = raw.content.get(config.expected_column) or ""
        if not isinstance(expected, str) or not EXPECTED.fullmatch(expected):
            skipped[raw.where] = Skip(where=raw.where, reason=f"{config.expected_column}={expected!r}: {FORM}")
            continue
        answered += [
            Answered(
                task=task,
                sample=sample,
                response=response,
                expected=expected,
                key=_digest(origin, json.dumps(sample.row, sort_keys=True, default=str), response),
            )
            for response in responses
        ]
    return answered, list(skipped.values())


def _corpora(task: Task) -> list[Corpus]:
    """Every split that has samples.

    Raises:
        UserError: none has.
    """
    corpora: list[Corpus] = []
    refusals: list[UserError] = []
    for split in SPLITS:
        try:
            corpora.append(task.samples(split))
        except UserError as error:
            refusals.append(error)
    if not corpora:
        raise refusals[0]
    return corpora


def source_of(config: GradeConfig, kept: Sequence[str]) -> Any:
    """The source of the rows as they are, with the columns `kept` even where data.ignore names them."""
    node = config.task["rows"]
    return build({**node, "ignore": [name for name in node.get("ignore", ()) if name not in kept]}, "task.rows")


def _responses(value: Any) -> list[str]:
    """One response or several, as text; [] where there is none."""
    texts = value if isinstance(value, list | tuple) else [value]
    return [str(text) for text in texts] if texts and all(isinstance(text, str) for text in texts) else []


def _graded(answered: Sequence[Answered], part: Path, threads: int | None) -> list[Graded]:
    """The outcomes in order. Those in the file `part` are not computed again; each new one is added to it."""
    finished = dict(_finished(part))
    waiting = [entry for entry in answered if entry.key not in finished]
    with ExitStack() as stack:
        stack.enter_context(writing(part, None))
        file = stack.enter_context(FileIO(part, "a"))
        pool = stack.enter_context(ThreadPoolExecutor(threads or 2 * (os.cpu_count() or 1)))
        bar = stack.enter_context(progress("grading", len(answered)))
        bar.advance(len(answered) - len(waiting))
        pending = {pool.submit(_grade, entry): entry.key for entry in waiting}
        for future in as_completed(pending):
            finished[pending[future]] = future.result()
            write_durably(file, line_of({"key": pending[future], "outcome": future.result()}))
            bar.advance()
    return [
        Graded(id=entry.sample.sample_id, expected=entry.expected, domain=entry.sample.domain, **finished[entry.key])
        for entry in answered
    ]


def _grade(entry: Answered) -> dict[str, Any]:
    began = time.perf_counter()
    outcome = entry.task.grade(entry.sample, entry.response)
    return {
        "correct": outcome.correct,
        "reward": outcome.reward,
        "reason": outcome.reason,
        "answer": outcome.answer,
        "seconds": round(time.perf_counter() - began, 4),
    }


def _finished(part: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The outcomes of an earlier run by key. A line that a kill cut off is left out."""
    if not part.exists():
        return
    for line in part.read_bytes().splitlines():
        try:
            entry = json.loads(line)
            yield entry["key"], entry["outcome"]
        except (ValueError, LookupError, TypeError):
            continue


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def line_of(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=True, default=str) + "\n").encode()
