"""Who teaches which sample: by its row, by rule, by domain or by default; one teacher, or several with weights."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from uniopd_mm.config.parts import RoutingConfig
from uniopd_mm.types import Sample, UserError

Weights = Mapping[str, float]  # by teacher; they add up to 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Samples whose metadata has all of these values are taught by these teachers. As in `data.where`, dots lead into
    objects and lists, a list stands for one of its values, and 3 is "3"."""

    where: Mapping[str, Any]
    teachers: Weights

    def holds(self, sample: Sample) -> bool:
        return all(_has(sample.metadata, column, wanted) for column, wanted in self.where.items())


def _has(metadata: Mapping[str, Any], column: str, wanted: Any) -> bool:
    choices = wanted if isinstance(wanted, list | tuple) else [wanted]
    return any(value == one or str(value) == str(one) for value in _at(metadata, column) for one in choices)


def _at(metadata: Mapping[str, Any], column: str) -> Iterator[Any]:
    """The value at a name, or where its dots lead; nothing where there is no such place."""
    if column in metadata:
        yield metadata[column]
        return
    value: Any = metadata
    for step in column.split("."):
        if isinstance(value, Mapping) and step in value:
            value = value[step]
        elif isinstance(value, list | tuple) and step.lstrip("-").isdecimal() and -len(value) <= int(step) < len(value):
            value = value[int(step)]
        else:
            return
    yield value


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
            remedy = "; set routing.column=null if that column means something else"
            return weights_of(named, self.teachers, f"{sample.source}: column {self.column}", remedy)
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
    is everybody's. `domains` are those of the samples; where none are known, any may be named.

    Raises:
        UserError: an unknown teacher or domain, or a rule without a teacher.
    """
    known, domains = tuple(teachers), tuple(domains)
    for name in plan.domains:
        if name not in domains:
            raise UserError(f"routing.domains.{name}: no such domain; there are {', '.join(domains)}")
    by_domain: dict[str, Weights] = {domain: {domain: 1.0} for domain in domains if domain in known}
    by_domain |= {name: weights_of(value, known, f"routing.domains.{name}") for name, value in plan.domains.items()}
    default = plan.default or (known[0] if len(known) == 1 else None)
    if default is not None:
        weights_of(default, known, "routing.default")
    rules = tuple(_rule(entry, known, f"routing.rules[{index}]") for index, entry in enumerate(plan.rules))
    return Routes(teachers=known, column=plan.column, rules=rules, domains=by_domain, default=default)


def weights_of(value: object, teachers: Sequence[str], where: str, remedy: str = "") -> Weights:
    """A teacher's name, or weights by name, as weights that add up to 1. `remedy` ends the error of an unknown name.

    Raises:
        UserError: an unknown teacher, or a weight that is not above 0.
    """
    weights = value if isinstance(value, Mapping) else {str(value): 1.0}
    for name, weight in weights.items():
        if name not in teachers:
            raise UserError(f"{where}={name}: no such teacher; there are {', '.join(teachers)}{remedy}")
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
