"""What a user gives as a number, a symbol or a flag, checked where it enters: exact, real, finite, well named."""

from __future__ import annotations

import keyword
import operator
from collections.abc import Callable, Iterable
from fractions import Fraction
from numbers import Integral
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef

from wideproof.derive.language.errors import LanguageError, ParameterError, meant
from wideproof.derive.language.grammar import is_moderate, shortened
from wideproof.derive.language.notation import TAKEN, parameter
from wideproof.derive.language.program import COMPARISON, NAME, Coordinate

EXACT = "Exact numbers only: Fraction(3, 10), not 0.3."


def scalar(where: str, value: object, symbol: Callable[[str], sp.Symbol] = parameter) -> sp.Expr:
    """A name as one symbol, an int, a Fraction, or a SymPy expression in symbols alone, as an exact real expression.

    Errors: LanguageError for what is none of these, for floats, for what is not real and finite, and for taken names.
    """
    if isinstance(value, str):
        if not NAME.match(value):
            raise LanguageError(
                where,
                "the name of one symbol",
                repr(shortened(value)),
                "Text is never evaluated; pass a number or a SymPy expression for anything more.",
            )
        check_names(where, (value,))
        return symbol(value)
    expr = exact(where, value, "a name, an int, a Fraction or a SymPy expression")
    if expr.has(Coordinate):
        raise LanguageError(where, "an exact scalar", shortened(str(expr)), "Vectors have no place in it.")
    return expr


def as_whole(value: object) -> int | None:
    """A whole number of any library as an int, NumPy's and SymPy's too; None for all else, True and 8.0 too."""
    try:
        return None if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def variance(where: str, value: object) -> sp.Expr:
    """A scalar that is not known to be negative.  Errors: LanguageError."""
    expr = scalar(where, value)
    if expr.is_negative or expr.is_real is False:
        raise LanguageError(
            where, "a variance, zero or positive", shortened(str(expr)), "Give the square of the scale."
        )
    return expr


def exact(where: str, value: object, expected: str) -> sp.Expr:
    """An int, a Fraction or an expression, without floats, complex and infinite numbers.  Errors: LanguageError."""
    if isinstance(value, bool) or not isinstance(value, Integral | Fraction | sp.Expr):
        raise LanguageError(where, expected, f"{type(value).__name__} {shortened(value)}", _instead_of(value))
    expr = sp.Integer(int(value)) if isinstance(value, Integral) else sp.sympify(value, strict=True)
    if expr.has(sp.Float):
        raise LanguageError(where, "exact numbers", shortened(str(expr)), "Use Rational(3, 10) instead of 0.3.")
    if expr.is_commutative is not True or expr.has(AppliedUndef, sp.Integral, sp.Sum, sp.Derivative):
        raise LanguageError(where, "numbers, symbols and functions of them", shortened(str(expr)), "Write it out.")
    for part in sp.postorder_traversal(expr):  # parts first: each number takes no time after its own
        if isinstance(part, sp.Expr) and part.is_number and not is_moderate(part):
            raise LanguageError(
                where, "real and finite numbers, below 1e100", shortened(part), "Scalars of a recursion are real."
            )
    check_names(where, (x.name for x in expr.free_symbols if not isinstance(x, Coordinate)))
    return expr


def _instead_of(value: object) -> str:
    if isinstance(value, str):
        return "Text is never evaluated: write the expression without quotes, as in wideproof.tanh(W @ h)."
    if isinstance(value, sp.Rel):
        return COMPARISON
    if hasattr(value, "__len__"):
        return "Vectors are declared, as states, biases or the input x, and matrices too: none is given by its entries."
    return EXACT


def check_names(where: str, names: Iterable[str]) -> None:
    """Do nothing for names that symbols of a model may have.  Errors: LanguageError that lists the taken ones."""
    for name in sorted(names):
        if not NAME.match(name) or keyword.iskeyword(name):
            raise LanguageError(
                where,
                "symbols named by letters, digits and _, letter first, and by no word of Python",
                repr(shortened(name)),
                "A symbol becomes a keyword argument, such as nu_W=0.3.",
            )
        if name in TAKEN:
            raise LanguageError(
                where,
                "a symbol whose name has no other meaning",
                repr(name),
                f"These stand for indices, arguments and options: {', '.join(sorted(TAKEN))}. For example nu_{name}.",
            )


def check_keywords(
    where: str, given: Iterable[str], wanted: Iterable[str], others: Iterable[str] = (), options: Iterable[str] = ()
) -> None:
    """Do nothing where every wanted name is given, and no name but these and the others, which may be left out.

    An unknown name may have been meant as one of the `options` that the caller takes beside them.

    Errors: ParameterError that says which are missing and which unknown.
    """
    names, needed = list(given), list(wanted)
    known = dict.fromkeys([*needed, *others])
    missing = [name for name in needed if name not in names]
    unknown = [shortened(name) for name in names if name not in known]
    if not missing and not unknown:
        return
    told = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
    near = meant(unknown[0], [*(missing or known), *options]) if unknown else ""
    name = [*missing, *known, "nu_W"][0]
    hint = f"{near}Each is a keyword, such as {name}=0.3; on the command line --{name.replace('_', '-')} 0.3."
    raise ParameterError(where, f"numbers for {', '.join(needed or known) or 'no name'}", "; ".join(told), hint)


def flag(where: str, value: Any) -> bool:
    """True or False, of Python or of NumPy.  Errors: LanguageError for anything else, text and numbers included."""
    is_array = getattr(getattr(value, "dtype", None), "kind", "") == "b" and getattr(value, "shape", None) == ()
    if not isinstance(value, bool) and not is_array:
        raise LanguageError(where, "True or False", f"{type(value).__name__} {shortened(value)}", "Without quotes.")
    return bool(value)


def check_one_symbol_each(where: str, symbols: Iterable[sp.Symbol], states: Iterable[str]) -> None:
    """Do nothing where each name stands for one symbol, and for no moment of a state.  Errors: LanguageError."""
    found: dict[str, sp.Symbol] = {}
    moments = {f"{letter}_{state}" for state in states for letter in "qc"}
    for x in symbols:
        if found.setdefault(x.name, x) != x:
            raise LanguageError(
                where,
                "one symbol for each name",
                f"two that differ in their assumptions and are both named {x.name!r}",
                "A text is a non-negative symbol, of a mean a real one: give them different names.",
            )
        if x.name in moments:
            raise LanguageError(
                where,
                f"symbols of other names than {', '.join(sorted(moments))}",
                repr(x.name),
                "These letters stand for the moments of two runs in memory(…); rename the symbol.",
            )
