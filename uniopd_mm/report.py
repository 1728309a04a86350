"""A run's page: `python -m uniopd_mm.report runs/<name>` writes runs/<name>/report.html anew.

It works while the run still goes on. `--curve FILE.png` also draws the accuracy before, during and after.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from uniopd_mm.tracking.report import curve_png, write_report
from uniopd_mm.types import UserError


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status (2 for what the user can mend)."""
    parser = argparse.ArgumentParser(prog="python -m uniopd_mm.report", description="Write a run's report.html.")
    parser.add_argument("run", type=Path, help="the run's folder, such as runs/demo")
    parser.add_argument("--curve", type=Path, metavar="FILE.png", help="also draw the accuracy curve into this file")
    options = parser.parse_args(arguments)
    try:
        print(write_report(options.run))
        if options.curve:
            print(curve_png(options.run, options.curve))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
