"""Units of measurement as answers write them: what they measure, and how large they are.

    cm   square centimeters   km per hour   kg m/s^2   mol/L   sq. cm   °C   k\\Omega   euros   dollars per hour

The units are those of `pint`. Currencies are units of their own kinds: without a rate, none is worth another.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import pint

from uniopd_mm.tasks.grading.math_vocabulary import COINS, CURRENCIES

LONGEST_UNIT = 60  # characters
_HIGHEST_POWER = 9


@dataclass(frozen=True, kw_only=True, slots=True)
class Unit:
    """A value of n units is n * scale + offset of the base unit of its dimension."""

    dimension: tuple[tuple[str, int], ...]
    scale: Fraction
    offset: Fraction = Fraction(0)

    @property
    def is_angle(self) -> bool:
        return self.dimension == (("angle", 1),)


class _Registry:
    """Made on first use: it takes a sixth of a second."""

    units: pint.UnitRegistry | None = None


_COMMON = {
    **{"degree": "degree", "deg": "degree", "hr": "hour", "hrs": "hour", "sec": "second", "secs": "second"},
    **{"min": "minute", "mins": "minute", "yr": "year", "yrs": "year", "mo": "month", "wk": "week", "wks": "week"},
    **{"hz": "hertz", "kph": "kilometer_per_hour", "kmh": "kilometer_per_hour", "kmph": "kilometer_per_hour"},
    **{"mph": "mile_per_hour", "fps": "foot_per_second", "mps": "meter_per_second", "lbs": "pound", "ton": "ton"},
    **{"tonne": "metric_ton", "tonnes": "metric_ton", "gal": "gallon", "kwh": "kilowatt_hour", "cc": "centimeter**3"},
    **{"inches": "inch", "feet": "foot", "sr": "steradian", "ohm": "ohm", "ohms": "ohm", "amps": "ampere"},
    **{"l": "liter", "ml": "milliliter", "dl": "deciliter", "cl": "centiliter", "kgs": "kilogram", "kms": "kilometer"},
    **{"gm": "gram", "gms": "gram", "cms": "centimeter", "qt": "quart", "pt": "pint", "fl oz": "fluid_ounce"},
    **{"KM": "kilometer", "KG": "kilogram", "CM": "centimeter", "MM": "millimeter", "FT": "foot", "LB": "pound"},
    **{"mcg": "microgram", "turn": "turn", "rev": "turn", "revolution": "turn", "revolutions": "turn"},
    **{"arcmin": "arcminute", "arcsec": "arcsecond", "ly": "light_year", "rad": "radian", "rads": "radian"},
    **{"kcal": "kilocalorie", "cal": "calorie", "Torr": "torr", "mbar": "millibar"},
    **{"C": "coulomb", "F": "farad", "K": "kelvin", "T": "tesla", "h": "hour", "d": "day", "kt": "knot"},
}
# Units of pint whose names are words for what is counted, or letters.
_NOT_UNITS = frozenset(
    {"a", "u", "e", "c", "pi", "x", "y", "z", "q", "p", "i", "k", "dozen", "count", "percent", "ppm", "dimensionless"}
    | {"point", "points", "number", "permille", "score", "gross", "half", "at", "as", "are", "ar", "dot", "dots", "el"}
    | {"pixel", "pixels", "element", "baker", "hand", "hands", "link", "links", "pole", "poles", "rod", "rods", "tex"}
    | {"line", "lines", "chain", "chains", "barn", "barns", "drop", "drops", "perch", "pica", "picas", "em", "bag"}
    | {"mark", "marks", "sheet", "sheets", "slug", "slugs", "bags", "pod", "peak", "load", "ppb", "particle", "stere"}
    | {"stick", "sticks", "male", "mils", "mil", "faces", "span", "pace", "counts", "shot", "shots", "th", "st", "nd"}
)
_TEMPERATURES = {
    "C": Unit(dimension=(("[temperature]", 1),), scale=Fraction(1), offset=Fraction("273.15")),
    "F": Unit(dimension=(("[temperature]", 1),), scale=Fraction(5, 9), offset=Fraction("459.67") * Fraction(5, 9)),
    "K": Unit(dimension=(("[temperature]", 1),), scale=Fraction(1)),
}
_DEGREES = re.compile(
    r"(?:degrees?|deg\.?|\^?\\circ|°)?\s*(?P<scale>celsius|centigrade|fahrenheit|kelvins?)|"
    r"(?:degrees?|deg\.?|\^?\\circ|°)\s*(?P<letter>[CFK])",
    re.IGNORECASE,
)
_SIMPLE = re.compile(r"[A-Za-zµΩ_]{1,30}")
_POWER = re.compile(r"(?:\^|\*\*)\s*\{?\s*([-+]?[0-9])\s*\}?$|(?<=[a-z])([23])$")
_POWER_WORDS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
DEGREE = Unit(dimension=(("angle", 1),), scale=Fraction(1))
_ONE = Unit(dimension=(), scale=Fraction(1))


@lru_cache(maxsize=4096)
def read_unit(words: str) -> Unit | None:
    """The unit that a text is; None where it is anything else."""
    text = _plain(words)
    if not text or len(text) > LONGEST_UNIT:
        return None
    if match := _DEGREES.fullmatch(text):
        return _TEMPERATURES[(match["scale"] or match["letter"])[0].upper().replace("°", "")]
    if text in (r"^\circ", r"\circ", "°", "^°"):
        return DEGREE
    parts = [part.strip() for part in re.split(r"/|\bper\b", text)]
    if len(parts) > 1 and parts[0] in ("", "1"):  # per second, 1/s
        parts[0] = ""
    found: Unit | None = None if parts[0] or len(parts) == 1 else _ONE
    for place, part in enumerate(parts):
        unit = _product(part) if part else found
        if unit is None:
            return None
        found = unit if not place else found and _times(found, unit, -1)
    return found if found and found.dimension else None


def _plain(words: str) -> str:
    text = re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", words)
    text = re.sub(r"\\(?:Omega|ohm)(?![a-zA-Z])\s*", "Ω", text).replace("μ", "µ")
    text = re.sub(r"\\mu(?![a-zA-Z])\s*", "µ", text)
    text = re.sub(r"(?<=[kMGmµ]) (?=Ω)", "", text)
    text = re.sub(r"\\(?:cdot|times)(?![a-zA-Z])|[·*⋅](?!\*)|(?<=[A-Za-z])-(?=[A-Za-z])", " ", text.replace("**", "^"))
    text = re.sub(r"(?<=[A-Za-z])\.", " ", text)
    text = re.sub(
        r"(?i)\b(light|kilowatt|watt|amp|ampere|nautical|fluid|electron)[ -](years?|hours?|miles?|ounces?|volts?)",
        r"\1_\2",
        text,
    )
    return " ".join(re.sub(r"\s*\^\s*", "^", text).split()).strip("() ")


def _product(text: str) -> Unit | None:
    found, power, last = _ONE, 1, _ONE
    for word in re.sub(r"\^\{\s*([-+]?[0-9])\s*\}", r"^\1", text.strip("() ")).split():
        raised = _POWER_WORDS.get(word.lower())
        if raised and word.lower().endswith("ed"):  # meters squared
            found = _times(found, last, raised - 1)
        elif raised:
            power = raised
        elif unit := _single(word):
            found, last, power = _times(found, unit, power), unit, 1
        else:
            return None
    return found if found is not _ONE and power == 1 else None


def _single(word: str) -> Unit | None:
    power = _POWER.search(word)
    name = word[: power.start()] if power else word
    unit = _named(name)
    if unit is None:
        return None
    return _times(_ONE, unit, int(power[1] or power[2])) if power else unit


@lru_cache(maxsize=4096)
def _named(name: str) -> Unit | None:
    lower = name.lower()
    if not _SIMPLE.fullmatch(name) or (name if len(name) == 1 else lower) in _NOT_UNITS:
        return None
    money = lower.removesuffix("s")
    if lower in CURRENCIES or money in CURRENCIES:
        return Unit(dimension=((CURRENCIES.get(lower) or CURRENCIES[money], 1),), scale=Fraction(1))
    if money in COINS:
        return Unit(dimension=((COINS[money], 1),), scale=Fraction(1, 100))
    candidates = [_COMMON.get(name), name, _COMMON.get(lower), lower if len(name) > 3 or lower in ("hz",) else None]
    for candidate in candidates:
        if candidate and (unit := _from_pint(candidate)):
            return unit
    return None


def _from_pint(name: str) -> Unit | None:
    if _Registry.units is None:
        _Registry.units = pint.UnitRegistry(non_int_type=Fraction, cache_folder=None)
    registry = _Registry.units
    try:
        if "*" not in name and not _is_name(registry.parse_unit_name(name), name):
            return None
        quantity = registry.Quantity(1, name).to_base_units()
    except Exception:  # noqa: BLE001 - pint raises many kinds for words that are no units
        return None
    dimension = {str(key): _whole(value) for key, value in quantity.dimensionality.items()}
    base = {str(key): value for key, value in quantity.unit_items()}
    if base == {"radian": 1} and not dimension:
        degrees = registry.Quantity(1, name).to("degree").magnitude
        return Unit(dimension=(("angle", 1),), scale=Fraction(degrees).limit_denominator(10**12))
    kept = dimension or {key: _whole(value) for key, value in base.items()}
    scale = Fraction(quantity.magnitude).limit_denominator(10**40)
    return Unit(dimension=tuple(sorted(kept.items())), scale=scale)


def _whole(exponent: Any) -> int:
    return int(exponent)


def _is_name(readings: tuple[tuple[str, str, str], ...], name: str) -> bool:
    """Whether a word is the name of a unit, and not only its symbols in a row: "units" is no micronit."""
    word = name.islower() and (len(name) > 4 or (len(name) == 4 and name.endswith("s")))
    return bool(readings) and (not word or any(name.startswith(prefix) for prefix, _, _ in readings))


def _times(first: Unit, second: Unit, power: int) -> Unit:
    power = max(-_HIGHEST_POWER, min(power, _HIGHEST_POWER))
    dimension = dict(first.dimension)
    for name, exponent in second.dimension:
        dimension[name] = dimension.get(name, 0) + exponent * power
    kept = tuple(sorted((name, exponent) for name, exponent in dimension.items() if exponent))
    alone = not first.dimension and power == 1
    return Unit(dimension=kept, scale=first.scale * second.scale**power, offset=second.offset if alone else Fraction(0))


def convert(value: Fraction, unit: Unit) -> Fraction:
    """The value in the base unit."""
    return value * unit.scale + unit.offset
