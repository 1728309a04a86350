r"""What stands around a number: its unit, its currency, a multiplier, a percent sign, or words that may change it.

5 \text{ cm}^2    \$5    5 million    5 dozen    12 (approximately)    40^\circ \text{N}    5 apples    300 BC
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction

from uniopd_mm.tasks.grading.math_spelling import without_text
from uniopd_mm.tasks.grading.math_vocabulary import (
    COINS,
    CURRENCIES,
    CURRENCY_SIGNS,
    MULTIPLIERS,
    NOUN_POLES,
    POLAR,
    ROUGHLY,
    UNCLEAR,
    UNCLEAR_UNLESS_LAST,
)
from uniopd_mm.tasks.grading.units import Unit, read_unit

LONGEST_TAIL = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Tail:
    """`text` is all that was written; `loose` says that it may as well be letters to multiply with."""

    text: str = ""
    factor: Fraction = Fraction(1)
    unit: Unit | None = None
    words: tuple[str, ...] = ()
    poles: frozenset[str] = frozenset()
    unclear: bool = False
    percent: bool = False
    loose: bool = False
    base: str = ""


NO_TAIL = Tail()
_WORD = re.compile(r"[^\W_]+(?:['’.][^\W_]+)*")
_MONEY = re.compile(
    rf"^(?P<sign>[-+]?)\s*(?P<money>\\usd|[{''.join(CURRENCY_SIGNS)}])\s*(?P<rest>[-+.0-9\\(].*)$", re.DOTALL
)
_MONEY_BEHIND = re.compile(rf"^(?P<rest>.*[0-9.)}}])\s*(?P<money>\\usd|[{''.join(CURRENCY_SIGNS)}¢元円])$", re.DOTALL)
_SUBSCRIPT_BASE = re.compile(r"^([0-9A-F]+)\s*_\s*\{?\s*([0-9]{1,2})\s*\}?$")
_PRIMES = re.compile(r"^(?P<core>[-+]?[0-9.]+)\s*(?P<primes>'{1,2}|\"|\^\s*\{?\s*(?:\\prime\s*){1,2}\}?)$")
_PERCENT = re.compile(r"\s*\\?%\s*$")
_PERCENT_AND_WORDS = re.compile(r"^(?P<core>.*[0-9)}])\s*\\?%\s*(?P<words>(?:\\text|[a-z(]).*)$", re.DOTALL)
_PERMIL = re.compile(r"\s*(?:\\permil|\\text\s*\{\s*(?:per mille|permille)\s*\})\s*$")
_TEXT = re.compile(r"^(?P<core>.*?[0-9A-Za-z)}!'\]|])\s*(?P<words>\\text\s*\{.*)$", re.DOTALL)
_DEGREES = re.compile(
    r"^(?P<core>.*?[0-9)}a-zA-Z])\s*(?P<words>\^\s*\{?\s*\\circ\s*\}?\s*(?:\\text\s*\{[^{}]*\}|[A-Za-z ]+)?)\s*$",
    re.DOTALL,
)
_ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
_UNIT_LETTER = r"[^\W\d_]|\\Omega(?![a-z])|\\mu(?![a-z])"
_BARE = re.compile(
    rf"^(?P<core>.*[0-9)}}!])(?P<blank> ?)(?P<words>\(?(?:{_UNIT_LETTER})"
    rf"(?:{_UNIT_LETTER}|\\cdot(?![a-z])|[-./ ()'·]|\^\s*\{{?-?[0-9]\}}?)*)$",
    re.DOTALL,
)
_PLAIN_NUMBER = re.compile(r"\s*[-+]?[0-9][0-9.,]*(?:\s*(?:\\times|\\cdot)\s*10\s*\^\s*\{?-?[0-9]+\}?)?\s*")
_LETTERS = re.compile(r"[a-z](?: [a-z])+")  # b h, m g
# Letters that behind a number are read as a unit by everyone, though they might be a product.
_CLEAR_UNITS = frozenset(
    {
        "cm",
        "mm",
        "km",
        "kg",
        "ft",
        "lb",
        "lbs",
        "oz",
        "hr",
        "hrs",
        "in",
        "yd",
        "mi",
        "kJ",
        "kN",
        "kW",
        "kWh",
        "MW",
        "GW",
    }
    | {"MHz", "kHz", "GHz", "Hz", "kPa", "MPa", "Pa", "mL", "ml", "dB", "kB", "MB", "GB", "TB", "mol", "km/h", "m/s"}
    | {"m/s^2", "mph", "cm^2", "cm^3", "m^2", "m^3", "km^2", "mm^2", "mm^3", "ft^2", "ft^3", "in^2", "min", "sec"}
    | {"rad", "deg", "eV", "keV", "MeV", "GeV", "nm", "atm", "cal", "kcal"}
)


def split_tail(text: str) -> tuple[str, Tail]:
    """A text without what stands around its value, and what that says."""
    text = text.strip()
    if (match := _SUBSCRIPT_BASE.match(text)) and _is_in_base(match[1], int(match[2])):
        return match[1], Tail(text=f"base {match[2]}", base=match[2])
    if match := _MONEY.match(text):
        core, tail = split_tail(match["sign"] + match["rest"])
        return core, _with_money(tail, match["money"])
    if match := _MONEY_BEHIND.match(text):
        return match["rest"].strip(), _with_money(NO_TAIL, match["money"])
    if match := _PRIMES.match(text):
        return match["core"], Tail(text=match["primes"], words=(match["primes"],), unclear=True)
    if match := _PERMIL.search(text):
        return text[: match.start()], Tail(text="permil", factor=Fraction(1, 1000))
    if match := _PERCENT.search(text):
        return text[: match.start()], Tail(text="%", percent=True)
    if match := _PERCENT_AND_WORDS.match(text):
        return match["core"], replace(read_tail(match["words"]), percent=True)
    return _words_behind(text)


def _is_in_base(digits: str, base: int) -> bool:
    return any(char.isdigit() for char in digits) and all(int(char, 36) < base for char in digits)


def _words_behind(text: str) -> tuple[str, Tail]:
    if (match := _DEGREES.match(text)) and not _ANGLE.search(text):
        return match["core"], read_tail(match["words"])
    if (match := _TEXT.match(text)) and not _is_subscript(match["core"]):
        return match["core"].strip(), read_tail(match["words"])
    if (match := _BARE.match(text)) and (tail := _bare_tail(match["core"], match["blank"], match["words"].strip())):
        return match["core"].strip(), tail
    return text, NO_TAIL


def _is_subscript(core: str) -> bool:
    return re.search(r"[_^]\s*\{?$", core) is not None or core.count("{") != core.count("}")


def _bare_tail(core: str, blank: str, words: str) -> Tail | None:
    """Letters behind a number as a unit or words; None where they are letters to multiply with."""
    if _LETTERS.fullmatch(words):
        return None
    tail = read_tail(words)
    compact = re.sub(r"\s*\^\s*\{?([0-9])\}?", r"^\1", words)
    plain = _PLAIN_NUMBER.fullmatch(core) is not None
    if compact in _CLEAR_UNITS:
        return tail
    longest = max((len(word) for word in _WORD.findall(words)), default=0)
    letters = sum(char.isalpha() for char in words)
    if (
        words in CURRENCIES
        or longest >= 4
        or any(word.lower() in MULTIPLIERS | CURRENCIES | COINS for word in _WORD.findall(words) if len(word) > 1)
    ):
        return tail
    if tail.poles and letters > 1:
        return tail if blank else None
    if tail.unit and plain and blank and letters <= 4:
        return replace(tail, loose=True)
    if longest == 3 and blank and not tail.unit and plain:
        return tail
    if not words.isascii() and plain and not tail.unit:
        return tail
    return None


def _with_money(tail: Tail, sign: str) -> Tail:
    name = "usd" if sign == r"\usd" else CURRENCY_SIGNS.get(sign) or CURRENCIES.get(sign) or COINS.get(sign, "usd")
    scale = Fraction(1, 100) if sign in COINS else Fraction(1)
    if tail.unit or tail.words:  # $5 per hour
        same = tail.unit is not None and (name, 1) in tail.unit.dimension
        return tail if same else replace(tail, text=f"{sign} {tail.text}", words=(name, *tail.words))
    return replace(tail, text=f"{sign} {tail.text}".strip(), unit=Unit(dimension=((name, 1),), scale=scale))


def read_tail(text: str) -> Tail:
    """What words behind a number say."""
    if len(text) > LONGEST_TAIL:
        return Tail(text=text, unclear=True)
    words = without_text(text).strip().strip(",;.").strip()
    if unit := _unit(words):
        return Tail(text=words, unit=unit)
    factor, rest = _multiplied(re.sub(r"[()]", " ", words).split())
    rest = [word for word in rest if word.lower().strip(".,") not in ROUGHLY]
    if rest[:1] == ["of"] and factor != 1:
        rest = rest[1:]
    if not rest or (unit := _unit(" ".join(rest))):
        return Tail(text=words, factor=factor, unit=unit if rest else None)
    return _of_words(words, factor, rest)


def _of_words(text: str, factor: Fraction, rest: list[str]) -> Tail:
    found = [word.lower().replace(".", "") for word in _WORD.findall(" ".join(rest))]
    poles = frozenset(word for word in found if word in POLAR)
    around = [word for word in rest if word.lower().strip(".,").replace(".", "") not in POLAR]
    unit = _unit(" ".join(around)) if poles else None
    unclear = any(_is_unclear(word, place == len(found) - 1) for place, word in enumerate(found)) or not found
    stems = () if unit else tuple(sorted({_stem(word) for word in found if word not in _FILLERS}))
    return Tail(text=text, factor=factor, unit=unit, words=stems, poles=poles, unclear=unclear and unit is None)


_FILLERS = frozenset(
    {"a", "an", "the", "in", "total", "answer", "of", "exactly", "unit", "units", "square", "cubic", "s"}
)


_ORDINAL = re.compile(r"(?:eleven|twelf|[a-z]+teen|[a-z]+tie)ths?")


def _is_unclear(word: str, last: bool) -> bool:
    if any(char.isdigit() for char in word) or _ORDINAL.fullmatch(word):
        return True
    return word in UNCLEAR and not (last and word in UNCLEAR_UNLESS_LAST)


def _stem(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def _unit(words: str) -> Unit | None:
    return read_unit(words) if words else None


def _multiplied(words: list[str]) -> tuple[Fraction, list[str]]:
    factor = Fraction(1)
    place = 0
    while place < len(words):
        word = words[place].lower().strip(".,")
        value = MULTIPLIERS.get(word) or MULTIPLIERS.get(word.removesuffix("s"))
        if value is None or (place and words[place - 1].lower() == "of"):
            break
        factor *= value
        place += 1
    return factor, words[place:]


def tails_agree(expected: Tail, given: Tail) -> bool | None:
    """Whether two tails let equal numbers be equal answers; None where that cannot be told."""
    if expected.base and given.base and expected.base != given.base:
        return False
    if expected.poles != given.poles and expected.poles and given.poles:
        return False
    lone = (expected.poles ^ given.poles) - NOUN_POLES
    if lone:
        return None
    if (expected.unclear or given.unclear) and _plain(expected.text) != _plain(given.text):
        return None
    if expected.percent != given.percent and (expected.unit or given.unit):
        return False
    if expected.unit and given.unit:
        return expected.unit.dimension == given.unit.dimension
    if expected.unit or given.unit:
        return None if expected.words or given.words else True
    few, many = sorted((set(expected.words), set(given.words)), key=len)
    return True if few <= many else None


def _plain(text: str) -> str:
    return "".join(without_text(text).lower().split())
