"""Weights & Biases, if enabled. Offline by default: nothing leaves the machine until you upload it with `wandb sync`.

Left out: rollouts and artifacts.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.types import UserError

MODES = ("offline", "online", "disabled")


@final
class WandbTracker(Tracker):
    """One W&B run per run folder. A resumed run reuses the id stored in `folder`/wandb/run_id.

    `wandb sync` merges the parts of a resumed run. W&B rejects a repeated step, so charts use the logged value "step"
    as their x-axis, and steps that the run repeats appear twice.

    Raises:
        UserError: the wandb package is missing, or `mode` is not one of MODES.
    """

    def __init__(
        self,
        folder: Path,
        resume_step: int | None = None,
        *,
        project: str = "uniopd-mm",
        mode: str = "offline",
        config: Mapping[str, Any] | None = None,
    ) -> None:
        if mode not in MODES:
            raise UserError(f"tracking.wandb_mode={mode}: unknown mode; choose one of {', '.join(MODES)}")
        wandb = require_wandb()
        id_file = folder / "wandb" / "run_id"
        known = resume_step is not None and id_file.exists()
        run_id = id_file.read_text(encoding="utf-8") if known else wandb.util.generate_id()
        write_atomically(id_file, [run_id.encode()], run=folder)
        self._run = wandb.init(
            dir=folder,
            project=project,
            name=folder.name,
            id=run_id,
            resume="allow" if mode == "online" else None,
            mode=mode,
            config=dict(config or {}),
        )
        self._run.define_metric("*", step_metric="step")

    def log_step(self, metrics: StepMetrics) -> None:
        timing = {f"timing/{name}": value for name, value in metrics.timing.items()}
        self._run.log({"step": metrics.step, **metrics.values, **timing})

    def close(self) -> None:
        self._run.finish()


def require_wandb() -> Any:
    """The wandb module. Raises UserError if it is not installed."""
    try:
        import wandb
    except ImportError as error:
        raise UserError("tracking.wandb=true: wandb is not installed; run pip install 'uniopd-mm[wandb]'") from error
    return wandb
