"""Stops a run whose teachers keep failing.

Samples without scores are masked. If one domain loses too many of them for too long, the run no longer trains what the
user asked for.
"""

from uniopd_mm.distill.watch import History
from uniopd_mm.types import UserError


def check_teacher_failures(history: History, *, num_samples: int, share: float, steps: int) -> None:
    """Raise if a domain lost more than `share` of its rollouts in each of the last `steps` steps.

    Args:
        history: metrics of all steps so far, with `domain/<domain>/teacher_failures` and `domain/<domain>/prompts`.
        num_samples: rollouts per prompt.

    Raises:
        UserError: names the domain and the share that it lost.
    """
    newest = history[-steps:]
    for key in newest[-1] if len(newest) == steps else ():
        kind, _, name = key.removesuffix("/teacher_failures").partition("/")
        if kind != "domain" or not key.endswith("/teacher_failures"):
            continue
        lost = [values.get(key, 0) / max(1, values.get(f"domain/{name}/prompts", 0) * num_samples) for values in newest]
        if min(lost) > share:
            raise UserError(
                f"domain {name}: its teachers left {min(lost):.0%} or more of its rollouts unscored in each of the "
                f"last {steps} steps, above routing.max_lost_share={share}; restore the teachers and continue with "
                "resume="
            )
