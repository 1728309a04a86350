"""How often each domain of a mixture is drawn: weights by a method, and weights as whole numbers of a window."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from uniopd_mm.config.parts import MixtureConfig, Shares
from uniopd_mm.distill.watch import History
from uniopd_mm.types import UserError

NOTHING_KNOWN: Mapping[str, float | None] = MappingProxyType({})


def step_quotas(
    plan: MixtureConfig,
    sizes: Mapping[str, int],
    prompts_per_step: int,
    teacher: Mapping[str, float | None] = NOTHING_KNOWN,
    history: History = (),
) -> dict[str, int]:
    """How many of the next `plan.window` prompts each domain has; see `domain_weights` and `quotas`."""
    return quotas(domain_weights(plan, sizes, teacher, history), plan.window or prompts_per_step * len(sizes))


def domain_weights(
    plan: MixtureConfig, sizes: Mapping[str, int], teacher: Mapping[str, float | None], history: History
) -> dict[str, float]:
    """The weight of each domain, not normalised.

    Args:
        sizes: train samples of each domain.
        teacher: the teacher's accuracy in [0, 1]; None or absent where it was not measured.
        history: has the student's accuracy as `domain/<domain>/accuracy`.

    Raises:
        UserError: the weights name other domains than there are, or one that is not above 0.
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
    """The teacher's lead in accuracy. Without a known accuracy of the student it is all of the teacher's, and a teacher
    that was not measured counts as always right: a domain nobody knows anything of is not starved."""
    known = [values[key] for values in recent if (key := f"domain/{domain}/accuracy") in values]
    student = sum(known) / len(known) if known else 0.0
    return (1.0 if teacher is None else teacher) - student


def _check_weights(weights: Mapping[str, float], sizes: Mapping[str, int]) -> None:
    if set(weights) != set(sizes):
        raise UserError(
            f"mixture.weights={dict(weights)}: the domains are {', '.join(sizes)}; give each of them its weight"
        )
    for domain, weight in weights.items():
        if not 0 < weight < float("inf"):
            raise UserError(f"mixture.weights.{domain}={weight} must be above 0; leave the domain out of the task")


def quotas(weights: Mapping[str, float], window: int) -> dict[str, int]:
    """Whole numbers that add up to `window`, each at least 1: a domain whose share is less has 1, and the others share
    what that leaves by their weights. Each has its share rounded down, and the largest remainders the rest (Hamilton's
    method).

    quotas({"a": 2, "b": 1}, 10) == {"a": 7, "b": 3}

    Raises:
        UserError: the window is too small for the domains.
    """
    if window < len(weights):
        raise UserError(f"mixture.window={window} is less than the {len(weights)} domains; raise it, or leave it null")
    total = sum(weights.values())
    exact = {name: weight / total * window for name, weight in weights.items()}
    least = {name: 1 for name, share in exact.items() if share < 1}
    if 0 < len(least) < len(weights):
        others = {name: weight for name, weight in weights.items() if name not in least}
        chosen = {**least, **quotas(others, window - len(least))}
        return {name: chosen[name] for name in weights}
    whole = {name: max(1, int(share)) for name, share in exact.items()}  # 0.9999 of 1 where all are equal
    for name in sorted(exact, key=lambda name: whole[name] - exact[name])[: window - sum(whole.values())]:
        whole[name] += 1
    return whole
