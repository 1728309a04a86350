"""The words that stand beside numbers, by what they do to them."""

FUNCTIONS = frozenset(
    {"sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "log", "exp"}
    | {"sqrt", "max", "min", "gcd", "lcm", "det", "mod", "inf", "sup", "lim", "abs", "ceil", "floor", "arg", "deg"}
)
SHORT_WORDS = frozenset({"no", "on", "up", "if", "is", "it", "in", "at", "to", "or", "of", "am", "pm"})
TENS = {"twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
NUMBERS = {
    **{"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9},
    **{"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16},
    **{"seventeen": 17, "eighteen": 18, "nineteen": 19},
    **TENS,
}
MULTIPLIERS = {
    **{"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12},
    **{"quadrillion": 10**15, "quintillion": 10**18, "lakh": 10**5, "lac": 10**5, "crore": 10**7, "score": 20},
    **{"gross": 144, "mn": 10**6, "bn": 10**9, "mio": 10**6, "mrd": 10**9, "milliard": 10**9, "myriad": 10**4},
    **{"千": 1000, "百": 100, "万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8, "十": 10},
}
# Of two such words behind equal numbers, different ones make different answers, and one alone an unclear one.
POLES = (
    frozenset({"left", "right"}),
    frozenset({"up", "down", "upward", "downward", "upwards", "downwards", "above", "below", "over", "under"}),
    frozenset({"north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest"}),
    frozenset({"northward", "southward", "eastward", "westward", "n", "s", "e", "w", "ne", "nw", "se", "sw"}),
    frozenset({"bc", "ad", "bce", "ce"}),
    frozenset({"am", "pm", "noon", "midnight", "morning", "afternoon", "evening", "night"}),
    frozenset({"loss", "gain", "profit", "deficit", "surplus", "debt", "income", "expense", "credit", "debit"}),
    frozenset({"increase", "decrease", "rise", "fall", "drop", "growth", "decline", "reduction", "discount", "tax"}),
    frozenset({"higher", "lower", "faster", "slower", "older", "younger", "longer", "shorter", "taller", "cheaper"}),
    frozenset({"more", "less", "fewer", "greater", "larger", "smaller", "bigger", "heavier", "lighter", "later"}),
    frozenset({"earlier", "ago", "before", "after", "sooner", "early", "late", "past", "future", "hence"}),
    frozenset({"clockwise", "counterclockwise", "anticlockwise", "forward", "backward", "forwards", "backwards"}),
    frozenset({"positive", "negative", "inside", "outside", "in", "out", "won", "lost", "wins", "losses", "win"}),
    frozenset({"heads", "tails", "odd", "even", "minimum", "maximum", "min", "max", "most", "least", "first", "last"}),
    frozenset({"boys", "girls", "men", "women", "males", "females", "real", "imaginary", "true", "false"}),
    frozenset({"inclusive", "exclusive", "open", "closed", "converges", "diverges", "rational", "irrational"}),
    frozenset({"red", "blue", "green", "yellow", "black", "white"}),
    frozenset({"sold", "bought", "added", "removed", "gained", "remaining", "used", "saved", "spent", "owed", "paid"}),
)
# One of these alone is what is counted: "12 boys" answers "how many boys".
NOUN_POLES = frozenset(
    {"boys", "girls", "men", "women", "males", "females", "heads", "tails", "red", "blue", "green", "yellow", "black"}
    | {"white", "wins", "losses", "first", "last"}
)
POLAR = frozenset[str]().union(*POLES)
# Words behind a number that turn it into another number, or into a sentence about it.
UNCLEAR = frozenset(
    {"squared", "cubed", "factorial", "plus", "minus", "times", "divided", "multiplied", "power", "root", "half"}
    | {"halves", "third", "thirds", "quarter", "quarters", "fourth", "fourths", "fifth", "fifths", "sixth", "sixths"}
    | {"seventh", "sevenths", "eighth", "eighths", "ninth", "ninths", "tenth", "tenths", "hundredth", "hundredths"}
    | {"thousandth", "thousandths", "millionth", "millionths", "double", "triple", "twice", "thrice", "pair", "pairs"}
    | {"couple", "couples", "fold", "tens", "ones", "of", "to", "from", "by", "than", "between", "through", "until"}
    | {"or", "and", "but", "if", "unless", "except", "without", "not", "no", "none", "never", "nor", "neither", "any"}
    | {"is", "are", "was", "isn't", "wrong", "incorrect", "extraneous", "impossible", "invalid", "maybe", "perhaps"}
    | {"possibly", "probably", "guess", "actually", "instead", "should", "would", "could", "might", "rejected", "error"}
    | {"mod", "modulo", "remainder", "base", "st", "nd", "rd", "th", "k", "m", "b", "mil", "tausend", "percentage"}
    | {"points", "basis", "per", "each", "every", "when", "where", "for", "because", "since", "then", "so", "choose"}
    | {"permille", "ppm", "ppb", "which", "wait", "reciprocal", "inverse", "negated", "doubled", "tripled", "halved"}
    | {"halfs", "mille", "millionen", "millones", "millions", "deux", "zwei", "mal", "por", "ciento", "prozent"}
    | {"choices", "modulus", "order", "digits", "exponent", "logarithm", "log", "ln", "sin", "cos", "tan", "sqrt"}
    | {"either", "both", "all", "only", "at", "nearly", "almost", "beyond", "unknown", "undefined", "infinity"}
    | set(NUMBERS)
) - {"all", "both", "any", "at", "only", "for", "each"}  # fmt: skip
# At the end of the words they are nouns: 5 times, 7 points.
UNCLEAR_UNLESS_LAST = frozenset({"times", "points", "digits", "choices", "order", "tens", "ones"})
ROUGHLY = frozenset({"approximately", "approx", "about", "roughly", "around", "rounded", "estimated", "circa"})
CURRENCIES = {
    **{"dollar": "usd", "usd": "usd", "buck": "usd", "euro": "eur", "eur": "eur", "gbp": "gbp", "yen": "jpy"},
    **{"jpy": "jpy", "rupee": "inr", "rs": "inr", "inr": "inr", "yuan": "cny", "rmb": "cny", "cny": "cny"},
    **{"won": "krw", "krw": "krw", "ruble": "rub", "rouble": "rub", "rub": "rub", "peso": "peso", "franc": "chf"},
    **{"chf": "chf", "cad": "cad", "aud": "aud", "元": "cny", "円": "jpy", "quid": "gbp", "sterling": "gbp"},
}
CURRENCY_SIGNS = {"€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr", "₩": "krw", "₽": "rub", "₺": "try", "₪": "ils"}
# Small coins in hundredths of a currency.
COINS = {"cent": "usd", "¢": "usd", "pence": "gbp", "penny": "usd", "pennie": "usd", "paise": "inr", "paisa": "inr"}
