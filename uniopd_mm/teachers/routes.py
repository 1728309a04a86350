"""The teachers of each sample, named by its row, a rule, its domain or by default: one, or several with weights."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from uniopd_mm.config.parts import RoutingConfig
from uniopd_mm.types import Sample, UserError

Weights = Mapping[str, float]  # by teacher; they sum to 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """The teachers of the samples whose metadata matches `where`. As in `data.where`, dots reach into objects and
    lists, a list matches any of its values, and 3 matches "3"."""

    where: Mapping[str, Any]
    teachers: Weights

    def matches(self, sample: Sample) -> bool:
        return all(_matches(sample.metadata, column, expected) for column, expected in self.where.items())


def _matches(metadata: Mapping[str, Any], column: str, expected: Any) -> bool:
    choices = expected if isinstance(expected, list | tuple) else [expected]
    return any(value == one or str(value) == str(one) for value in _values(metadata, column) for one in choices)


def _values(metadata: Mapping[str, Any], column: str) -> Iterator[Any]:
    """The value of a column, or of the path that its dots spell; nothing if there is none."""
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
    """The first of these that names a teacher wins: the sample's `column`, the rules in order, its domain, default."""

    teachers: tuple[str, ...]
    column: str | None = None
    rules: tuple[Rule, ...] = ()
    domains: Mapping[str, Weights]
    default: str | None = None

    def weights(self, sample: Sample) -> Weights:
        """The sample's teachers and their weights.

        Raises:
            UserError: it has no teacher, or its row names an unknown one.
        """
        named = sample.metadata.get(self.column) if self.column else None
        if named is not None:
            remedy = "; set routing.column=null if that column means something else"
            return weights_of(named, self.teachers, f"{sample.source}: column {self.column}", remedy)
        for rule in self.rules:
            if rule.matches(sample):
                return rule.teachers
        if sample.domain in self.domains:
            return self.domains[sample.domain]
        if self.default is None:
            raise UserError(
                f"routing: no teacher for {sample.source} of domain {sample.domain!r}; set routing.domains."
                f"{sample.domain} or routing.default to one of {', '.join(self.teachers)}"
            )
        return {self.default: 1.0}

    def main_teacher(self, sample: Sample) -> str:
        """The teacher with the largest weight, or the first of those: the one that generates answers."""
        weights = self.weights(sample)
        return max(weights, key=lambda name: weights[name])


def build_routes(plan: RoutingConfig, teachers: Sequence[str], domains: Iterable[str]) -> Routes:
    """Routes as configured. A domain without a setting is taught by the teacher of the same name, if there is one, and
    a single teacher is the default. `domains` are those of the samples.

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
    """A teacher's name, or weights by name, as weights that sum to 1. `remedy` ends the error for an unknown name.

    Raises:
        UserError: an unknown teacher, or a weight that is not positive.
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
