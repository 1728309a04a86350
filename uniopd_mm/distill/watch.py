"""Warnings from the metrics of the last steps: supervision that points the wrong way, and a collapsing student.

Not here: what to do about a warning, which is for the user to decide.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from uniopd_mm.distill.idle import idle_reason

History = Sequence[Mapping[str, float]]

WINDOW = 5  # steps; a single one may be chance
_CHANCE = 0.5  # AUC of returns that are unrelated to outcomes
_COLLAPSED = 0.2  # as a share of the metric's value in the first steps
_HEALTHY = 0.9  # a student this accurate is short and confident because it has learned, not collapsed
_FALLING = {"entropy": ("entropy", "nats per token"), "response_length": ("response length", "tokens")}


def warnings(history: History, *, window: int = WINDOW) -> list[str]:
    """Warnings about the newest step, one line each.

    A warning appears only when its condition starts to hold, so a lasting state is reported once, and again if it comes
    back. `history` holds the metrics of all steps so far, as named by `diagnostics.describe`. A window is that many of
    a metric's newest values; steps that did not measure it are skipped. There are four warnings:

    - An idle step: the student learns nothing from it, and did not for the same reason in the window before.
    - Scores that say nothing: a teacher gives every token of a step the same log-prob.
    - Unreliable supervision: the mean `auc` over a window is below 0.5, overall, for a domain or for a teacher.
    - Collapse: the mean `entropy` or `response_length` over a window is below a fifth of its mean in the first window,
      without an improvement that explains it. Improvements are an accuracy that has risen or is high, and, for the
      entropy, a student that is as certain as its teacher.
    """
    if not history:
        return []
    found = (_idle, _same_scores, _unreliable, _collapses)
    return [text for find in found for text in find(history, window)]


def _idle(history: History, window: int) -> list[str]:
    reason = idle_reason(history[-1])
    known = {idle_reason(values) for values in history[-1 - window : -1]}
    return [f"the student learns nothing: {reason}"] if reason and reason not in known else []


def _same_scores(history: History, window: int) -> list[str]:
    """One line for each teacher whose scores are all alike, unless they were when last measured."""
    keys = [key for key, value in history[-1].items() if key.endswith("/score_spread") and value == 0]
    return [
        _same_scores_text(key.removesuffix("/score_spread"), history[-1])
        for key in keys
        if 0 not in _newest(history[:-1], key, 1)
    ]


def _same_scores_text(prefix: str, values: Mapping[str, float]) -> str:
    ruled_out = values.get(f"{prefix}/ruled_out_tokens", 0)
    score = "probability 0" if ruled_out else "the same log-prob"
    return (
        f"{' '.join(prefix.split('/', 1))} gives {score} to every token that it scores, whatever the response: it does "
        "not tell good tokens from bad ones. Check its weights and its server"
    )


def _unreliable(history: History, window: int) -> list[str]:
    """One line for all metrics with the same values, such as a domain and its only teacher."""
    sharing: dict[tuple[float, ...], list[str]] = {}
    for key in history[-1]:
        if key == "auc" or key.endswith("/auc"):
            sharing.setdefault(_newest(history, key, window), []).append(key)
    return [
        _unreliable_text(keys, sum(values) / window, window)
        for values, keys in sharing.items()
        if _prefers_wrong(values, window) and not _prefers_wrong(_newest(history[:-1], keys[0], window), window)
    ]


def _prefers_wrong(values: Sequence[float], window: int) -> bool:
    return len(values) == window and sum(values) / window < _CHANCE


def _unreliable_text(keys: Sequence[str], auc: float, window: int) -> str:
    named = [" ".join(key.split("/", 1)).removesuffix("/auc") for key in keys if key != "auc"]
    return (
        f"supervision is unreliable for {', '.join(named) or 'all samples together'}: the teacher's returns prefer "
        f"incorrect responses to correct ones (mean AUC {auc:.3f} over the last {window} steps; 0.5 is chance). Look "
        f"in rollouts/ at which responses it prefers and how they are graded. Then require a wider margin "
        f"(recipe.calibration.delta of recipe=uni_opd), add outcome rewards (recipe=opd_grpo) or use another teacher"
    )


def _collapses(history: History, window: int) -> list[str]:
    return [
        _collapse_text(history, key, window)
        for key in _FALLING
        if key in history[-1] and _collapsed(history, key, window) and not _collapsed(history[:-1], key, window)
    ]


def _collapsed(history: History, key: str, window: int) -> bool:
    first, last = _oldest(history, key, window), _newest(history, key, window)
    overlap = len(_newest(history, key, 2 * window)) < 2 * window
    if overlap or not _mean(last) < _COLLAPSED * _mean(first):
        return False
    teacher = _newest(history, "teacher_entropy", window)
    as_certain_as_teacher = key == "entropy" and bool(teacher) and _mean(last) >= _mean(teacher)
    return not as_certain_as_teacher and not _improved(history, window)


def _improved(history: History, window: int) -> bool:
    """Whether accuracy is high, or higher than in the first steps; False if it is unknown."""
    first, last = _oldest(history, "accuracy", window), _newest(history, "accuracy", window)
    return bool(last) and (_mean(last) > _mean(first) or _mean(last) >= _HEALTHY)


def _collapse_text(history: History, key: str, window: int) -> str:
    name, unit = _FALLING[key]
    first, last = _mean(_oldest(history, key, window)), _mean(_newest(history, key, window))
    before, now = _oldest(history, "accuracy", window), _newest(history, "accuracy", window)
    outcome = f"accuracy went from {_mean(before):.1%} to {_mean(now):.1%}" if now else "no outcome shows progress"
    return (
        f"the student seems to collapse: {name} {last:.3g} {unit} over the last {window} steps, after {first:.3g} in "
        f"the first {window}, and {outcome}. Look in rollouts/ for responses that are all alike, cut short or repeat "
        f"themselves. Then go back to an earlier checkpoint with a lower trainer.learning_rate"
    )


def _newest(history: History, key: str, count: int) -> tuple[float, ...]:
    return _first_values(reversed(history), key, count)


def _oldest(history: History, key: str, count: int) -> tuple[float, ...]:
    return _first_values(history, key, count)


def _first_values(steps: Iterable[Mapping[str, float]], key: str, count: int) -> tuple[float, ...]:
    return tuple(islice((step[key] for step in steps if key in step), count))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
