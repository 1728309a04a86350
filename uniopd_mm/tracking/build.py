"""Builds the sinks of a run from its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.base import CompositeTracker, Tracker
from uniopd_mm.tracking.console import ConsoleTracker
from uniopd_mm.tracking.jsonl import JsonlTracker
from uniopd_mm.tracking.rollouts import RolloutsTracker
from uniopd_mm.tracking.wandb import WandbTracker, require_wandb


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackingOptions:
    """Which sinks a run has. metrics.jsonl is always written."""

    progress: bool = True
    """Show a progress bar, or plain lines where there is no terminal."""
    rollouts_every: int = 1
    """Write the rollouts of every n-th step; 0 writes none."""
    tensorboard: bool = True
    wandb: bool = False
    wandb_project: str = "uniopd-mm"
    wandb_mode: str = "offline"
    """offline, online or disabled."""


def open_tracker(
    folder: Path,
    options: TrackingOptions,
    *,
    world: World,
    total_steps: int,
    resume_step: int | None = None,
    config: Mapping[str, Any] | None = None,
) -> CompositeTracker:
    """Open the sinks selected by `options`. The caller closes the result. W&B stores `config` with the run.

    `resume_step` is the step of the checkpoint to resume from, -1 if there is no checkpoint yet, None for a new run.
    Only the main process of `world` writes; the others send it their rollouts.

    Raises:
        UserError: wandb is missing, the folder of a new run already holds a run, or the disk is full.
    """
    if options.wandb:
        require_wandb()
    sinks: list[Tracker] = []
    if options.rollouts_every:
        sinks.append(RolloutsTracker(folder, resume_step, world=world, every=options.rollouts_every))
    if not world.is_main:
        return CompositeTracker(sinks)
    sinks.append(JsonlTracker(folder, resume_step))
    if options.tensorboard:
        # Importing TensorBoard takes a second, so only runs that use it import it.
        from uniopd_mm.tracking.tensorboard import TensorBoardTracker

        sinks.append(TensorBoardTracker(folder, resume_step))
    if options.wandb:
        mode, project = options.wandb_mode, options.wandb_project
        sinks.append(WandbTracker(folder, resume_step, project=project, mode=mode, config=config))
    if options.progress:
        sinks.append(ConsoleTracker(total_steps, resume_step))
    return CompositeTracker(sinks)
