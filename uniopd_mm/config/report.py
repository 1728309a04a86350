"""The typed schema of `configs/report.yaml`: every key of `python -m uniopd_mm.report`."""

from dataclasses import dataclass
from pathlib import Path

from uniopd_mm.config.parts import documented
from uniopd_mm.types import UserError


@dataclass
class ReportConfig:
    """All of `python -m uniopd_mm.report`."""

    run: str | None = documented("folder of the run; required, and the key may be left out: report runs/demo", None)
    curve: str | None = documented("also draw the accuracy curve into this .png file", None)


def validate(config: ReportConfig) -> None:
    """Raises UserError for a value that cannot work."""
    if not config.run:
        raise UserError("run=null: no run to report; give its folder, as run=runs/NAME")
    if config.curve and Path(config.curve).suffix != ".png":
        raise UserError(f"curve={config.curve}: unknown suffix {Path(config.curve).suffix or 'none'}; give a .png file")
