"""How often each domain of a mixture is drawn: weights by several methods, and their conversion to whole numbers."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from uniopd_mm.config.parts import MixtureConfig, Shares
from uniopd_mm.distill.watch import History
from uniopd_mm.types import UserError

NO_ACCURACY: Mapping[str, float | None] = MappingProxyType({})


def step_quotas(
    plan: MixtureConfig,
    sizes: Mapping[str, int],
    prompts_per_step: int,
    teacher: Mapping[str, float | None] = NO_ACCURACY,
    history: History = (),
) -> dict[str, int]:
    """The number of prompts of each domain among the next `plan.window`; see `domain_weights` and `quotas`."""
    return quotas(domain_weights(plan, sizes, teacher, history), plan.window or prompts_per_step * len(sizes))


def domain_weights(
    plan: MixtureConfig, sizes: Mapping[str, int], teacher: Mapping[str, float | None], history: History
) -> dict[str, float]:
    """The weight of each domain, not normalised.

    Args:
        sizes: number of train samples of each domain.
        teacher: the teacher's accuracy in [0, 1]; None or absent if not measured.
        history: contains the student's accuracy as `domain/<domain>/accuracy`.

    Raises:
        UserError: the weights do not name exactly the domains of the task, or one of them is not above 0.
    """
    methods: Mapping[Shares, Callable[[str], float]] = {
        Shares.PROPORTION: lambda domain: float(sizes[domain]),
        Shares.UNIFORM: lambda domain: 1.0,
        Shares.TEMPERATURE: lambda domain: (sizes[domain] / max(sizes.values())) ** (1 / plan.temperature),
        Shares.WEIGHTS: lambda domain: plan.weights[domain],
        Shares.ADAPTIVE: lambda domain: max(plan.floor, _gap(domain, teacher.get(domain), history[-plan.recent :])),
    }
    if plan.shares is Shares.WEIGHTS:
        _check_weights(plan.weights, sizes)
    return {domain: methods[plan.shares](domain) for domain in sizes}


def _gap(domain: str, teacher: float | None, recent: History) -> float:
    """The teacher's accuracy minus the student's. An unknown student's accuracy counts as 0 and an unknown teacher's as
    1, so that a domain without measurements is not starved."""
    known = [values[key] for values in recent if (key := f"domain/{domain}/accuracy") in values]
    student = sum(known) / len(known) if known else 0.0
    return (1.0 if teacher is None else teacher) - student


def _check_weights(weights: Mapping[str, float], sizes: Mapping[str, int]) -> None:
    if set(weights) != set(sizes):
        raise UserError(
            f"mixture.weights={dict(weights)}: the domains are {', '.join(sizes)}; give a weight to each of them"
        )
    for domain, weight in weights.items():
        if not 0 < weight < float("inf"):
            raise UserError(
                f"mixture.weights.{domain}={weight} must be above 0; to drop the domain, remove it from the task"
            )


def quotas(weights: Mapping[str, float], window: int) -> dict[str, int]:
    """Whole numbers that add up to `window`, each at least 1, in proportion to the weights.

    A domain whose share is below 1 gets 1; the others divide the rest by their weights. Shares are rounded down, and
    the domains with the largest remainders get one more (Hamilton's method).

    quotas({"a": 2, "b": 1}, 10) == {"a": 7, "b": 3}

    Raises:
        UserError: the window is smaller than the number of domains.
    """
    if window < len(weights):
        raise UserError(f"mixture.window={window} is less than the {len(weights)} domains; raise it or set it to null")
    total = sum(weights.values())
    exact = {name: weight / total * window for name, weight in weights.items()}
    least = {name: 1 for name, share in exact.items() if share < 1}
    if 0 < len(least) < len(weights):
        others = {name: weight for name, weight in weights.items() if name not in least}
        chosen = {**least, **quotas(others, window - len(least))}
        return {name: chosen[name] for name in weights}
    whole = {name: max(1, int(share)) for name, share in exact.items()}  # rounding may turn a share of 1 into 0.9999
    for name in sorted(exact, key=lambda name: whole[name] - exact[name])[: window - sum(whole.values())]:
        whole[name] += 1
    return whole
