"""How many processes a grader may keep busy: each rank on a machine has its share of the cores.

Programs that run on more cores than there are would pass their wall time through no fault of their own.
"""

import os


def cores_of_this_rank() -> int:
    """The cores that this process may use over the ranks on this machine, at least 1. Launchers name their number."""
    return max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
