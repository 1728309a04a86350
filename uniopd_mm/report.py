"""`python -m uniopd_mm.report run=runs/<name>`: write runs/<name>/report.html again.

This works while the run is still going on. `curve=FILE.png` also draws the accuracy before, during and after.
"""

from collections.abc import Sequence
from pathlib import Path

from uniopd_mm.cli.command import Command, run_command
from uniopd_mm.config.report import ReportConfig, validate


def report(config: ReportConfig, overrides: Sequence[str]) -> None:
    """Write the page, and the curve where one is asked for; print their paths."""
    validate(config)
    from uniopd_mm.tracking.report import curve_png, write_report  # imports torch, which a refused command need not

    run = Path(str(config.run))
    print(write_report(run))
    if config.curve:
        print(curve_png(run, Path(config.curve)))


COMMAND = Command(name="report", summary="Write the report page of a run.", schema=ReportConfig, run=report, bare="run")


def main() -> None:
    """The command."""
    run_command(COMMAND)


if __name__ == "__main__":
    main()
