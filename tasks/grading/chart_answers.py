"""Relaxed accuracy, the score of chart questions: numbers within 5 %, everything else exactly.

Relaxed accuracy (Methani et al. 2020, "PlotQA"; Masry et al. 2022, "ChartQA", section 5.1): a numeric answer is right
where |prediction - reference| <= 0.05 |reference|, any other where the texts are equal without regard to case. What
the papers leave open is decided so:

    exact     the bound itself is right, in exact decimals (1.05 for 1); with reference 0 only 0 is right
    year      a reference that is a plain integer 1900-2100 (no sign, %, separator, decimal point, currency or scale)
              is a year and has no tolerance, even where it counts something
    percent   "45%" is 0.45, as published, and where only one side has a % also 45; "45" is never "0.45"
    currency  counts only where both sides name one: "$45" is "45" but not "€45"
    scale     is part of the number: "12 million", "12M" and "12,000,000" are one number, "12" is another
    unit      one or two words after the number. The reference's own must be there ("12 kg" is not "12"); one that
              only the prediction has does not count
    lists     "[1, 2]", "1, 2", "1 and 2", one a line: item by item, in order
    text      equal as `answers.normalise` writes it: case, articles, punctuation, number words do not count

Thousands are separated by a comma or a space, decimals by a point. Dates, ordinals, decades ("1990s") and ranges are
text. Left out: number words in front of a scale ("five million"), converting units.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from uniopd_mm.tasks.grading.answers import (
    doubtful,
    final_answer,
    last_boxed,
    literal_readings,
    normalise,
    right,
    unanswered,
    unknown,
    unwrapped,
    wrong,
)
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import Outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A number as a chart says it. `value` has its scale in it ("12 million" is 12000000) but not its percent sign."""

    value: Fraction
    percent: bool
    currency: str
    unit: str
    year: bool


def relaxed_correct(prediction: str, reference: str, tolerance: float = 0.05) -> bool:
    """Whether the prediction is the reference by relaxed accuracy.

    >>> relaxed_correct("105", "100"), relaxed_correct("105.1", "100"), relaxed_correct("2020", "2019")
    (True, False, False)
    """
    expected = split_items(reference)
    if len(expected) < 2:
        return _item_correct(_unbracketed(prediction), _unbracketed(reference), tolerance)
    items = split_items(prediction)
    return len(items) == len(expected) and all(
        _item_correct(item, wanted, tolerance) for item, wanted in zip(items, expected, strict=True)
    )


def grade_relaxed(response: str, reference: str | None, tolerance: float = 0.05) -> Outcome:
    """Right where a reading of the final answer is the reference by relaxed accuracy. Unknown where the reference says
    nothing; an empty response is incorrect. Never raises."""
    expected = unwrapped(last_boxed(reference) or reference) if reference else ""
    if not normalise(expected):
        return unknown(f"the reference answer {quote(reference)} cannot be read")
    final = final_answer(response)
    if final is None:
        return unanswered(response)
    if final.doubt:
        return doubtful(final)
    for reading in literal_readings(final):
        if relaxed_correct(reading, expected, tolerance):
            return right(f"{final.form}: {quote(reading)} is {quote(expected)}", final.text)
    return wrong(f"{final.shown} is not {quote(expected)}", final.text)


_AND = r", ?and |,(?![0-9]{3}(?![0-9]))| and |;"
_BETWEEN = re.compile(rf" ?(?:{_AND}) ?", re.IGNORECASE)


def split_items(text: str) -> list[str]:
    """The items of a list, one for a text that is none. A comma before three digits separates thousands, unless in
    brackets, where the list has another way of being read: "[100,200]"."""
    text = " ".join(text.strip().replace("\n", "; ").replace("&", " and ").split())
    inner = _unbracketed(text)
    in_brackets = inner != text and "," in inner
    items = inner.split(", " if ", " in inner else ",") if in_brackets else _BETWEEN.split(inner)
    return [unwrapped(item) for item in items if item.strip()]


def _unbracketed(text: str) -> str:
    text = text.strip()
    return text[1:-1].strip() if len(text) > 2 and (text[0], text[-1]) == ("[", "]") else text


def _item_correct(prediction: str, reference: str, tolerance: float) -> bool:
    predicted, expected = read_quantity(prediction), read_quantity(reference)
    if predicted is None or expected is None:
        return normalise(prediction) == normalise(reference)
    return _units_agree(predicted, expected) and _values_agree(predicted, expected, tolerance)


def _units_agree(predicted: Quantity, expected: Quantity) -> bool:
    if expected.unit not in ("", predicted.unit):
        return False
    if predicted.currency and expected.currency and predicted.currency != expected.currency:
        return False
    sides = (predicted, expected), (expected, predicted)
    return not any(one.percent and (other.unit or other.currency) for one, other in sides)


def _values_agree(predicted: Quantity, expected: Quantity, tolerance: float) -> bool:
    if expected.year:
        return predicted.value == expected.value and not predicted.percent
    allowed = Fraction(str(tolerance))
    # "45%" against "45" and against "0.45"; two percentages are compared as they stand
    one_sided = predicted.percent != expected.percent
    shares: tuple[int, ...] = (1, 100) if one_sided else (1,)
    pairs = [
        (predicted.value / (share if predicted.percent else 1), expected.value / (share if expected.percent else 1))
        for share in shares
    ]
    return any(abs(value - wanted) <= allowed * abs(wanted) for value, wanted in pairs)


