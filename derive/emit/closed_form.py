"""Formulas as textbooks write them: arc-cosine, arcsine and exponential kernels in place of Gaussian expectations.

The closed forms are the rows of `derive.expectation.dual_activations` and their derivatives; here they are only written
in letters for the covariances, the arctangent of a row as the arcsine that it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import sympy as sp

from wideproof.derive.emit.formula import Formula
from wideproof.derive.emit.mean_formula import closed_mean
from wideproof.derive.expectation.dual_activations import ATOMS, Angle, a, b, c, dual, k, m
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.errors import NotClosed
from wideproof.derive.latex.displays import alone, column, equation_parts
from wideproof.derive.latex.text import Latex
from wideproof.derive.proof.claims import Equation

HINT = "The formula itself keeps the expectation; compile() and Kernel evaluate it by series and integrals."


@dataclass(frozen=True, repr=False)
class ClosedForm:
    """A formula without Gaussian expectations: `equations` in letters, and what the letters stand for, `laws`.

    a and b are the variances of two Gaussian products, c their covariance, theta the angle arccos(c / sqrt(ab)), and
    kappa an expectation that is a factor of other terms.
    Where the formula is one expression, `equations` is empty and `expr` is it.  Source: cho2009kernel;
    williams1997computing; price1958useful for derivatives.
    """

    formula: Formula
    equations: tuple[Equation, ...]
    laws: tuple[Equation, ...]

    @property
    def expr(self) -> sp.Expr | None:
        """The closed form where there is one expression, with no divided differences left in it."""
        return None if self.formula.expr is None else self.formula.expr.doit(deep=True)

    @property
    def written_out(self) -> tuple[Equation, ...]:
        """The equations with every letter replaced by what it stands for."""
        known: dict[sp.Expr, sp.Expr] = {}
        for law in reversed(self.laws):  # each in letters that come after it
            known[law.left] = law.right.xreplace(known)
        return tuple(Equation(e.left, e.right.xreplace(known)) for e in self.equations)

    @property
    def _pairs(self) -> list[tuple[sp.Expr, sp.Expr]]:
        return [(e.left, e.right) for e in (*self.equations, *self.laws)]

    def latex(self) -> Latex:
        """LaTeX of the equations and of their letters, in lines that fit a column of 6.5 in."""
        return column(self._pairs, self.formula.program) if self.equations else alone(self.expr, self.formula.program)

    def displays(self) -> list[Latex]:
        """The same as displays of at most a quarter of a page each."""
        return equation_parts(self._pairs, self.formula.program) if self.equations else [self.latex()]

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def __repr__(self) -> str:
        said = "; ".join(f"{e.left} = {e.right}" for e in (*self.equations, *self.laws)) or str(self.expr)
        return f"ClosedForm({self.formula.name} of {self.formula.program.name}: {said})"


def closed_form(formula: Formula) -> ClosedForm:
    """The formula with every Gaussian expectation in closed form.  Errors: NotClosed naming one that has none."""
    if formula.expr is not None:
        if nodes := formula.expr.atoms(GaussianMean):
            raise _open(formula, next(iter(nodes)))
        return ClosedForm(formula, (), ())
    if formula.recurrence is None:
        raise NotClosed(f"closed form of {formula.name}", "a formula or a recurrence", "a process", HINT)
    stated = formula.recurrence
    wanted = () if isinstance(stated.right, sp.Tuple) else (Equation(stated.left, stated.right),)
    equations = (*wanted, *stated.equations)
    nodes = sorted({node for e in equations for node in e.right.atoms(GaussianMean)}, key=sp.default_sort_key)
    covariances = list(dict.fromkeys(node.args[2] for node in nodes))
    numbers = iter(count(1)) if len(covariances) > 1 else None
    letters = {law: _Letters(law, f"_{next(numbers)}" if numbers else "") for law in covariances}
    written = {node: _textbook(formula, node, letters[node.args[2]]) for node in nodes}
    parts = [node for node in nodes if any(e.right != node and e.right.has(node) for e in equations)]
    named = {node: sp.Symbol(f"kappa_{i}" if len(parts) > 1 else "kappa", real=True) for i, node in enumerate(parts, 1)}
    told = tuple(Equation(e.left, written.get(e.right, sp.expand(e.right.xreplace(named)))) for e in equations)
    means = [Equation(letter, written[node]) for node, letter in named.items()]
    used = set().union(*(e.right.free_symbols for e in (*told, *means))) if told else set()
    laws = (*means, *(law for own in letters.values() for law in own.laws(used)))
    return ClosedForm(formula, told, laws)


class _Letters:
    """The letters of one covariance; equal entries have one letter."""

    def __init__(self, law: sp.Tuple, number: str) -> None:
        names = ("a",) if len(law) == 1 else ("a", "c", "b")
        known: dict[sp.Expr, sp.Symbol] = {}
        for name, entry in zip(names, law, strict=True):
            known.setdefault(entry, sp.Symbol(name + number, real=True))
        self.known, self.entries = known, tuple(known[entry] for entry in law)
        self.angle = sp.Symbol("theta" + number, real=True)

    @property
    def of_pair(self) -> dict[sp.Symbol, sp.Symbol]:
        """The letters of a row of the table, replaced by these."""
        first, between, second = self.entries if len(self.entries) == 3 else self.entries * 3
        return {a: first, b: second, c: between}

    def laws(self, used: set[sp.Symbol]) -> Iterator[Equation]:
        """What those letters stand for that are used."""
        first, second, between = (self.of_pair[x] for x in (a, b, c))
        if self.angle in used:
            yield Equation(self.angle, sp.acos(between / sp.sqrt(first * second)))
            used = used | {first, second, between}
        for entry, letter in self.known.items():
            if letter in used:
                yield Equation(letter, entry)


def _textbook(formula: Formula, node: GaussianMean, letters: _Letters) -> sp.Expr:
    """A Gaussian mean in the letters of its covariance.  Errors: NotClosed."""
    functions, means, _ = node.args
    names, orders = {str(name) for name, _ in functions}, [int(order) for _, order in functions]
    pair = len(orders) == 2 and len(names) == 1 and len(letters.known) > 1 and all(mean == 0 for mean in means)
    row = dual(next(iter(names))) if pair else None
    found = row.derivative(*orders) if row is not None else None
    if found is not None:
        return arcsine(found.subs({m: 0, k: 0}), letters)
    found = closed_mean(GaussianMean(functions, means, sp.Tuple(*letters.entries)))
    if found is None:
        raise _open(formula, node)
    return found


def arcsine(expr: sp.Expr, letters: _Letters) -> sp.Expr:
    """A row with its angle as a letter, and atan(p / sqrt(q)) as asin(p / sqrt(p^2 + q)), the sum factored."""
    expr = expr.replace(lambda e: isinstance(e, Angle), lambda e: letters.angle)
    expr = expr.replace(lambda e: isinstance(e, ATOMS), lambda e: e.doit())
    expr = expr.replace(lambda e: isinstance(e, sp.atan), _as_arcsine)
    expr = expr.replace(lambda e: e.is_Pow and e.exp.is_Rational and e.exp.q == 2 and e.base.is_Add, _factored)
    if not expr.has(letters.angle):
        return sp.powsimp(expr).xreplace(letters.of_pair)
    top, below = sp.fraction(sp.together(expr))
    share, rest = top.as_content_primitive()
    return (share / below * rest).xreplace(letters.of_pair)


def _factored(root: sp.Pow) -> sp.Expr:
    """A root whose sum is a product at covariance zero, written as that product and the rest."""
    alone = root.base.subs(c, 0)
    return sp.Pow(sp.factor(alone) + sp.expand(root.base - alone), root.exp, evaluate=False)


def _as_arcsine(turned: sp.Expr) -> sp.Expr:
    top, root = turned.args[0].as_numer_denom()
    square = sp.factor(sp.expand(top**2 + root**2))
    return sp.asin(top / sp.sqrt(square))


def _open(formula: Formula, node: GaussianMean) -> NotClosed:
    names = ", ".join(dict.fromkeys(str(name) for name, _ in node.args[0]))
    return NotClosed(f"closed form of {formula.name}", "activations whose expectation is elementary", names, HINT)
