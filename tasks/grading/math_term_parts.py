"""What a term is made of."""

from uniopd_mm.tasks.grading.math_terms import Term


def symbols_of(term: Term) -> frozenset[str]:
    """The free letters of a term; those that a sum counts with are bound."""
    if term[0] == "symbol":
        return frozenset({term[1]})
    inside = frozenset[str]().union(*(symbols_of(part) for part in term[1:] if isinstance(part, tuple)))
    return inside - {term[1]} if term[0] in ("sum", "prod") else inside


def has(term: Term, *names: str) -> bool:
    """Whether a term holds another of one of these names."""
    return term[0] in names or any(has(part, *names) for part in term[1:] if isinstance(part, tuple))


def with_decimal_logarithms(term: Term) -> Term:
    """The term with every \\log without a base as that to base 10."""
    if term[0] == "log" and "base" not in term:
        return ("lg", *map(with_decimal_logarithms, term[1:]))
    return tuple(with_decimal_logarithms(part) if isinstance(part, tuple) else part for part in term)


def numbers_of(term: Term) -> list[str]:
    """The numbers in a term as they are written."""
    if term[0] == "number":
        return [term[1]]
    return [number for part in term[1:] if isinstance(part, tuple) for number in numbers_of(part)]
