"""report.html: a self-contained page about a run (table, curves, coloured tokens), without scripts or network access.

The template report.html.jinja escapes all text from data sets and models. Left out: reading the run's files
(report.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest
from math import isnan, sqrt
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from uniopd_mm.distill.watch import warnings
from uniopd_mm.tracking.charts import MAX_SERIES, Chart, Level, Series, svg
from uniopd_mm.tracking.proportions import FEW, share
from uniopd_mm.tracking.records import RolloutLine, StepMetrics
from uniopd_mm.tracking.shown import shown
from uniopd_mm.tracking.summary import Summary, overall, table_rows

FULL_COLOUR = 3.0  # nats of teacher minus student log-prob for the full colour
_MAX_ROLLOUTS = 12
_MAX_TOKENS = 600
_MAX_TOKEN_TEXT = _MAX_NAME = 200  # characters
# Chart title -> {metric: label of its curve}.
_SHARES = {
    "correct responses ranked above incorrect ones": {
        "order_consistency": "pairs within a prompt",
        "auc": "AUC over all pairs",
    },
    "prompts that violate the margin": {
        "margin_violations": "before calibration",
        "margin_violations_after": "after calibration",
    },
}
_MAIN = {
    "reverse KL to the teacher [nats per token]": {"reverse_kl": "k1", "reverse_kl_k3": "k3"},
    "entropy [nats per token]": {"entropy": "student", "teacher_entropy": "teacher"},
    "response length [tokens]": {"response_length": ""},
    "reward": {"reward": ""},
    "loss": {"loss": ""},
}
_ACCURACIES = ("accuracy", "eval/accuracy")
_PARTS = ("domain", "teacher")  # prefixes of metrics for a part of a step: "domain/<domain>/<name>"
_COMPARED = ("eval_accuracy", "accuracy", "order_consistency", "reverse_kl")  # metrics whose charts by part come first
_PERCENT = {"accuracy", "eval_accuracy", *chain.from_iterable(_SHARES.values())}


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The contents of a page. `summary` is None until the run has finished; `rollouts` are those of `rollout_step`."""

    name: str
    metrics: Sequence[StepMetrics]
    summary: Summary | None
    rollouts: Sequence[RolloutLine]
    rollout_step: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenView:
    """A token on the page: its text, its tooltip, and the strength of its colour in [0, 1]."""

    text: str
    title: str
    kind: str
    strength: float


def render(report: Report) -> str:
    """The page as HTML. Characters that UTF-8 cannot encode (lone surrogates) become question marks."""
    # Everything is escaped, whatever the template's extension; only our own drawings are Markup.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals |= {"tokens": token_views, "full_colour": FULL_COLOUR, "max_tokens": _MAX_TOKENS, "few": FEW}
    environment.filters["shown"] = shown
    text = environment.get_template("report.html.jinja").render(
        report=report,
        rows=table_rows(report.summary) if report.summary else [],
        charts=[Markup(svg(chart)) for chart in main_charts(report)],
        more_charts=[Markup(svg(chart)) for chart in other_charts(report.metrics)],
        warnings=all_warnings(report.metrics),
        shown=pick_rollouts(report.rollouts, _MAX_ROLLOUTS),
    )
    return text.encode("utf-8", errors="replace").decode("utf-8")


def all_warnings(metrics: Sequence[StepMetrics]) -> list[tuple[int, str]]:
    """The run's warnings, each with its step."""
    steps = [step for step in metrics if step.step > 0]  # step 0 is the student before training
    history = [step.values for step in steps]
    return [(step.step, text) for count, step in enumerate(steps, 1) for text in warnings(history[:count])]


def main_charts(report: Report) -> list[Chart]:
    """Accuracy, then the known metrics that the run measured, then comparisons of domains and of teachers."""
    shares = [_chart(report.metrics, title, named, percent=True) for title, named in _SHARES.items()]
    others = [_chart(report.metrics, title, named) for title, named in _MAIN.items()]
    compared = [chart for name in _COMPARED for chart in part_charts(report.metrics, name)]
    charts = (accuracy_chart(report), *shares, *others, *compared)
    return [chart for chart in charts if any(series.steps for series in chart.series)]


def other_charts(metrics: Sequence[StepMetrics]) -> list[Chart]:
    """All other values of metrics.jsonl, sorted by name, with timing last."""
    drawn = {*_ACCURACIES, *chain.from_iterable((_SHARES | _MAIN).values())}
    measured = {name for step in metrics for name in step.values}
    whole = {name for name in measured if name.partition("/")[0] not in _PARTS}
    parted = {name.rpartition("/")[2] for name in measured - whole}
    clocks = {f"timing/{name}" for step in metrics for name in step.timing}
    return [
        *(_chart(metrics, name, {name: ""}) for name in sorted(whole - drawn)),
        *(chart for name in sorted(parted - {*_COMPARED}) for chart in part_charts(metrics, name)),
        *(_chart(metrics, name, {name: ""}) for name in sorted(clocks)),
    ]


