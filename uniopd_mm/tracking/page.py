"""report.html: one self-contained page of a run (curves, table, coloured tokens), without scripts or network.

The markup is report.html.jinja, which escapes whatever a data set or a model wrote. Left out: reading the run's files
(report.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from math import isnan, sqrt
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from uniopd_mm.tracking.charts import Chart, Level, Series, svg
from uniopd_mm.tracking.records import RolloutLine, StepMetrics
from uniopd_mm.tracking.summary import Summary, overall, table_rows

FULL_COLOUR = 3.0  # nats of teacher minus student at which a token is coloured fully
_MAX_ROLLOUTS = 12
_MAX_TOKENS = 600
_MAIN = {
    "reverse_kl": "reverse KL to the teacher [nats per token]",
    "entropy": "entropy [nats per token]",
    "response_length": "response length [tokens]",
    "reward": "reward",
    "loss": "loss",
}
_ACCURACIES = ("accuracy", "eval/accuracy")


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a page is made of. `summary` is None while the run goes on; `rollouts` are those of `rollout_step`."""

    name: str
    metrics: Sequence[StepMetrics]
    summary: Summary | None
    rollouts: Sequence[RolloutLine]
    rollout_step: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenView:
    """A token as the page shows it: its text, what hovering tells, and the strength of its colour in [0, 1]."""

    text: str
    title: str
    kind: str
    strength: float


def render(report: Report) -> str:
    """The page as HTML. Characters UTF-8 cannot hold (lone surrogates) become question marks."""
    # No extension-based choice: everything that comes from outside is escaped, only our drawings are Markup.
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.globals |= {"tokens": token_views, "full_colour": FULL_COLOUR, "max_tokens": _MAX_TOKENS}
    text = environment.get_template("report.html.jinja").render(
        report=report,
        rows=table_rows(report.summary) if report.summary else [],
        charts=[Markup(svg(chart)) for chart in main_charts(report)],
        more_charts=[Markup(svg(chart)) for chart in other_charts(report.metrics)],
        shown=pick_rollouts(report.rollouts, _MAX_ROLLOUTS),
    )
    return text.encode("utf-8", errors="replace").decode("utf-8")


def main_charts(report: Report) -> list[Chart]:
    """Accuracy, then whichever of the known values the run measured."""
    single = [Chart(title=title, series=[_series(report.metrics, name)]) for name, title in _MAIN.items()]
    return [chart for chart in (accuracy_chart(report), *single) if any(series.steps for series in chart.series)]


def other_charts(metrics: Sequence[StepMetrics]) -> list[Chart]:
    """Everything else in metrics.jsonl, by name; timing last."""
    known = {*_MAIN, *_ACCURACIES}
    names = sorted({name for step in metrics for name in step.values if name not in known})
    clocks = sorted({f"timing/{name}" for step in metrics for name in step.timing})
    return [Chart(title=name, series=[_series(metrics, name)]) for name in (*names, *clocks)]


def accuracy_chart(report: Report) -> Chart:
    """Held-out accuracy over training, with the levels before, after and of the teacher."""
    curves = [
        _series(report.metrics, "eval/accuracy", label="held-out questions", points=True),
        _series(report.metrics, "accuracy", label="training rollouts"),
    ]
    curves = [curve for curve in curves if curve.steps]
    return Chart(title="accuracy", series=curves, levels=levels(report.summary), percent=True)


def levels(summary: Summary | None) -> list[Level]:
    """The three accuracies of a finished run over all its domains, those that were measured."""
    if summary is None:
        return []
    named = {
        "before": summary.accuracy_before,
        "after": summary.accuracy_after,
        "teacher": summary.teacher_accuracy,
    }
    values = {label: overall(accuracy, summary.num_questions) for label, accuracy in named.items()}
    return [Level(label=f"{label} {value:.1%}", value=value) for label, value in values.items() if value is not None]


def pick_rollouts(rollouts: Sequence[RolloutLine], count: int) -> list[RolloutLine]:
    """The first `count`, taking wrong, right and unknown ones in turn."""
    kinds = [[line for line in rollouts if line.correct is correct] for correct in (False, True, None)]
    in_turn = [line for line in chain.from_iterable(zip_longest(*kinds)) if line is not None]
    return in_turn[:count]


def token_views(line: RolloutLine) -> list[TokenView]:
    """The first `_MAX_TOKENS` tokens of a response, coloured by teacher minus student log-prob.

    A difference of d nats has strength sqrt(min(|d| / FULL_COLOUR, 1)): small ones stay visible.
    """
    teacher = line.teacher_logprobs if line.teacher_logprobs is not None else [None] * len(line.tokens)
    triples = zip(line.tokens, line.student_logprobs, teacher, strict=True)
    return [_token_view(*triple) for triple in list(triples)[:_MAX_TOKENS]]


def _token_view(text: str, student: float, teacher: float | None) -> TokenView:
    if teacher is None:
        return TokenView(text=text, title=f"student {student:.3f}\nteacher -", kind="none", strength=0.0)
    difference = teacher - student
    title = f"student {student:.3f}\nteacher {teacher:.3f}\ndifference {difference:+.3f}"
    strength = 0.0 if isnan(difference) else sqrt(min(abs(difference) / FULL_COLOUR, 1.0))
    return TokenView(text=text, title=title, kind="up" if difference > 0 else "down", strength=strength)


def _series(metrics: Sequence[StepMetrics], name: str, *, label: str = "", points: bool = False) -> Series:
    """The steps that measured `name`, a value or "timing/<name>"."""
    found = [(step.step, value) for step in metrics if (value := _value(step, name)) is not None]
    return Series(label=label, steps=[step for step, _ in found], values=[value for _, value in found], points=points)


def _value(step: StepMetrics, name: str) -> float | None:
    group, _, clock = name.partition("/")
    return step.timing.get(clock) if group == "timing" else step.values.get(name)
