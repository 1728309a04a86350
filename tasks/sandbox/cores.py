"""How many processes a grader may keep busy: each rank on a machine has its share of the cores.

With more running programs than cores, programs would exceed their wall time although they are fast enough.
"""

import os


def cores_of_this_rank() -> int:
    """The cores that this process may use, divided by the ranks on this machine (LOCAL_WORLD_SIZE); at least 1."""
    return max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
