"""Tables on the console and files in the run folder: what each teacher teaches and how it compares with the student
(teachers.json), how often each domain is sampled (mixture.json), and each domain's share of the training
(mixture_budget.json)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from uniopd_mm.distill.watch import History
from uniopd_mm.models.compatibility import rows_of
from uniopd_mm.teachers.self_test import Assignment
from uniopd_mm.tracking.console import terminal
from uniopd_mm.tracking.tables import table_of, write_table


def show_teachers(folder: Path, taught: Sequence[Assignment], *, is_main: bool) -> None:
    """Print what each teacher teaches and the result of its self-test; the main process writes teachers.json."""
    rows = [
        {
            "teacher": assignment.teacher,
            "teaches": ", ".join(f"{domain} {count:g}" for domain, count in assignment.prompts.items()) or "nothing",
            "reads": _reading(assignment),
            "self-test": _self_test(assignment),
        }
        for assignment in taught
    ]
    terminal().print(table_of("teachers and the number of train prompts they teach", rows, left=tuple(rows[0])))
    if is_main:
        write_table(folder, "teachers", [asdict(assignment) for assignment in taught])


def show_compatibility(student: Mapping[str, str], taught: Sequence[Assignment]) -> None:
    """Print the settings in which student and teachers differ, and the mean log-probs that the teachers give."""
    rows = rows_of(student, {assignment.teacher: assignment.settings for assignment in taught})
    own = {"": "its own answer", "student": "-"}
    rows.append(own | {assignment.teacher: _own_answer(assignment) for assignment in taught})
    students = {"": "the student's answers", "student": "-"}
    rows.append(students | {assignment.teacher: _students_answers(assignment) for assignment in taught})
    terminal().print(table_of("student and teachers compared; log-probs in nats/token", rows, left=tuple(rows[0])))


def _own_answer(assignment: Assignment) -> str:
    return f"{assignment.self_test.logprob:.3f}" if assignment.self_test else "-"


def _students_answers(assignment: Assignment) -> str:
    return ", ".join(f"{probe.logprob:.3f}" for probe in assignment.probes) or "-"


def _reading(assignment: Assignment) -> str:
    return assignment.reads if assignment.media == "as_is" else f"{assignment.reads}, media: {assignment.media}"


def _self_test(assignment: Assignment) -> str:
    test = assignment.self_test
    if test is None:
        return "no prompt to test it with"
    answer = " ".join(test.answer.split())
    shown = answer if len(answer) <= 40 else f"{answer[:39]}…"
    return f"{shown!r} {test.logprob:.3f} nats/token, reproduced within {test.difference:.0e}"


def show_plan(
    folder: Path, train: Mapping[str, int], held_out: Mapping[str, int], quotas: Mapping[str, int], *, is_main: bool
) -> None:
    """Print the prompts of each domain and how often it is sampled; the main process writes mixture.json.

    Args:
        train: train prompts by domain.
        held_out: held-out questions by domain.
        quotas: prompts by domain in each window of sum(quotas) prompts.
    """
    window = sum(quotas.values())
    records = [
        {
            "domain": domain,
            "train": count,
            "held_out": held_out.get(domain, 0),
            "quota": quotas[domain],
            "window": window,
            "share": quotas[domain] / window,
        }
        for domain, count in train.items()
    ]
    if len(records) > 1:
        rows = [
            {
                "domain": str(record["domain"]),
                "train prompts": str(record["train"]),
                "held out": str(record["held_out"]),
                f"of {window} prompts": str(record["quota"]),
                "share": f"{100 * record['quota'] / window:.1f} %",  # type: ignore[operator]
            }
            for record in records
        ]
        terminal().print(table_of("mixture: how often each domain is sampled", rows, left=("domain",)))
    if is_main:
        write_table(folder, "mixture", records)


def show_budget(folder: Path, domains: Sequence[str], history: History) -> None:
    """Print how many prompts and tokens of each domain the run trained on, and write mixture_budget.json."""
    names = ("prompts", "prompt_tokens", "response_tokens")
    sums = {
        domain: {name: sum(int(step.get(f"domain/{domain}/{name}", 0)) for step in history) for name in names}
        for domain in domains
    }
    totals = {name: max(1, sum(counts[name] for counts in sums.values())) for name in names}
    rows = [
        {"domain": domain}
        | {name.replace("_", " "): f"{counts[name]:,} ({100 * counts[name] / totals[name]:.1f} %)" for name in names}
        for domain, counts in sums.items()
    ]
    if len(rows) > 1:
        terminal().print(table_of("mixture: prompts and tokens of each domain in training", rows, left=("domain",)))
    write_table(folder, "mixture_budget", [{"domain": domain, **counts} for domain, counts in sums.items()])
