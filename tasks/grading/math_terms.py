r"""Reads plain mathematics into terms: numbers, letters with case and subscript, + - * / ^ !, roots, named functions,
finite sums and products. Whatever else a text holds makes it unreadable here, and is left to the LaTeX parser.

A term is a tuple whose first item names it: ("number", "2.5"), ("symbol", "x_1"), ("+", term, term) …
"""

import re
from functools import lru_cache
from typing import Any, TypeAlias

Term: TypeAlias = tuple[Any, ...]

LONGEST_TEXT = 600  # characters
DEEPEST = 60
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)|(?P<command>\\(?:[a-zA-Z]+|[{}|]))|(?P<letter>[a-zA-Z])"
    r"|(?P<mark>[-+*/^_{}()\[\]|!',=%]))"
)
_FUNCTIONS = frozenset(
    {"sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot", "sinh", "cosh", "tanh", "coth"}
    | {"ln", "log", "lg", "exp", "gcd", "lcm", "max", "min"}
)
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "sinh": "arcsinh", "cosh": "arccosh", "tanh": "arctanh"}
_GREEK = frozenset(
    {"alpha", "beta", "gamma", "delta", "epsilon", "varepsilon", "zeta", "eta", "theta", "vartheta", "iota", "kappa"}
    | {"lambda", "mu", "nu", "xi", "rho", "sigma", "tau", "upsilon", "phi", "varphi", "chi", "psi", "omega", "ell"}
    | {"Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega", "hbar"}
)
_CONSTANTS = {"i": ("i",), "e": ("e",)}
_STOPS = frozenset({"+", "-", ")", "}", "]", "|", ",", "=", "\\}", "\\rfloor", "\\rceil", "\\rangle"})
_OPERATORS = {"*": "*", "\\cdot": "*", "\\times": "*", "/": "/", "\\div": "/", "\\bmod": "mod"}


class Unreadable(ValueError):
    """A text is no plain mathematics."""


@lru_cache(maxsize=2048)
def read_term(text: str) -> Term | None:
    """The term that a text is as a whole; None where it is not plain mathematics."""
    if len(text) > LONGEST_TEXT:
        return None
    try:
        reader = _Reader(_tokens(text))
        term = reader.sum(0)
        return term if reader.at_end() else None
    except (Unreadable, IndexError, RecursionError):
        return None


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    place, end = 0, len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if not match:
            raise Unreadable
        blank = match[0][:1].isspace() and match["number"] and tokens and tokens[-1][0].isdigit()
        if blank and tokens[-2:-1] != ["_"]:  # 5 5: no one knows
            raise Unreadable
        tokens.append(match[0].strip())
        place = match.end()
    return tokens


