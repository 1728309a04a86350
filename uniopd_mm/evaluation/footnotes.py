"""The notes below a sweep's table: what its marks mean, and every reason to read a value with care."""

from collections.abc import Callable

from uniopd_mm.evaluation.comparison import Comparison, finite, groups_of, in_common, is_marked
from uniopd_mm.evaluation.records import Score, Status

TRUNCATED = 0.05  # a larger share of truncated responses gets a note


def footnotes(comparison: Comparison) -> tuple[str, ...]:
    """Lines in the order of the marks; empty ones are left out."""
    if not comparison.benchmarks:
        return ("Nothing has been evaluated.",)
    notes = _Notes(comparison)
    return (
        *_explanations(comparison),
        *notes.by_text("*", _departures),
        *notes.by_text("-: not applicable", _inapplicable),
        *notes.by_text("failed", _failure),
        *notes.one_line("could not be read and count as wrong", _unreadable),
        *notes.one_line("could not be graded and count as wrong", _unknown),
        *notes.one_line("cut off at the token limit", _truncated),
        *notes.one_line("also in the checkpoint's training prompts", _contaminated),
        *notes.missing(),
        *_full_names(comparison),
    )


class _Notes:
    """Notes that name the scores they apply to: the benchmark, and the checkpoints unless the note applies to all of
    them."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison

    def by_text(self, mark: str, text_of: Callable[[Score], str | None]) -> list[str]:
        """`mark: text: names`, a line for each text that `text_of` returns for some score."""
        named = self._named(lambda score: text_of(score) if score else None)
        groups = groups_of([(text, name) for name, text in named])
        return [f"{mark}: {text}: {', '.join(names)}" for text, names in groups.items()]

    def one_line(self, what: str, count: Callable[[Score], str | None]) -> list[str]:
        """`what: name count, name count`; nothing if there are no counts."""
        counts = [f"{name} {text}" for name, text in self._named(lambda score: count(score) if score else None)]
        return [f"{what}: {', '.join(counts)}"] if counts else []

    def missing(self) -> list[str]:
        """`not evaluated: names`."""
        names = [name for name, _ in self._named(lambda score: None if score else "missing")]
        return [f"not evaluated: {', '.join(names)}"] if names else []

    def _named(self, text_of: Callable[[Score | None], str | None]) -> list[tuple[str, str]]:
        """(name, text) pairs. A text that all checkpoints share on a benchmark appears once, without their names."""
        named: list[tuple[str, str]] = []
        for row in self._comparison.benchmarks:
            texts = [text_of(score) for score in row.scores]
            if texts[0] and len({*texts}) == 1:
                named.append((row.title, texts[0]))
                continue
            pairs = zip(self._comparison.labels, texts, strict=True)
            named += [(f"{row.title} ({label})", text) for label, text in pairs if text]
        return named


def _explanations(comparison: Comparison) -> list[str]:
    rows = comparison.benchmarks
    common = in_common(rows)
    errors = [finite(score.standard_error) for row in rows for score in row.scores if score]
    notes = [
        "scale of 0 to 100"
        + ("; ± is one standard error, over questions" if any(error is not None for error in errors) else "")
    ]
    if len(rows) > 1 and len(common) < len(rows):
        left_out = ", ".join(row.title for row in rows if row not in common)
        notes.append(f"means are over benchmarks that every checkpoint has; left out: {left_out}")
    if comparison.figures and any(getattr(row.paper, name) is None for row in common for name in comparison.figures):
        notes.append("(n): a mean over only n of them, for which the paper has figures")
    if "uni_opd" in comparison.figures and len(comparison.labels) > 1:
        notes.append(f"minus Uni-OPD: the last checkpoint, {comparison.labels[-1]}, minus the paper's Uni-OPD")
    return notes


def _departures(score: Score) -> str | None:
    """Why the value is marked."""
    if not is_marked(score):
        return None
    return "; ".join(score.departures) or score.reason or "incomplete"


def _inapplicable(score: Score) -> str | None:
    return (score.reason or "the model cannot read the media") if score.status is Status.INAPPLICABLE else None


def _failure(score: Score) -> str | None:
    if score.status is Status.FAILED:
        return score.reason or "no reason given"
    has_none = score.status is not Status.INAPPLICABLE and finite(score.value) is None
    return (score.reason or "the value is not a number") if has_none else None


def _unreadable(score: Score) -> str | None:
    return f"{len(score.unreadable)} of {score.num_questions} questions" if score.unreadable else None


def _unknown(score: Score) -> str | None:
    return f"{score.unknown} of {_num_responses(score)} responses" if score.unknown else None


def _truncated(score: Score) -> str | None:
    total = _num_responses(score)
    share = score.truncated / total if total else 0.0
    return f"{100 * share:.0f} %" if share > TRUNCATED else None


def _contaminated(score: Score) -> str | None:
    return f"{score.contaminated} of {score.num_questions} questions" if score.contaminated else None


def _num_responses(score: Score) -> int:
    return score.num_questions * score.num_samples


def _full_names(comparison: Comparison) -> list[str]:
    pairs = zip(comparison.labels, comparison.checkpoints, strict=True)
    return [f"{label}: {name}" for label, name in pairs if label != name]