def part_charts(metrics: Sequence[StepMetrics], name: str) -> list[Chart]:
    """Charts of `name` by domain and by teacher, with one series each. A single domain or teacher gets no chart, since
    its values are those of the whole run."""
    measured = sorted({key for step in metrics for key in step.values if key.endswith(f"/{name}")})
    charts = []
    for kind in _PARTS:
        labels = {key: key[len(kind) + 1 : -len(name) - 1] for key in measured if key.startswith(f"{kind}/")}
        pages = _evenly(list(labels), MAX_SERIES) if len(labels) > 1 else []
        for number, keys in enumerate(pages, 1):
            title = f"{name} by {kind}" + (f", {number} of {len(pages)}" if len(pages) > 1 else "")
            charts.append(_chart(metrics, title, {key: labels[key] for key in keys}, percent=name in _PERCENT))
    return charts


def _evenly(entries: Sequence[str], most: int) -> list[Sequence[str]]:
    """The fewest parts with at most `most` entries each, of sizes that differ by at most one."""
    num_parts = -(-len(entries) // most)
    edges = [len(entries) * number // num_parts for number in range(num_parts + 1)]
    return [entries[start:end] for start, end in pairwise(edges)]


def accuracy_chart(report: Report) -> Chart:
    """Held-out and training accuracy by step, with horizontal lines for before, after and the teacher."""
    curves = [
        _series(report.metrics, "eval/accuracy", label="held-out questions", points=True),
        _series(report.metrics, "accuracy", label="training rollouts"),
    ]
    curves = [curve for curve in curves if curve.steps]
    return Chart(title="accuracy", series=curves, levels=levels(report.summary), percent=True)


def levels(summary: Summary | None) -> list[Level]:
    """Accuracies over all domains of a finished run: before, after and teacher, as far as they were measured."""
    if summary is None:
        return []
    named = {
        "before": summary.accuracy_before,
        "after": summary.accuracy_after,
        "teacher": summary.teacher_accuracy,
    }
    found = [(label, overall(accuracy, summary.num_questions), accuracy) for label, accuracy in named.items()]
    return [
        Level(label=f"{label} {share(mean, _num_questions(accuracy, summary))}", value=mean)
        for label, mean, accuracy in found
        if mean is not None
    ]


def _num_questions(accuracy: Mapping[str, float | None], summary: Summary) -> int:
    """Held-out questions of the domains that have an accuracy."""
    return sum(summary.num_questions.get(domain, 0) for domain, value in accuracy.items() if value is not None)


def pick_rollouts(rollouts: Sequence[RolloutLine], count: int) -> list[RolloutLine]:
    """The first `count`, alternating between incorrect, correct and unknown outcomes."""
    kinds = [[line for line in rollouts if line.correct is correct] for correct in (False, True, None)]
    in_turn = [line for line in chain.from_iterable(zip_longest(*kinds)) if line is not None]
    return in_turn[:count]


def token_views(line: RolloutLine) -> list[TokenView]:
    """The first `_MAX_TOKENS` tokens of a response, coloured by teacher minus student log-prob.

    The colour of a difference of d nats has strength sqrt(min(|d| / FULL_COLOUR, 1)), so that small ones stay visible.
    """
    teacher = line.teacher_logprobs if line.teacher_logprobs is not None else [None] * len(line.tokens)
    triples = list(zip(line.tokens, line.student_logprobs, teacher, strict=True))[:_MAX_TOKENS]
    return [_token_view(shown(text, most=_MAX_TOKEN_TEXT), student, scored) for text, student, scored in triples]


def _token_view(text: str, student: float, teacher: float | None) -> TokenView:
    if teacher is None:
        return TokenView(text=text, title=f"student {student:.3f}\nteacher -", kind="none", strength=0.0)
    difference = teacher - student
    title = f"student {student:.3f}\nteacher {teacher:.3f}\ndifference {difference:+.3f}"
    strength = 0.0 if isnan(difference) else sqrt(min(abs(difference) / FULL_COLOUR, 1.0))
    return TokenView(text=text, title=title, kind="up" if difference > 0 else "down", strength=strength)


def _chart(metrics: Sequence[StepMetrics], title: str, named: Mapping[str, str], *, percent: bool = False) -> Chart:
    """A chart with a series for each metric in `named` (metric -> label) that was measured."""
    curves = [_series(metrics, name, label=label) for name, label in named.items()]
    return Chart(title=shown(title, _MAX_NAME), series=[curve for curve in curves if curve.steps], percent=percent)


def _series(metrics: Sequence[StepMetrics], name: str, *, label: str = "", points: bool = False) -> Series:
    """The values of the metric `name` (or "timing/<name>") at the steps that measured it."""
    found = [(step.step, value) for step in metrics if (value := _value(step, name)) is not None]
    return Series(
        label=shown(label, _MAX_NAME),
        steps=[step for step, _ in found],
        values=[value for _, value in found],
        points=points,
    )


def _value(step: StepMetrics, name: str) -> float | None:
    group, _, clock = name.partition("/")
    return step.timing.get(clock) if group == "timing" else step.values.get(name)
