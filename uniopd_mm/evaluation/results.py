"""results.json: all scores of a sweep in one file. Also converts lmms-eval's results of a task to a score.

    {"schema": 1, "scale": "0-100", "manifest": {...}, "scores": [...]}

All values, standard errors and figures of the paper are on a scale of 0 to 100, None (null) if unknown. `manifest`
describes the sweep: versions, seeds, commit, hashes of tasks. A score is

    {"checkpoint", "task", "title", "domain",         which checkpoint was evaluated on which task
     "status", "reason",                              "done", "incomplete", "inapplicable" or "failed", and why
     "metric", "value", "standard_error",             the name of the value ("avg@32"), and the value
     "num_questions", "num_samples",                  questions, responses to each
     "extras",                                        {name: value} of further metrics
     "unknown", "truncated", "response_tokens",       responses not graded, cut off; tokens of all responses
     "unreadable", "contaminated",                    [{"where", "reason"}], count of questions or null
     "seconds", "settings", "departures",             what determines the value, and differences from the protocol
     "paper": {"student", "opd", "uni_opd"},          the paper's figures
     "difference"}                                    value - paper.uni_opd, or null

Numbers that are not finite are strings ("NaN"), as in a run's other files. Not here: tables and pictures.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from numbers import Real
from pathlib import Path
from typing import Any

from uniopd_mm.evaluation.records import Paper, ResponseStats, Score, Status, SuiteTask
from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.records import standard
from uniopd_mm.types import Skip, UserError

FILE_NAME = "results.json"
SCHEMA = 1
_SCALE = "0-100"
_NO_METRICS = {"alias", "samples", "sample_len", "name"}  # entries of lmms-eval's results that are not metrics


def write_results(folder: Path, scores: Sequence[Score], manifest: Mapping[str, Any]) -> Path:
    """Write `folder`/results.json atomically. Settings that JSON cannot represent are written as their `str`.

    Raises:
        UserError: the disk is full.
    """
    record = {
        "schema": SCHEMA,
        "scale": _SCALE,
        "manifest": manifest,
        "scores": [score_to_json(score) for score in scores],
    }
    path = folder / FILE_NAME
    text = json.dumps(standard(record), indent=2, allow_nan=False, default=str) + "\n"
    write_atomically(path, [text.encode()], run=None)
    return path


def read_results(path: Path) -> list[Score]:
    """The scores of a results.json. Raises UserError if the file is not one, or has another schema."""
    return [_parsed(path, record) for record in _read(path)["scores"]]


def read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of a results.json. Raises UserError if the file is not one, or has another schema."""
    return dict(_read(path)["manifest"])


def difference(score: Score) -> float | None:
    """The value minus the paper's Uni-OPD, None if either is unknown."""
    return None if score.value is None or score.paper.uni_opd is None else score.value - score.paper.uni_opd


def score_to_json(score: Score) -> dict[str, Any]:
    """A score as written to results.json."""
    fields = {name: getattr(score, name) for name in Score.__slots__}
    fields |= {"paper": asdict(score.paper), "unreadable": [asdict(skip) for skip in score.unreadable]}
    record: dict[str, Any] = standard({**fields, "status": str(score.status), "difference": difference(score)})
    return record


def score_from_json(record: Mapping[str, Any]) -> Score:
    """The inverse of `score_to_json`.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: `record` is something else.
    """
    fields = {name: record[name] for name in Score.__slots__}
    fields |= {name: _number(record[name]) for name in ("value", "standard_error")}
    return Score(
        **{
            **fields,
            "status": Status(record["status"]),
            "seconds": float(record["seconds"]),
            "extras": {name: float(value) for name, value in record["extras"].items()},
            "unreadable": tuple(Skip(**skip) for skip in record["unreadable"]),
            "departures": tuple(record["departures"]),
            "paper": Paper(**{name: _number(value) for name, value in record["paper"].items()}),
        }
    )


def score_of(
    results: Mapping[str, Any],
    task: SuiteTask,
    *,
    checkpoint: str,
    status: Status,
    num_questions: int,
    num_samples: int,
    stats: ResponseStats,
    contaminated: int | None = None,
    seconds: float = 0.0,
    settings: Mapping[str, Any] | None = None,
    metric: str | None = None,
    departures: Sequence[str] = (),
) -> Score:
    """The score from lmms-eval's results of one task.

    `results` has an entry for each metric and filter ("score,none"), and standard errors as "score_se,none" (ours) or
    "relaxed_overall_stderr,none" (upstream), which may be "N/A". `metric` is the name of the value if the suite only
    has "score". An "@k" in it, and in the names of the extras, becomes the number of responses. Extras are assumed to
    have the same full mark as the value.

    Raises:
        ValueError: the task's metric is missing, is not a number, or is outside of 0 to its full mark.
    """
    key = _key(results, task)
    return Score(
        checkpoint=checkpoint,
        task=task.task,
        title=task.title,
        domain=task.domain,
        paper=task.paper,
        status=status,
        metric=_named(metric or task.metric, num_samples),
        value=_value(results[key], key, task),
        standard_error=_standard_error(results, key, task),
        extras=_extras(results, key, task, num_samples),
        num_questions=num_questions,
        num_samples=num_samples,
        unknown=_unknown(results),
        truncated=stats.truncated,
        response_tokens=stats.response_tokens,
        unreadable=stats.unreadable,
        contaminated=contaminated,
        seconds=seconds,
        settings=settings or {},
        departures=tuple(departures),
    )


