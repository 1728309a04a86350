"""The report page of a run, report.html, and a picture of its accuracy curve, made from the files in its folder.

Both work while the run is still going. Left out: comparing runs (use TensorBoard).
"""

from pathlib import Path

from uniopd_mm.tracking.charts import Chart, Series, png
from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.jsonl import FILE_NAME, read_metrics
from uniopd_mm.tracking.page import Report, levels, render
from uniopd_mm.tracking.rollouts import newest_rollouts, read_rollouts
from uniopd_mm.tracking.summary import overall, read_summary
from uniopd_mm.types import UserError


def write_report(run_folder: Path) -> Path:
    """Write `run_folder`/report.html from metrics.jsonl, summary.json and the newest rollouts; return its path.

    Raises:
        UserError: the folder holds no run, a file in it cannot be read, or the disk is full.
    """
    page = render(_read_run(run_folder))
    path = run_folder / "report.html"
    write_atomically(path, [page.encode("utf-8")], run=run_folder)
    return path


def curve_png(run_folder: Path, path: Path) -> Path:
    """Draw the held-out accuracy before, during and after a run as a PNG (1280 x 640). Several domains get a curve
    each; a single one is compared with its teacher.

    Raises:
        UserError: the folder holds no run, or the run has not evaluated the student yet.
    """
    report = _read_run(run_folder)
    domains = report.summary.domains if report.summary else ()
    several = len(domains) > 1
    curves = [_domain_curve(report, domain) for domain in domains] if several else [_whole_curve(report)]
    if not any(curve.steps for curve in curves):
        raise UserError(f"{run_folder}: no accuracy to draw; wait for the run's first evaluation")
    shown = () if several else levels(report.summary)
    png(Chart(title="held-out accuracy", series=curves, levels=shown, percent=True), path)
    return path


def _whole_curve(report: Report) -> Series:
    """The accuracy over all questions."""
    before = after = None
    if report.summary:
        questions = report.summary.num_questions
        before = overall(report.summary.accuracy_before, questions)
        after = overall(report.summary.accuracy_after, questions)
    return _curve(report, "eval/accuracy", "student", before, after)


def _domain_curve(report: Report, domain: str) -> Series:
    assert report.summary is not None
    before, after = report.summary.accuracy_before.get(domain), report.summary.accuracy_after.get(domain)
    return _curve(report, f"domain/{domain}/eval_accuracy", domain, before, after)


def _curve(report: Report, name: str, label: str, before: float | None, after: float | None) -> Series:
    """The metric `name` by step, with `before` at step 0 and `after` at the last step."""
    points = {step.step: step.values[name] for step in report.metrics if name in step.values}
    ends = {0: before, report.summary.steps: after} if report.summary else {}
    measured = dict(sorted((points | {step: value for step, value in ends.items() if value is not None}).items()))
    return Series(label=label, steps=list(measured), values=list(measured.values()), points=True)


def _read_run(folder: Path) -> Report:
    if not (folder / FILE_NAME).is_file():
        raise UserError(
            f"{folder}: not a run folder ({FILE_NAME} not found); give the folder of a run, such as runs/demo"
        )
    step, rollouts = newest_rollouts(folder) or (None, None)
    return Report(
        name=folder.resolve().name,
        metrics=read_metrics(folder),
        summary=read_summary(folder),
        rollouts=read_rollouts(rollouts) if rollouts else [],
        rollout_step=step,
    )
