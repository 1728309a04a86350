"""Who teaches which sample: by its row, by rule, by domain or by default; one teacher, or several with weights."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from uniopd_mm.config_parts import RoutingConfig
from uniopd_mm.types import Sample, UserError

Weights = Mapping[str, float]  # by teacher; they add up to 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Samples whose metadata has all of these values are taught by these teachers."""

    where: Mapping[str, Any]
    teachers: Weights

    def holds(self, sample: Sample) -> bool:
        return all(sample.metadata.get(column) == value for column, value in self.where.items())


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Routes:
    """The first that says something wins: the sample's `column`, the rules in order, its domain, the default."""

    teachers: tuple[str, ...]
    column: str | None = None
    rules: tuple[Rule, ...] = ()
    domains: Mapping[str, Weights]
    default: str | None = None

    def of(self, sample: Sample) -> Weights:
        """Who teaches the sample.

        Raises:
            UserError: nobody does, or its row names somebody unknown.
        """
        named = sample.metadata.get(self.column) if self.column else None
        if named is not None:
            return weights_of(named, self.teachers, f"{sample.source}: column {self.column}")
        for rule in self.rules:
            if rule.holds(sample):
                return rule.teachers
        if sample.domain in self.domains:
            return self.domains[sample.domain]
        if self.default is None:
            raise UserError(
                f"routing: nobody teaches {sample.source} of domain {sample.domain!r}; give routing.domains."
                f"{sample.domain} or routing.default one of {', '.join(self.teachers)}"
            )
        return {self.default: 1.0}

    def main(self, sample: Sample) -> str:
        """The teacher with the largest weight, of equals the first: who answers, where one must."""
        weights = self.of(sample)
        return max(weights, key=lambda name: weights[name])


def build_routes(plan: RoutingConfig, teachers: Sequence[str], domains: Iterable[str]) -> Routes:
    """Routes as configured. A teacher with a domain's name teaches it where nothing else is said, and a single teacher
    is everybody's.

    Raises:
        UserError: an unknown teacher, or a rule without one.
    """
    known = tuple(teachers)
    by_domain: dict[str, Weights] = {domain: {domain: 1.0} for domain in domains if domain in known}
    by_domain |= {name: weights_of(value, known, f"routing.domains.{name}") for name, value in plan.domains.items()}
    default = plan.default or (known[0] if len(known) == 1 else None)
    if default is not None:
        weights_of(default, known, "routing.default")
    rules = tuple(_rule(entry, known, f"routing.rules[{index}]") for index, entry in enumerate(plan.rules))
    return Routes(teachers=known, column=plan.column, rules=rules, domains=by_domain, default=default)


def weights_of(value: object, teachers: Sequence[str], where: str) -> Weights:
    """A teacher's name, or weights by name, as weights that add up to 1.

    Raises:
        UserError: an unknown teacher, or a weight that is not above 0.
    """
    weights = value if isinstance(value, Mapping) else {str(value): 1.0}
    for name, weight in weights.items():
        if name not in teachers:
            raise UserError(f"{where}={name}: no such teacher; there are {', '.join(teachers)}")
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < float("inf"):
            raise UserError(f"{where}.{name}={weight}: a weight must be a number above 0")
    if not weights:
        raise UserError(f"{where}={{}}: names no teacher; there are {', '.join(teachers)}")
    total = sum(weights.values())
    return {str(name): weight / total for name, weight in weights.items()}


def _rule(entry: Mapping[str, Any], teachers: Sequence[str], where: str) -> Rule:
    if set(entry) != {"where", "teacher"} or not isinstance(entry["where"], Mapping):
        raise UserError(f"{where}={dict(entry)}: give {{where: {{column: value}}, teacher: NAME}}")
    return Rule(where=dict(entry["where"]), teachers=weights_of(entry["teacher"], teachers, f"{where}.teacher"))