def normalised(value: Any, scale: float) -> float | None:
    """A value with full mark `scale`, on a scale of 0 to 100; None unless it is a finite number.

    A string that ends in "%" already has that scale: normalised("12.3%", 1) == 12.3, normalised(0.123, 1) == 12.3.
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        value, scale = value.strip()[:-1], 100.0
    if isinstance(value, bool) or not isinstance(value, Real | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    # A full mark of 100 leaves the number unchanged, bit for bit.
    return (number if scale == 100 else number * (100 / scale)) if math.isfinite(number) else None


def departures(used: Mapping[str, int], published: Mapping[str, int | None]) -> tuple[str, ...]:
    """Where less was used than the protocol specifies, by unit.

    A published number of None means that the full size is unknown. A unit that is not published has no departure.

    departures({"questions": 8, "responses": 4}, {"questions": 30, "responses": 4}) == ("8 of 30 questions",)
    """
    wholes = {unit: published[unit] for unit in used if unit in published}
    return tuple(
        f"{used[unit]} {unit} only" if whole is None else f"{used[unit]} of {whole} {unit}"
        for unit, whole in wholes.items()
        if whole is None or used[unit] < whole
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_bytes())
        schema, scores, manifest = record["schema"], record["scores"], record["manifest"]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: not the results of a sweep ({type(error).__name__}: {error}); run it again"
        ) from error
    if schema != SCHEMA:
        raise UserError(f"{path}: schema {schema}, but this version reads {SCHEMA}; run the sweep again")
    if not isinstance(scores, list) or not isinstance(manifest, dict):
        raise UserError(f"{path}: not the results of a sweep (scores or manifest); run it again")
    return {"scores": scores, "manifest": manifest}


def _parsed(path: Path, record: Any) -> Score:
    try:
        return score_from_json(record)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: not a score ({type(error).__name__}: {error}); run the sweep again") from error


def _number(entry: float | str | None) -> float | None:
    return None if entry is None else float(entry)


def _key(results: Mapping[str, Any], task: SuiteTask) -> str:
    """The entry of the task's metric; with several filters, the unfiltered one."""
    keys = [key for key in results if task.metric in (key, key.partition(",")[0])]
    unfiltered = f"{task.metric},none"
    if len(keys) == 1 or unfiltered in keys:
        return unfiltered if unfiltered in keys else keys[0]
    known = ", ".join(_metric_keys(results)) or "none"
    problem = f"has several filters ({', '.join(keys)})" if keys else "is not one of its metrics"
    raise ValueError(f"{task.task}: {task.metric!r} {problem}; the metrics are: {known}")


def _metric_keys(results: Mapping[str, Any]) -> list[str]:
    """Entries that are metrics, without standard errors."""
    names = {key: key.partition(",")[0] for key in results}
    return [
        key
        for key, name in names.items()
        if name.strip() and name not in _NO_METRICS and "_stderr" not in name and not name.endswith("_se")
    ]


def _value(value: Any, key: str, task: SuiteTask) -> float:
    number = normalised(value, task.scale)
    if number is None:
        raise ValueError(f"{task.task}: {key} is {value!r}, which is not a number")
    if not -1e-6 <= number <= 100 + 1e-6:
        raise ValueError(f"{task.task}: {key} is {value!r}, outside of 0 to {task.scale:g}; set the suite's scale")
    return min(max(number, 0.0), 100.0)


def _standard_error(results: Mapping[str, Any], key: str, task: SuiteTask) -> float | None:
    """Our own, or lmms-eval's for the same aggregation. Its `_stderr_clt` is over items, which may have another
    scale."""
    name, _, filtered = key.partition(",")
    errors = (normalised(results.get(f"{name}_{end},{filtered}"), task.scale) for end in ("se", "stderr"))
    return next((error for error in errors if error is not None), None)


def _extras(results: Mapping[str, Any], key: str, task: SuiteTask, num_samples: int) -> dict[str, float]:
    others = [other for other in _metric_keys(results) if other != key and other.partition(",")[0] != "unknown"]
    values = {other: normalised(results[other], task.scale) for other in others}
    return {
        _named(other.removesuffix(",none"), num_samples): value for other, value in values.items() if value is not None
    }


def _unknown(results: Mapping[str, Any]) -> int:
    count = normalised(results.get("unknown,none"), 100.0)
    return 0 if count is None else round(count)


def _named(name: str, num_samples: int) -> str:
    return f"{name.removesuffix('@k')}@{num_samples}" if name.endswith("@k") else name
