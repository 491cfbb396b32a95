"""Formulas that are put to the referee, read by the grammar of `define`; text is never evaluated otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, SECOND, Gram
from wideproof.derive.language.errors import LanguageError
from wideproof.derive.language.grammar import EXPONENT, parse, shortened
from wideproof.derive.language.notation import LETTERS, s, t

INDEX_NAMES = "ijkm"
"""What an index of a sum may be called, where it stands for nothing else."""
MOST_TERMS = 64
"""Terms of a sum between two numbers."""
FOREIGN = {"^": "**", "ν": "nu", "ρ": "rho", "η": "eta", "σ": "sigma", "π": "pi", "·": "*", "×": "*", "−": "-"}
"""Signs of papers, and how they are written here."""
FUNCTIONS = {
    "sqrt": sp.sqrt, "exp": sp.exp, "log": sp.log, "min": sp.Min, "max": sp.Max, "ceiling": sp.ceiling,
    "floor": sp.floor, "delta": sp.KroneckerDelta,
}  # fmt: skip


def read(text: str, symbols: Mapping[str, sp.Expr], where: str, inputs: bool = False) -> sp.Expr:
    """The formula that a text stands for in these names, with sum(expr, i, low, high) and, of kernels, X(t, s).

    Shapes: a scalar.  Units: those of the quantity.
    Errors: LanguageError for what the grammar or the symbols do not know, for LaTeX and for towers of powers.
    """
    _refuse_foreign(text, where)
    indices = {x: sp.Symbol(x, integer=True, nonnegative=True) for x in INDEX_NAMES if x not in symbols}
    names = {**symbols, "pi": sp.pi, **indices}
    functions: dict[str, Any] = {**FUNCTIONS, "sum": _sum}
    if inputs:
        functions["X"] = lambda first, second: Gram(first, second, FIRST, SECOND)
    expr = parse(text, names, functions, where)
    if stray := sorted(x.name for x in expr.free_symbols & set(indices.values())):
        meanings = ", ".join(f"{x} ({LETTERS[x].meaning})" if x in LETTERS else x for x in symbols)
        raise LanguageError(
            where,
            f"a formula in {meanings}",
            f"{', '.join(stray)} outside of a sum",
            "Other letters are indices: sum(x**i, i, 0, j).",
        )
    _refuse_towers(expr, where)
    return expr.replace(sp.Sum, _while_there_are_inputs) if inputs else expr


def _refuse_foreign(text: str, where: str) -> None:
    if not isinstance(text, str):
        return  # the grammar says it
    if "\\" in text or "{" in text:
        raise LanguageError(
            where,
            "letters, numbers and + - * / ** ( )",
            f"LaTeX {shortened(text)!r}",
            r"Write \frac{a}{b} as a/b, x^{i} as x**i and \sqrt{a} as sqrt(a).",
        )
    if "=" in text or "<" in text:
        raise LanguageError(
            where,
            "the right side of an equation alone",
            repr(shortened(text)),
            "The left side is the quantity; of a bound write the bounding side.",
        )
    plain = "".join(FOREIGN.get(x, x) for x in text)
    if plain != text:
        raise LanguageError(where, "letters, numbers and + - * / ** ( )", repr(shortened(text)), f"Write {plain}")


def _sum(*given: Any) -> sp.Expr:
    """The sum of an expression over an index, both bounds included."""
    if len(given) != 4 or not getattr(given[1], "is_Symbol", False) or given[1].name not in INDEX_NAMES:
        raise TypeError("write sum(expression, i, 0, j), the index one of i, j, k, m")
    term, index, low, high = given
    if index in low.free_symbols | high.free_symbols:
        raise TypeError("bounds of a sum do not contain its index")
    if not (low.is_Integer and high.is_Integer):
        return sp.Sum(term, (index, low, high))
    if high - low >= MOST_TERMS:
        raise ValueError(f"between numbers a sum has at most {MOST_TERMS} terms")
    return sp.Add(*(term.xreplace({index: sp.Integer(i)}) for i in range(int(low), int(high) + 1)))


def _while_there_are_inputs(term: sp.Expr, *limits: Any) -> sp.Expr:
    """A sum over inputs of both sequences, ended where the first of them begins: before time 0 there is none."""
    (index, low, high), *outer = limits
    ends = [x for x in term.atoms(Gram) if x.args[:2] == (t - index, s - index)]
    if outer or len(ends) != 1 or high not in (t, s) or sp.expand(term).coeff(ends[0], 0) != 0:
        return sp.Sum(term, *limits)
    return sp.Sum(term, (index, low, sp.Min(t, s)))


def _refuse_towers(expr: sp.Expr, where: str) -> None:
    """Raise LanguageError for exponents in which a symbol is raised again, or that grow faster than the lag squared."""
    exponents = [x.exp for x in expr.atoms(sp.Pow) if not x.exp.is_Rational] + [x.args[0] for x in expr.atoms(sp.exp)]
    for exponent in exponents:
        inner = [x for x in exponent.atoms(sp.Pow, sp.exp) if not (x.is_Pow and x.exp.is_Rational and abs(x.exp) <= 2)]
        wide = any(abs(x) > EXPONENT for x in exponent.atoms(sp.Rational))
        if inner or wide or exponent.has(sp.Sum):
            raise LanguageError(
                where, "exponents such as j, 2*j - 1 or j/2", shortened(str(exponent)), "Write no powers in exponents."
            )
