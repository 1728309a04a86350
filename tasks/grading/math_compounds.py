"""Quantities given in several units: 6 feet 2 inches, 3 hours 20 minutes."""

import re
from dataclasses import replace
from fractions import Fraction

from uniopd_mm.tasks.grading.math_spelling import without_text
from uniopd_mm.tasks.grading.math_tails import LONGEST_TAIL, Tail
from uniopd_mm.tasks.grading.units import read_unit

_COMPOUND = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<words>[a-zA-Z.°]+)(?:,|\s|and(?![a-z]))*")


def read_compound(text: str) -> tuple[Fraction, Tail] | None:
    """6 feet 2 inches as one length: its size in the base unit."""
    if len(text) > LONGEST_TAIL or not text[:1].isdigit():
        return None
    plain = without_text(text)
    parts = list(_COMPOUND.finditer(plain))
    if len(parts) < 2 or "".join(part[0] for part in parts) != plain + " " * 0:
        return None
    units = [read_unit(part["words"]) for part in parts]
    if any(unit is None or unit.dimension != units[0].dimension for unit in units if units[0]) or not units[0]:
        return None
    scales = [unit.scale for unit in units if unit]
    if sorted(scales, reverse=True) != scales or len(set(scales)) < len(scales):
        return None
    total = sum((Fraction(part["number"]) * scale for part, scale in zip(parts, scales, strict=True)), Fraction(0))
    return total, Tail(text=plain, unit=replace(units[0], scale=Fraction(1)))
