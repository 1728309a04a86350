r"""One spelling for the many ways in which mathematics is written: Unicode signs, LaTeX wrappers, spacing, decoration.

It changes how an answer looks, never what it says: that \dfrac is \frac, not that 2/4 is 1/2.
"""

import re
import unicodedata

from uniopd_mm.tasks.grading.math_vocabulary import FUNCTIONS, SHORT_WORDS

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("−–—‐‑﹣－", "-"),
        **{"×": r" \times ", "÷": "/", "∕": "/", "⁄": "/", "·": r" \cdot ", "⋅": r" \cdot ", "∙": r" \cdot "},
        **{"±": r" \pm ", "∓": r" \mp ", "π": r" \pi ", "θ": r" \theta ", "∞": r" \infty ", "°": r"^\circ "},
        **{"℃": r"^\circ C", "℉": r"^\circ F"},
        **{"≤": r" \le ", "≥": r" \ge ", "⩽": r" \le ", "⩾": r" \ge ", "≠": r" \ne ", "≈": r" \approx "},
        **{"∈": r" \in ", "∪": r" \cup ", "∩": r" \cap ", "∅": r" \emptyset ", "∖": r" \setminus ", "∣": r" \mid "},
        **{"ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℚ": r"\mathbb{Q}", "ℕ": r"\mathbb{N}", "ℂ": r"\mathbb{C}"},
        **{"√": r"\sqrt ", "∛": r"\sqrt[3]", "∜": r"\sqrt[4]", "→": r" \to ", "⇒": r" \Rightarrow ", "∨": r" \lor "},
        **{"∧": r" \land ", "∫": r"\int ", "∑": r"\sum ", "∏": r"\prod ", "…": r" \ldots ", "⋯": r" \ldots "},
        **{"、": ",", "。": ".", "，": ",", "；": ";", "：": ":", "！": "!", "′": "'", "’": "'", "⟨": r"\langle "},
        **{"⟩": r"\rangle ", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "‰": r"\permil "},
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
    }
)
_GREEK = {
    char: f" \\{unicodedata.name(char).removeprefix('GREEK SMALL LETTER ').replace('LAMDA', 'LAMBDA').lower()} "
    for char in "αβγδεζηικλμνξρστυφχψω"
} | {char: f" \\{unicodedata.name(char).removeprefix('GREEK CAPITAL LETTER ').title()} " for char in "ΓΔΘΞΠΣΦΨΩ"}
_ROOT = re.compile(r"√\s*(\([^()√]*\)|[0-9]+(?:\.[0-9]+)?|[^\W\d_])")
_SCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ]+|[₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓₙₘ]+")
_VULGAR = re.compile("[¼½¾⅐-⅞↉]")
_STYLES = "bf|it|rm|sf|normal"
_ROMAN = "ln|log|exp|sin|cos|tan|min|max|gcd|lcm"
_PLAIN_FUNCTIONS = "sqrt|exp|arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|lg"
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
        (r"\\(?:rm|it|bf|sf)(?![a-zA-Z])", " "),
        (rf"\\(?:text(?:{_STYLES})|mbox|operatorname\*?|math(?:{_STYLES})|bm|boldsymbol)(?![a-zA-Z])", r"\\text"),
        (r"\\(?:textcolor|color|colorbox)\s*\{[a-zA-Z!0-9]*\}", " "),
        (r"\\(?:large|Large|LARGE|huge|Huge|small|normalsize|tiny|nonumber|notag|strut)(?![a-zA-Z])", " "),
        (r"\\(?:underline|underbrace|cancel|mathstrut|uline|hbox|emph|phantom)(?=\s*\{)", " "),
        (r"(?<=[0-9])(?:\\[,!;]|\{,\}|,\\!\s*|['](?=[0-9]{3}(?:['][0-9]{3})*(?![0-9'])))(?=[0-9]{3}(?![0-9]))", ""),
        (r"\\!", ""),
        (r"(?<![A-Za-z])(?:Rs\.?|INR)\s*(?=[0-9])", "₹"),
        (r"(?<![A-Za-z])EUR\s*(?=[0-9])", "€"),
        (r"(?<![A-Za-z])GBP\s*(?=[0-9])", "£"),
        (r"(?<![A-Za-z])USD?\s*(?=[0-9])", r"\\usd "),
        (r"\{:\}", ":"),
        (r"(?<!\\)\\[()\[\]]", " "),
        (r"\\(?:left|right|middle|[bB]igg?[lrm]?|displaystyle|textstyle|limits|q?quad)(?![a-zA-Z])\.?", " "),
        (r"\\hspace\{[^{}]*\}", " "),
        (r"(?<!\\)\\[,;:> ]|~", " "),
        (r"\\%|\\text\s*\{\s*(?:percent(?:age)?|per\s?cent|pct)\.?\s*\}|\b(?:percent|per\scent|pct)\b\.?", "%"),
        (r"\\(?:degree|degrees)(?![a-zA-Z])", r"^\\circ"),
        (r"\\text\s*\{\s*\}", ""),
        (r"\\text\s*\{\s*([ei])\s*\}(?=\s*(?:[\^\\({}),+\-*/=]|$|[a-zA-Z0-9]))", r" \1 "),
        (rf"\\text\s*\{{\s*({_ROMAN})\s*\}}(?=\s*(?:[\^\\({{_]|[a-zA-Z0-9]))", r" \\\1 "),
        (r"(?<=[0-9a-zA-Z)}])\*\*(?=[-0-9a-zA-Z({])", "^"),
        (r"\*\*|`", ""),
        (rf"(?<![\\a-zA-Z])({_PLAIN_FUNCTIONS})(?=\s*[(_0-9^{{]|\s+(?:\\|[a-zA-Z](?![a-zA-Z])))", r"\\\1"),
        (r"(?<![a-zA-Z])\\?log(10|2)(?=\s*\()", r"\\log_{\1}"),
        (r"(?<![\\a-zA-Z])(?:abs)\s*\(([^()]*)\)", r"|\1|"),
        (r"(?<![\\a-zA-Z])(?:floor)\s*\(([^()]*)\)", r"\\lfloor \1\\rfloor "),
        (r"(?<![\\a-zA-Z])(?:ceil)\s*\(([^()]*)\)", r"\\lceil \1\\rceil "),
        (r"(?<![\\a-zA-Z])(pi|theta|alpha|beta|gamma|infinity|infty)(?![a-zA-Z])", r" \\\1 "),
        (r"\\infinity", r"\\infty"),
        (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\\(?:lvert|rvert|vert)(?![a-zA-Z])", "|"),
        (r"\\(?:leq|leqslant|le)(?![a-zA-Z])|<=|=<", r" \\le "),
        (r"\\(?:geq|geqslant|ge)(?![a-zA-Z])|>=", r" \\ge "),
        (r"\\lt(?![a-zA-Z])|\\text\s*\{\s*<\s*\}", "<"),
        (r"\\gt(?![a-zA-Z])", ">"),
        (r"\\(?:neq|not\s*=)(?![a-zA-Z])|!=", r" \\ne "),
        (r"\\(?:approxeq|simeq|sim|thickapprox)(?![a-zA-Z])|(?<![<>~])~=", r" \\approx "),
        (r"\\(?:varnothing|empty)(?![a-zA-Z])|\\\{\s*\\\}", r"\\emptyset "),
        (r"\\(?:dots|dotsc|cdots|dotsb)(?![a-zA-Z])|\.\s?\.\s?\.+", r" \\ldots "),
        (r"\\(?:smallsetminus|backslash)(?![a-zA-Z])", r" \\setminus "),
        (r"\\R(?![a-zA-Z])|\\(?:Reals|reals)(?![a-zA-Z])|\\mathbf\s*\{R\}|\\mathbb\s*R(?![a-zA-Z])", r"\\mathbb{R}"),
        (r"\\(?:bmod|mod)(?![a-zA-Z])|(?<![a-zA-Z\\])mod(?=\s*[0-9])", r" \\bmod "),
        (r"\s+", " "),
    )
)  # fmt: skip
_ENDS = " .,;:"
_ONE_TEXT = re.compile(r"\\text\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_ALIGNED = re.compile(r"\\(?:begin|end)\s*\{(?:align(?:ed|at)?|equation|gather(?:ed)?|split|math|displaymath)\*?\}")
_CURRENCY_SIGN = re.compile(r"\\?\$(?=\s*-?[.0-9])")
_DOLLARS = re.compile(r"\\?\$")


def spelled(text: str) -> str:
    """The text in one spelling, without what only decorates it. Signs of currencies stay: "\\$5" is "\\usd 5"."""
    text = _without_mathematics_marks(text.strip())
    text = _SCRIPTS.sub(_script, text)
    text = _VULGAR.sub(_vulgar, text)
    text = _ROOT.sub(r"\\sqrt{\1}", text)
    text = "".join(_GREEK.get(char, char) for char in text).translate(_SIGNS)
    text = _plain_characters(text)
    if r"\begin" in text:
        text = _unaligned(text)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _trimmed(text)
    while match := _ONE_TEXT.fullmatch(text):
        text = _trimmed(match[1])
    return text


def _without_mathematics_marks(text: str) -> str:
    """Without the $ around mathematics; a single $ before a number is money."""
    text = text.replace(r"\$", "\x01").replace("$$", " ")
    if text.count("$") % 2 == 0:
        text = text.replace("$", " ")
    return text.replace("$", "\x01").replace("\x01", r"\usd ").replace("US\\usd", "\\usd")


def _script(match: re.Match[str]) -> str:
    """Raised and lowered characters: 10²³ is 10^{23}."""
    inside = unicodedata.normalize("NFKC", match[0]).replace("−", "-")
    return f"{'_' if unicodedata.decomposition(match[0][0]).startswith('<sub>') else '^'}{{{inside}}}"


def _vulgar(match: re.Match[str]) -> str:
    top, _, bottom = unicodedata.normalize("NFKC", match[0]).partition("\u2044")
    return rf"\frac{{{top}}}{{{bottom}}}"


def _plain_characters(text: str) -> str:
    """Digits of any script, full-width forms and blanks of any width as their plain characters."""
    return text if text.isascii() else "".join(_plain(char) for char in text)


def _plain(char: str) -> str:
    if char.isascii():
        return char
    if (value := unicodedata.decimal(char, None)) is not None:
        return str(value)
    if unicodedata.category(char) == "Zs":
        return " "
    folded = unicodedata.normalize("NFKC", char)
    return folded if len(folded) == 1 and folded.isascii() else char


def _unaligned(text: str) -> str:
    """The lines of an `aligned` as equations behind each other."""
    plain = _ALIGNED.sub(" ", text)
    if plain == text or r"\begin" in plain:
        return text
    plain = re.sub(r"\\\\(?:\[[^\]]*\])?\s*&?\s*=", " = ", plain)
    return re.sub(r"\\\\", ", ", plain).replace("&", " ")


def _trimmed(text: str) -> str:
    """Without blanks and the marks of a sentence around it; "\\ " and ".5" keep theirs."""
    return re.sub(r"\\+$", "", text.strip()).rstrip(_ENDS).lstrip(" ,;:")


def squeezed(text: str) -> str:
    """Without \\text and blanks, but for those between digits: how two spelled texts are compared as they stand."""
    return re.sub(r"(?<![0-9]) +| +(?![0-9])", "", re.sub(r"([_^])\{([0-9A-Za-z])\}", r"\1\2", without_text(text)))


def without_text(text: str) -> str:
    """With the words of every \\text{…} as they are."""
    return _ONE_TEXT.sub(r" \1 ", text).strip()


_COMMANDS = re.compile(r"\\(?:begin|end)\s*\{[a-z*]*\}(?:\{[lcr|]*\})?|\\(?!text)[a-zA-Z]+")
_WORD = re.compile(r"[^\W\d_]{2,}")


def is_words(text: str) -> bool:
    """Whether a text holds a word of a language, so that its letters are no variables ("listen" is not "silent")."""
    return any(word in SHORT_WORDS or (len(word) > 2 and not _is_product(word)) for word in words_of(text))


def words_of(text: str) -> list[str]:
    """What may be words, in lower case: two letters or more that are no command."""
    return _WORD.findall(_COMMANDS.sub(" ", text.replace(r"\text", " ")).lower())


def _is_product(word: str) -> bool:
    return word in FUNCTIONS or word in "abcdefghijklmnopqrstuvwxyz"  # abc, xyz