_LONGEST_QUANTITY = 80  # characters; longer texts are no numbers, whose arithmetic stays small so
_ASCII = str.maketrans(
    {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    | dict.fromkeys("−–‐‑", "-")
    | dict.fromkeys("\u00a0\u2009\u202f", " ")
)
_SCALES = {
    **dict.fromkeys(("dozen", "dozens"), 12),
    **dict.fromkeys(("hundred", "hundreds"), 10**2),
    **dict.fromkeys(("k", "thousand", "thousands"), 10**3),
    **dict.fromkeys(("lakh", "lakhs", "lac", "lacs"), 10**5),
    **dict.fromkeys(("crore", "crores", "cr"), 10**7),
    **dict.fromkeys(("m", "mn", "mio", "million", "millions"), 10**6),
    **dict.fromkeys(("b", "bn", "billion", "billions"), 10**9),
    **dict.fromkeys(("tn", "trn", "trillion", "trillions"), 10**12),
}
_CURRENCIES = {
    **dict.fromkeys(("$", "us$", "usd", "dollar", "dollars", "us dollar", "us dollars", "u.s. dollars"), "$"),
    **dict.fromkeys(("€", "eur", "euro", "euros"), "€"),
    **dict.fromkeys(("£", "gbp"), "£"),
    **dict.fromkeys(("¥", "jpy", "yen"), "¥"),
    **dict.fromkeys(("₹", "inr", "rupee", "rupees"), "₹"),
}
_PERCENT = frozenset({"%", "percent", "per cent", "pct", "percentage point", "percentage points"})
_MONTHS = "january february march april may june july august september october november december"
# What follows a number without being its unit: the text is an ordinal, a date, a decade or a hedge.
_NO_UNITS = frozenset(
    {"st", "nd", "rd", "th", "s", "ad", "bc", "ce", "bce", "sept", "or", "and", "to", "not", "no", "nor", "of", "than"}
    | {"at", "in", "is", "more", "less", "most", "least", "over", "under", "maybe", "perhaps", "plus", "minus", "times"}
    | {"below", "above", "zero", "negative", "squared", "cubed", "half", "halves", "third", "thirds", "quarter"}
    | {"pair", "pairs", "fewer", "higher", "lower", "greater", "smaller", "up", "down", "loss", "gain", "increase"}
    | {
        "decrease",
        "drop",
        "rise",
        "fall",
        "decline",
        "growth",
        "deficit",
        "surplus",
        "short",
        "behind",
        "ahead",
        "left",
    }
    | {"right", "ago", "later", "earlier", "before", "after", "times", "double", "triple", "each", "every"}
    | {"quarters", "tenths", "hundredths", "thousandths", "gross", "fold", "by", "out", "if", "but", "wrong"}
    | {*_MONTHS.split(), *(month[:3] for month in _MONTHS.split())}
)
_QUANTITY = re.compile(
    r"""(?:(?:~|≈|(?:about|around|approximately|roughly|approx\.?)[ ])[ ]?)?
    (?P<sign>[-+]?)[ ]?
    (?:(?P<currency>US\$|[$€£¥₹]|USD|EUR|GBP|JPY|INR)[ ]?)?
    (?P<inner>[-+]?)
    (?P<number>
      (?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}|[0-9]{1,3}(?:[ ][0-9]{3})+|[0-9]+)(?:\.[0-9]*)?
      |\.[0-9]+)
    (?P<exponent>(?:e[-+]?[0-9]{1,2})?)
    (?:(?P<letter>(?-i:[kKMB]))(?![^\W\d_])
      |[ ]?(?P<scale>dozens?|hundreds?|thousands?|lakhs?|lacs?|crores?|cr
        |millions?|billions?|trillions?|mn|mio|bn|tn|trn)\b)?
    (?:[ ]?(?P<unit>[%$€£¥₹]|[°]?[^\W\d_][\w°/².·^-]{0,19}(?:[ ][^\W\d_][\w/²-]{0,19})?))?""",
    re.IGNORECASE | re.VERBOSE,
)
_YEAR = re.compile(r"19[0-9]{2}|20[0-9]{2}|2100")


def read_quantity(text: str) -> Quantity | None:
    """The number that the whole text is, None for any other text.

    >>> read_quantity("-$1.5 million").value, read_quantity("40-50"), read_quantity("45 or 60")
    (Fraction(-1500000, 1), None, None)
    """
    if len(text) > _LONGEST_QUANTITY:
        return None
    text = " ".join(unwrapped(text).translate(_ASCII).split()).rstrip(".") or text
    match = _QUANTITY.fullmatch(text)
    if match is None or (match["sign"] and match["inner"]):
        return None
    fields = {name: (found or "").casefold() for name, found in match.groupdict().items()}
    after = fields["unit"].rstrip(".")
    if any(word in _NO_UNITS for word in after.split()):
        return None
    scale = fields["letter"] or fields["scale"]
    number = fields["number"] + fields["exponent"]
    sign = -1 if "-" in (match["sign"], match["inner"]) else 1
    currency = _CURRENCIES.get(after) or _CURRENCIES.get(fields["currency"], "")
    bare = not (match["sign"] or match["inner"] or currency or scale or after in _PERCENT)
    return Quantity(
        value=sign * Fraction(number.replace(",", "").replace(" ", "")) * _SCALES.get(scale, 1),
        percent=after in _PERCENT,
        currency=currency,
        unit="" if after in _PERCENT or after in _CURRENCIES else _singular(after),
        year=bare and _YEAR.fullmatch(number) is not None,
    )


def _singular(unit: str) -> str:
    return unit.removesuffix("s") if len(unit) > 3 else unit
