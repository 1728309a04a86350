"""How many processes a grader may keep busy: each rank on a machine has its share of the cores.

With more running programs than cores, each program would only wait longer for its CPU time.
"""

import math
import os
from pathlib import Path

_GROUPS, _OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def cores_of_this_rank() -> int:
    """The cores that this process may use, divided by the ranks on this machine (LOCAL_WORLD_SIZE); at least 1. A
    container's CPU quota counts, and a part of a core counts as one."""
    usable = min(len(os.sched_getaffinity(0)), math.ceil(quota(_GROUPS, _OWN_GROUPS)))
    return max(1, usable // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def quota(groups: Path, own_groups: Path) -> float:
    """The processors' worth of time that control groups (version 1 or 2) allow, the number of processors if they set no
    limit.

    Args:
        groups: where the groups' file systems are mounted.
        own_groups: the file with the groups of this process. Inside a container it may name folders that only exist
            outside, where the container's own group is the topmost folder.
    """
    limits = [limit for folder in _folders(groups, own_groups) if (limit := _limit(folder)) is not None]
    return min(limits, default=float(os.cpu_count() or 1))


def _folders(groups: Path, own_groups: Path) -> list[Path]:
    """Every folder that can limit this process: those of its groups, and those above."""
    try:
        lines = own_groups.read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        tops = [groups / controllers, groups / "cpu"] if controllers else [groups, groups / "unified"]
        parts = Path(path.lstrip("/"))
        found += [top / part for top in tops for part in (parts, *parts.parents)]
    return found


def _limit(folder: Path) -> float | None:
    """The limit that one folder sets: cpu.max (version 2), or cpu.cfs_quota_us (version 1)."""
    try:
        if (both := folder / "cpu.max").exists():
            allowed, period = both.read_text().split()
        else:
            allowed, period = ((folder / f"cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
        return int(allowed) / int(period) if allowed not in ("max", "-1") else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