class _Reader:
    """Goes through the tokens once, from the left."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = [*tokens, ""]
        self._place = 0

    def at_end(self) -> bool:
        return self._place == len(self._tokens) - 1

    def _peek(self, ahead: int = 0) -> str:
        return self._tokens[min(self._place + ahead, len(self._tokens) - 1)]

    def _next(self) -> str:
        token = self._peek()
        if not token:
            raise Unreadable
        self._place += 1
        return token

    def _take(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self._place += 1
        return True

    def _expect(self, token: str) -> None:
        if not self._take(token):
            raise Unreadable

    def sum(self, depth: int) -> Term:
        if depth > DEEPEST:
            raise Unreadable
        term: Term | None = None
        while True:
            sign = self._signs()
            if term is not None and not sign:
                return term
            part = self._product(depth + 1)
            part = ("neg", part) if sign == "-" else part
            term = part if term is None else ("+", term, part)
            if self._peek() not in ("+", "-"):
                return term

    def _signs(self) -> str:
        sign = ""
        while self._peek() in ("+", "-"):
            sign = "-" if (self._next() == "-") != (sign == "-") else "+"
        return sign

    def _product(self, depth: int) -> Term:
        term = self._power(depth)
        while (token := self._peek()) and token not in _STOPS:
            if operator := _OPERATORS.get(token):
                self._place += 1
                sign = self._signs()
                part = self._power(depth)
                term = (operator, term, ("neg", part) if sign == "-" else part)
                continue
            if token[0].isdigit() and self._tokens[self._place - 1][0].isdigit():
                raise Unreadable  # x^2 3, 2 3
            part = self._power(depth)
            term = ("+", term, part) if _is_mixed(term, part) else ("*", term, part)
        return term

    def _power(self, depth: int) -> Term:
        if depth > DEEPEST:
            raise Unreadable
        return self._behind(self._atom(depth + 1), depth)

    def _behind(self, term: Term, depth: int) -> Term:
        while True:
            if self._take("!"):
                term = ("!", term)
            elif self._take("%"):
                term = ("/", term, ("number", "100"))
            elif self._take("^"):
                term = self._raised(term, depth)
            else:
                return term

    def _raised(self, term: Term, depth: int) -> Term:
        if self._peek() == "\\circ" or (self._peek() == "{" and self._peek(1) == "\\circ" and self._peek(2) == "}"):
            self._place += 1 if self._peek() == "\\circ" else 3
            return ("degrees", term)
        return ("^", term, self._argument(depth))

    def _argument(self, depth: int) -> Term:
        """What stands behind ^, _ or \\frac: {…} or one character; also (…) and a signed number, as plain text has."""
        if self._take("{"):
            return self._until("}", depth)
        if self._peek() == "-":
            self._place += 1
            return ("neg", self._argument(depth))
        token = self._peek()
        if token[:1].isdigit() and len(token) > 1 and "." not in token and self._tokens[self._place - 1] != "^":
            self._tokens[self._place] = token[1:]
            return ("number", token[0])
        return self._atom(depth + 1)

    def _until(self, closing: str, depth: int) -> Term:
        term = self.sum(depth + 1)
        self._expect(closing)
        return term

    def _atom(self, depth: int) -> Term:
        token = self._next()
        if token[0].isdigit() or token[0] == ".":
            return ("number", token)
        if token in ("(", "{", "["):
            return self._until({"(": ")", "{": "}", "[": "]"}[token], depth)
        if token in ("|", "\\|"):
            return ("abs", self._until(token, depth))
        if len(token) == 1 and token.isalpha():
            return self._symbol(token, depth)
        return self._command(token[1:], depth)

    def _command(self, name: str, depth: int) -> Term:
        if name in _GREEK:
            return self._symbol(name, depth)
        if name == "pi":
            return ("pi",)
        if name == "frac":
            return ("/", self._argument(depth), self._argument(depth))
        if name == "binom":
            return ("binom", self._argument(depth), self._argument(depth))
        if name == "sqrt":
            degree = self._until("]", depth) if self._take("[") else ("number", "2")
            return ("root", degree, self._argument(depth))
        if name in ("lfloor", "lceil"):
            return (name[1:], self._until("\\r" + name[1:], depth))
        if name in ("sum", "prod"):
            return self._series(name, depth)
        if name in _FUNCTIONS:
            return self._function(name, depth)
        raise Unreadable

    def _symbol(self, name: str, depth: int) -> Term:
        while self._take("'"):
            name += "'"
        index: Term | None = None
        if self._take("_"):
            index = self._index(depth)
        if index is None:
            if name in "fgh" and self._peek() == "(":
                self._place += 1
                return ("of", name, *self._arguments(depth))
            return _CONSTANTS.get(name, ("symbol", name))
        return ("symbol", f"{name}_{index[1]}") if index[0] == "name" else ("of", name, index)

    def _index(self, depth: int) -> Term:
        """A number or a word is a part of the name; letters to compute with are not."""
        if self._peek() != "{":
            token = self._next()
            return ("name", token) if token[0].isdigit() else ("symbol", token) if token.isalpha() else ("name", token)
        end = self._place
        while self._tokens[end] != "}":
            end += 1
            if not self._tokens[end]:
                raise Unreadable
        inside = self._tokens[self._place + 1 : end]
        if len(inside) != 1 and all(part.isalnum() or part == "," for part in inside):
            self._place = end + 1
            return ("name", "".join(inside))
        if len(inside) == 1 and inside[0][0].isdigit():
            self._place = end + 1
            return ("name", inside[0])
        return self._argument(depth)

    def _arguments(self, depth: int) -> list[Term]:
        terms = [self.sum(depth + 1)]
        while self._take(","):
            terms.append(self.sum(depth + 1))
        self._expect(")")
        return terms

    def _function(self, name: str, depth: int) -> Term:
        base: Term | None = None
        power: Term | None = None
        for _ in range(2):
            if self._take("_"):
                base = self._argument(depth)
            elif self._take("^"):
                power = self._argument(depth)
        if power == ("neg", ("number", "1")):
            name, power = _INVERSE.get(name, "unknown"), None
        term: Term = (name, *self._applied(depth), *(["base", base] if base else []))
        return ("^", term, power) if power else term

    def _applied(self, depth: int) -> list[Term]:
        if self._take("("):
            return self._arguments(depth)
        sign = self._signs()
        term = self._power(depth)
        while (token := self._peek()) and token not in _STOPS and token not in _OPERATORS:
            if token[1:] in _FUNCTIONS or token in ("\\sum", "\\prod"):
                break
            term = ("*", term, self._power(depth))
        return [("neg", term) if sign == "-" else term]

    def _series(self, name: str, depth: int) -> Term:
        self._expect("_")
        self._expect("{")
        index = self._next()
        self._expect("=")
        first = self._until("}", depth)
        self._expect("^")
        infinite = self._peek() == "\\infty" or (self._peek() == "{" and self._peek(1) == "\\infty")
        last: Term = ("infinity",)
        if infinite:
            self._place += 1 if self._peek() == "\\infty" else 3
        else:
            last = self._argument(depth)
        if not index.isalpha():
            raise Unreadable
        return (name, index, first, last, _counted(self._product(depth), index))


def _counted(term: Term, index: str) -> Term:
    """The term with the letter that a sum counts with as a letter, though elsewhere it be a constant."""
    if term == (index,):
        return ("symbol", index)
    return tuple(_counted(part, index) if isinstance(part, tuple) else part for part in term)


def _is_mixed(term: Term, part: Term) -> bool:
    """3\\frac{1}{2} is 7/2."""
    whole = term[0] == "number" and term[1].isdigit()
    return whole and part[0] == "/" and all(side[0] == "number" and side[1].isdigit() for side in part[1:])
