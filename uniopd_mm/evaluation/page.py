"""report.html of a sweep: one self-contained page (table, pictures, settings, failures, responses) without scripts or
network access.

The markup is page.html.jinja, which escapes all text from models, data sets and names.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from uniopd_mm.evaluation.comparison import compare
from uniopd_mm.evaluation.pictures import pictures
from uniopd_mm.evaluation.records import Score, Status
from uniopd_mm.evaluation.table import Kind, cell_of, sweep_table
from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.records import standard
from uniopd_mm.tracking.shown import shown

FILE_NAME = "report.html"
_MAX_TEXT = 6000  # characters of a prompt or a response


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingsLine:
    """How one checkpoint was evaluated: `size` is "500 × 4", `settings` are (name, value) pairs."""

    benchmark: str
    checkpoint: str
    value: str
    metric: str
    extras: str
    size: str
    seconds: float
    settings: tuple[tuple[str, str], ...]


def write_page(
    folder: Path,
    scores: Sequence[Score],
    manifest: Mapping[str, Any],
    *,
    title: str = "evaluation",
    samples: Sequence[Mapping[str, Any]] = (),
) -> Path:
    """Write `folder`/report.html atomically, with the pictures of pictures.py.

    Raises:
        UserError: the disk is full.
    """
    path = folder / FILE_NAME
    write_atomically(path, [render(scores, manifest, title=title, samples=samples).encode()], run=None)
    return path


def render(
    scores: Sequence[Score],
    manifest: Mapping[str, Any],
    *,
    title: str = "evaluation",
    samples: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page as HTML.

    `samples` are responses to show: plain records of "task", "checkpoint", "prompt", "response", "target" and "scores",
    each of them optional. Characters that UTF-8 cannot encode (lone surrogates) become question marks.
    """
    # autoescape=True instead of a choice by file extension: the template renders text from outside.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["shown"] = shown
    table = sweep_table(scores)
    text = environment.get_template("page.html.jinja").render(
        title=title,
        table=table,
        kinds=Kind,
        images={name: b64encode(png).decode() for name, png in pictures(scores).items()},
        failures=[score for score in scores if score.status is Status.FAILED],
        lines=settings_lines(scores),
        manifest=_pairs(manifest),
        samples=[_sample(record) for record in samples],
    )
    return text.encode("utf-8", errors="replace").decode("utf-8")


def settings_lines(scores: Sequence[Score]) -> list[SettingsLine]:
    """One line per score, in the order of the table."""
    comparison = compare(scores)
    return [
        SettingsLine(
            benchmark=row.title,
            checkpoint=label,
            value=cell_of(score),
            metric=score.metric,
            extras=", ".join(f"{name} {value:.1f}" for name, value in score.extras.items()),
            size=f"{score.num_questions} × {score.num_samples}",
            seconds=score.seconds,
            settings=_pairs(score.settings),
        )
        for row in comparison.benchmarks
        for label, score in zip(comparison.labels, row.scores, strict=True)
        if score is not None
    ]


def _pairs(entries: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), _shown(value)) for name, value in entries.items())


def _shown(value: Any) -> str:
    """A string as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(standard(value), ensure_ascii=False, default=str)


def _sample(record: Mapping[str, Any]) -> dict[str, str]:
    names = ("task", "checkpoint", "prompt", "response", "target", "scores")
    return {name: _shortened("" if record.get(name) is None else _shown(record[name])) for name in names}


def _shortened(text: str) -> str:
    """The beginning and the end of a very long text. The final answer is at the end."""
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[:half]}\n\n[... {len(text) - 2 * half} characters ...]\n\n{text[-half:]}"
