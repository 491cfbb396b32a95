"""Expressions written as text, read by a grammar of their own: text is never evaluated by Python or by SymPy.

    sum     = product { ("+" | "-") product }
    product = signed { ("*" | "/" | "@") signed }
    signed  = ("+" | "-") signed | power
    power   = atom [ "**" signed ]
    atom    = number | name [ ".next" ] | function "(" sum { "," sum } ")" | "(" sum ")"

Signs bind as in Python: -z**2 is -(z**2), 2**3**2 is 2**9, and products are read from the left. A table says what
each name and each function stands for, so nothing that is not in a table can be reached. Decimals are exact: 0.3 is
3/10. Lengths, depths, exponents and numbers are limited, so that every text ends at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import sympy as sp

from wideproof.derive.language.errors import DeriveError, LanguageError, meant

LONGEST, DEEPEST, DIGITS, EXPONENT = 1000, 40, 40, 64
"""Characters of a text, brackets and signs inside each other, digits of a number, size of a whole exponent."""
LARGEST = sp.Integer(10) ** 100
"""Size of a number that is computed on the way."""
TOKEN = re.compile(r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z][A-Za-z0-9_]*)|(?P<sign>\*\*|[-+*/@(),.]))")
SHOWN = 60
Table = Mapping[str, Any]


class Token(NamedTuple):
    """A number, a name or a sign, and the column it starts at."""

    kind: str
    text: str
    column: int


def parse(text: str, names: Table, functions: Mapping[str, Callable[..., Any]], where: str = "expression") -> Any:
    """The object that a text stands for, built from the objects of two tables by + - * / @ ** and calls.

    Shapes: that of the objects.  Units: theirs.
    Errors: LanguageError, naming the column, for what the grammar or the tables do not know, and beyond the limits;
    errors of the objects, such as ShapeError for W @ x, pass.
    """
    if not isinstance(text, str):
        raise LanguageError(where, "text", f"{type(text).__name__} {shortened(text)}", "For example 'z * tanh(z)'.")
    if len(text) > LONGEST:
        raise LanguageError(
            where, f"at most {LONGEST} characters", f"{len(text)} of them", "Give parts of it names of their own."
        )
    return _Reader(text, names, functions, where).whole()


def shortened(found: object) -> str:
    """What came, in a few characters."""
    try:
        text = found if isinstance(found, str) else repr(found)
    except Exception:
        return f"an object of type {type(found).__name__}"
    if not text.isprintable():  # escapes are shown, not obeyed
        text = repr(text[: SHOWN + 1])[1:-1]
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _tokens(text: str, where: str) -> list[Token]:
    found, at, end = [], 0, len(text.rstrip())
    while at < end:
        match = TOKEN.match(text, at)
        if match is None or not match.group().isascii():
            column = at + len(text[at:]) - len(text[at:].lstrip())
            raise LanguageError(
                where,
                "numbers, names, + - * / @ ** , . and brackets",
                f"{text[column]!r} at column {column + 1} of {shortened(text)!r}",
                "Text is read by wideproof's own grammar and never evaluated.",
            )
        kind = str(match.lastgroup)
        found.append(Token(kind, match.group(kind), match.start(kind)))
        at = match.end()
    return [*found, Token("end", "the end", end)]


class _Reader:
    """One pass from left to right; each method reads one rule of the grammar."""

    def __init__(self, text: str, names: Table, functions: Mapping[str, Callable[..., Any]], where: str) -> None:
        self.text, self.names, self.functions, self.where = text, names, functions, where
        self.tokens, self.at, self.depth = _tokens(text, where), 0, 0

    def whole(self) -> Any:
        value = self.sum()
        if self.token.kind != "end":
            self.refuse("an operator or the end")
        return value

    # ---- tokens ---------------------------------------------------------------------------------------
    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def taken(self, *signs: str) -> str:
        """The sign that stands here, passed over, if it is one of these; else nothing."""
        token = self.token
        if token.kind != "sign" or token.text not in signs:
            return ""
        self.at += 1
        return token.text

    def refuse(self, expected: str, hint: str = "For example z * tanh(z).", got: str = "") -> NoReturn:
        token = self.token
        came = got or (token.text if token.kind == "end" else shortened(repr(token.text)))
        raise LanguageError(
            self.where, expected, f"{came} at column {token.column + 1} of {shortened(self.text)!r}", hint
        )

    def deeper(self, rule: Callable[[], Any]) -> Any:
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(
                f"at most {DEEPEST} brackets and signs inside each other", "Give parts of it names of their own."
            )
        value = rule()
        self.depth -= 1
        return value

    # ---- rules ----------------------------------------------------------------------------------------
    def sum(self) -> Any:
        value = self.product()
        while sign := self.taken("+", "-"):
            other = self.product()
            value = (
                self.made(lambda a, b: a + b, value, other)
                if sign == "+"
                else self.made(lambda a, b: a - b, value, other)
            )
        return value

    def product(self) -> Any:
        value = self.signed()
        while sign := self.taken("*", "/", "@"):
            value = self.made({"*": _times, "/": _over, "@": _applied}[sign], value, self.signed())
        return value

    def signed(self) -> Any:
        if sign := self.taken("+", "-"):
            value = self.deeper(self.signed)
            return value if sign == "+" else self.made(lambda a: -a, value)
        return self.power()

    def power(self) -> Any:
        base = self.atom()
        if not self.taken("**"):
            return base
        return self.raised(base, self.deeper(self.signed))

    def atom(self) -> Any:
        token = self.token
        if self.taken("("):
            value = self.deeper(self.sum)
            self.close()
            return value
        if token.kind not in ("number", "name"):
            self.refuse("a number, a name or a bracket")
        if token.kind == "number":
            return self.number(token)
        following = self.tokens[self.at + 1]
        return self.called(token) if following == ("sign", "(", following.column) else self.named(token)

    def number(self, token: Token) -> sp.Rational:
        if len(token.text) > DIGITS:
            self.refuse(f"numbers of at most {DIGITS} digits", "Write a power of ten as 10**9.")
        whole, _, decimals = token.text.partition(".")
        self.at += 1
        return sp.Rational(int(whole + decimals), 10 ** len(decimals))

    def named(self, token: Token) -> Any:
        if token.text not in self.names:
            hint = f"{meant(token.text, self.names)}{self.known()}"
            if token.text in self.functions:
                hint = f"It is a function: write {token.text}(…)."
            elif self.tokens[self.at + 1].text == ".":
                hint = f"Functions have no module before them, as in tanh(…). {hint}"
            self.refuse(f"one of the names {', '.join(self.names)}" if self.names else "a number", hint)
        self.at += 1
        value = self.names[token.text]
        if not self.taken("."):
            return value
        if self.token.text != "next":
            hint = "h.next is the updated value of a state h; there is no other attribute."
            if self.token.text == "T":
                hint = "A matrix and its transpose are for programs in Python: wideproof.Alternating."
            self.refuse("next after the dot", hint)
        self.at += 1
        if not hasattr(value, "next"):
            self.at -= 1
            self.refuse("a state before .next", f"{token.text} is no state.")
        return value.next

    def called(self, token: Token) -> Any:
        if token.text not in self.functions:
            hint = f"{meant(token.text, self.functions)}{self.known()}"
            self.refuse(f"one of the functions {', '.join(self.functions)}", hint)
        self.at += 2
        arguments = [self.deeper(self.sum)]
        while self.taken(","):
            arguments.append(self.deeper(self.sum))
        self.close()
        return self.made(self.functions[token.text], *arguments)

    def close(self) -> None:
        if not self.taken(")"):
            self.refuse("a closing bracket")

    def known(self) -> str:
        if not self.names and not self.functions:
            return "For example 0.2 or 1/5; names have no value here."
        return f"Names: {', '.join(self.names)}; functions: {', '.join(self.functions)}."

    # ---- values ---------------------------------------------------------------------------------------
    def raised(self, base: Any, exponent: Any) -> Any:
        if _is_number(exponent) and not bool(abs(exponent) <= EXPONENT):
            self.refuse(
                f"an exponent of at most {EXPONENT}", "Wide exponents have no use here.", shortened(str(exponent))
            )
        value = self.made(lambda a, b: a**b, base, exponent)
        if isinstance(value, sp.Pow) and value.exp.is_Rational and abs(value.exp) > EXPONENT:  # (z**64)**64
            self.refuse(f"an exponent of at most {EXPONENT}", "Wide exponents have no use here.", str(value.exp))
        return value

    def made(self, operation: Callable[..., Any], *arguments: Any) -> Any:
        """The value of an operation, where it is one: numbers are finite and not too large."""
        try:
            value = operation(*arguments)
        except DeriveError:
            raise
        except (TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            self.refuse("an expression with a value", f"It has none: {shortened(str(error))}.")
        if value is NotImplemented or (isinstance(value, sp.Basic) and not isinstance(value, sp.Expr)):
            self.refuse("an expression with a value", "These do not combine.")
        if _is_number(value) and not is_moderate(value):
            self.refuse(
                "finite real numbers of moderate size",
                "No part may divide by zero or exceed 1e100.",
                shortened(str(value)),
            )
        return value


def _times(a: Any, b: Any) -> Any:
    return a * b


def _over(a: Any, b: Any) -> Any:
    return a / b


def _applied(a: Any, b: Any) -> Any:
    if isinstance(a, sp.Basic) and isinstance(b, sp.Basic):
        raise TypeError("no matrix stands before @, write * there")
    return a @ b


def _is_number(value: Any) -> bool:
    return isinstance(value, sp.Expr) and bool(value.is_number)


def is_moderate(value: sp.Expr) -> bool:
    """Whether a number is real, finite and below `LARGEST`; parts of it are, so this takes no time."""
    size = sp.N(value, 15)
    return bool(size.is_Float or size.is_Rational) and bool(abs(size) <= LARGEST)
