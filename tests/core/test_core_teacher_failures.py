"""When a run stops because a domain's teachers keep failing."""

import pytest

from uniopd_mm.distill.teacher_failures import check_teacher_failures
from uniopd_mm.types import UserError


def step(**failures: int) -> dict[str, float]:
    """A step of 4 prompts of each domain, each with 2 rollouts."""
    counts = {f"domain/{name}/teacher_failures": float(count) for name, count in failures.items()}
    return {
        **counts,
        **{f"domain/{name}/prompts": 4.0 for name in failures},
        "teacher_failures": sum(failures.values()),
    }


def check(*history: dict[str, float], share: float = 0.5, steps: int = 3) -> None:
    check_teacher_failures(history, num_samples=2, share=share, steps=steps)


def test_a_domain_that_loses_too_many_for_too_long_is_named() -> None:
    with pytest.raises(
        UserError, match=r"domain chart: its teachers left 62% or more .* each of the last 3 steps, above"
    ):
        check(step(math=0, chart=8), step(math=8, chart=5), step(math=0, chart=6))


@pytest.mark.parametrize(
    "history",
    [
        (),
        (step(math=8),) * 2,  # not yet long enough
        (step(math=8), step(math=4), step(math=8)),  # half of them is allowed
        (step(math=8), step(math=8), step(math=8), step(math=0)),  # it is back
        (step(math=8), step(chart=8), step(math=8)),  # a step without the domain says nothing against it
    ],
)
def test_less_goes_on(history: tuple[dict[str, float], ...]) -> None:
    check(*history)


def test_share_and_steps_are_the_users() -> None:
    with pytest.raises(UserError, match=r"each of the last 1 steps, above routing\.max_lost_share=0"):
        check(step(math=1), share=0, steps=1)
    check(*[step(math=8)] * 9, share=1.0, steps=1)
