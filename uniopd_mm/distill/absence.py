"""A teacher that stays away: its samples are masked, and a domain that loses too many of them for too long stops the
run, since what goes on is no longer the training that was asked for."""

from uniopd_mm.distill.watch import History
from uniopd_mm.types import UserError


def check_presence(history: History, *, num_samples: int, share: float, steps: int) -> None:
    """Over the newest `steps` of a run, no domain may have lost more than `share` of its rollouts in each of them.

    Args:
        history: metrics of all steps so far, with `domain/<domain>/teacher_failures` and `domain/<domain>/prompts`.
        num_samples: rollouts of each prompt.

    Raises:
        UserError: names the domain and what it lost.
    """
    newest = history[-steps:]
    for key in newest[-1] if len(newest) == steps else ():
        kind, _, name = key.removesuffix("/teacher_failures").partition("/")
        if kind != "domain" or not key.endswith("/teacher_failures"):
            continue
        lost = [values.get(key, 0) / max(1, values.get(f"domain/{name}/prompts", 0) * num_samples) for values in newest]
        if min(lost) > share:
            raise UserError(
                f"domain {name}: its teachers left {min(lost):.0%} or more of its rollouts unscored in the last "
                f"{steps} steps each, above routing.max_lost_share={share}; bring them back and go on with resume="
            )
