r"""One spelling for the many ways in which mathematics is written: Unicode signs, LaTeX wrappers, spacing, decoration.

It changes how an answer looks, never what it says: that \dfrac is \frac, not that 2/4 is 1/2.
"""

import re
from string import ascii_lowercase

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("−–—‐‑﹣－", "-"),
        **{
            "×": r" \times ",
            "÷": "/",
            "∕": "/",
            "⁄": "/",
            "·": r" \cdot ",
            "⋅": r" \cdot ",
            "±": r" \pm ",
            "∓": r" \mp ",
        },
        **{"π": r" \pi ", "θ": r" \theta ", "α": r" \alpha ", "β": r" \beta ", "∞": r" \infty ", "°": r"^\circ "},
        **{"≤": r" \le ", "≥": r" \ge ", "≠": r" \ne ", "≈": r" \approx ", "∈": r" \in ", "∪": r" \cup "},
        **{"∩": r" \cap ", "∅": r" \emptyset ", "√": r"\sqrt ", "％": "%", "，": ",", "（": "(", "）": ")", "：": ":"},
        **{char: f"^{value}" for value, char in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
        **{char: f"_{value}" for value, char in enumerate("₀₁₂₃₄₅₆₇₈₉")},
        **{"½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}"},
        **dict.fromkeys("$€£¥₹", " "),
        **dict.fromkeys("\u00a0\u2009\u202f\u2002\u2003", " "),
    }
)
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (r"\\(?:text(?:bf|it|rm|sf|normal)|mbox|math(?:rm|bf|it|sf)|bm|boldsymbol)(?![a-zA-Z])", r"\\text"),
        (r"(?<=[0-9])(?:\\[,!;]|\{,\}|,\\!\s*)(?=[0-9]{3}(?![0-9]))", ""),
        (r"\\!", ""),
        (r"\{:\}", ":"),
        (r"(?<!\\)\\[()\[\]]", " "),
        (r"\\[$]", " "),
        (r"\\(?:left|right|[bB]igg?[lrm]?|displaystyle|limits|quad|qquad)(?![a-zA-Z])|(?<!\\)\\[,;:> ]|~", " "),
        (r"\\%|\\text\s*\{\s*percent(?:age)?\s*\}|\bpercent\b", "%"),
        (r"\\(?:degree|degrees)(?![a-zA-Z])", r"^\\circ"),
        (r"\\text\s*\{\s*\}", ""),
        (r"(?<=[0-9a-zA-Z)}])\*\*(?=[-0-9a-zA-Z({])", "^"),
        (r"\*\*|`", ""),
        (r"(?<![\\a-zA-Z])sqrt(?![a-zA-Z])", r"\\sqrt"),
        (r"(?<![\\a-zA-Z])(pi|infinity)(?![a-zA-Z])", r" \\\1 "),
        (r"\\infinity", r"\\infty"),
        (r"\\sqrt\s*\(([^()]*)\)", r"\\sqrt{\1}"),
        (r"\\(?:leq|leqslant|le)(?![a-zA-Z])|<=", r" \\le "),
        (r"\\(?:geq|geqslant|ge)(?![a-zA-Z])|>=", r" \\ge "),
        (r"\\(?:varnothing|empty)(?![a-zA-Z])", r"\\emptyset"),
        (r"\s+", " "),
    )
)
_ENDS = " .,;:"
_ONE_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")


def spelled(text: str) -> str:
    """The text in one spelling, without what only decorates it."""
    text = text.translate(_SIGNS)
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _trimmed(text)
    while match := _ONE_TEXT.fullmatch(text):
        text = _trimmed(match[1])
    return text


def _trimmed(text: str) -> str:
    """Without blanks and the marks of a sentence around it; "\\ " and ".5" keep theirs."""
    return text.strip().rstrip(_ENDS).lstrip(" ,;:")


def squeezed(text: str) -> str:
    """Without \\text and blanks, but for those between digits: how two spelled texts are compared as they stand."""
    return re.sub(r"(?<![0-9]) +| +(?![0-9])", "", without_text(text))


def without_text(text: str) -> str:
    """With the words of every \\text{…} as they are."""
    return _ONE_TEXT.sub(r" \1 ", text).strip()


_FUNCTIONS = frozenset(
    {
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "sinh",
        "cosh",
        "tanh",
        "arcsin",
        "arccos",
        "arctan",
        "log",
        "exp",
        "sqrt",
    }
    | {"max", "min", "gcd", "lcm", "det", "mod", "inf", "sup", "lim", "abs", "ceil", "floor"}
)
_SHORT_WORDS = frozenset({"no", "on", "up", "if", "is", "it", "in", "at", "to"})
_COMMANDS = re.compile(r"\\(?:begin|end)\s*\{[a-z*]*\}(?:\{[lcr|]*\})?|\\(?!text)[a-zA-Z]+")
_WORD = re.compile(r"[^\W\d_]{2,}")


def is_words(text: str) -> bool:
    """Whether a text holds a word of a language, so that its letters are no variables ("listen" is not "silent")."""
    words = _WORD.findall(_COMMANDS.sub(" ", text.replace(r"\text", " ")).lower())
    return any(word in _SHORT_WORDS or (len(word) > 2 and not _is_product(word)) for word in words)


def _is_product(word: str) -> bool:
    return word in _FUNCTIONS or word in ascii_lowercase  # abc, xyz
