"""A derived process made ready for numbers: states as functions of a few Gaussian forms, and the forms in groups.

A *form* is a linear combination of products and biases that the states read as one variable, such as
W @ h + F @ x + b inside an activation. Everything here is read off the derived claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import Any, NamedTuple

import sympy as sp

from wideproof.derive import Program
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram, Moment
from wideproof.derive.calculus.recursion_rules import ROW, ROW2
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.errors import TooLarge
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Updated, coordinates_of
from wideproof.derive.proof.claims import ProcessForm
from wideproof.numeric.core.activations import activation_function, slope_from_value
from wideproof.numeric.core.arrays import Array, check_finite

Pair = tuple[sp.Expr, sp.Expr]
Values = Callable[[Phi], Array]


SAMPLING = "randomised quasi-Monte Carlo of the limiting process"
GROUPED = "randomised quasi-Monte Carlo of each independent group of the limiting process"
QUADRATURE = "nested quadrature of the limiting process"


class KernelNumbers(NamedTuple):
    """A kernel with its standard error, or the estimate of its quadrature error, and the method it comes from."""

    mean: Array
    error: Array
    method: str

    @property
    def is_sampled(self) -> bool:
        """Whether the error is a standard error."""
        return self.method != QUADRATURE


@contextmanager
def within_step(program: Program, step: int) -> Iterator[Callable[[Array], Array]]:
    """An overflow within is one of this step; what is given returns a covariance that is finite, and refuses others."""
    where, when = f"kernel of {program.name}", f" from step {step} on"

    def finite(covariance: Array) -> Array:
        check_finite(where, [covariance], when)
        return covariance

    try:
        yield finite
    except FloatingPointError as error:
        raise TooLarge(where, when) from error


@dataclass(frozen=True)
class Form:
    """mean + sum of weight x Gaussian coordinate, one Gaussian variable per step and sequence."""

    weights: tuple[tuple[Coordinate, float], ...]
    mean: float


@dataclass(frozen=True)
class CovarianceTerm:
    """weight x (moment of two processes, inner product of inputs, or 1), at equal steps only where `redrawn`."""

    weight: float
    moment: Pair | None
    gram: bool
    redrawn: bool

    def turned(self) -> CovarianceTerm:
        """The same for the two processes exchanged."""
        return CovarianceTerm(self.weight, self.moment and (self.moment[1], self.moment[0]), self.gram, self.redrawn)


@dataclass
class Layout:
    """The maps and the laws of a derived process at given parameters.

    `bodies` are the updates of the states in order, `read` what the kernel is made of, `laws` the covariances of
    coordinates; `groups` numbers the forms so that forms of different groups are independent, `reach` says which
    forms a state depends on, and `inside` are the forms that some activation reads, alone, in products or by states.
    """

    program: Program
    process: ProcessForm
    values: Mapping[sp.Symbol, float]
    forms: dict[sp.Symbol, Form] = field(default_factory=dict)
    written: dict[sp.Expr, sp.Expr] = field(default_factory=dict)
    factored: dict[frozenset[sp.Expr] | None, Any] = field(default_factory=dict, repr=False)
    rooms: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.laws = {e.left.args[:2]: self._law(e.right) for e in self.process.covariances}
        self.laws |= {(v, u): law.turned() for (u, v), law in self.laws.items()}
        one_row = {x: sp.S.One for x in self.process.right.atoms(sp.KroneckerDelta) if set(x.args) == {ROW, ROW2}}
        self.read = [self._law(x) for x in sp.Add.make_args(sp.expand(self.process.right.xreplace(one_row)))]
        self.bodies = {e.left: self.in_forms(e.right) for e in self.process.paths}
        self.starts = {e.left.args[:1] + e.left.args[4:]: self.number(e.right) for e in self.process.starts}
        for law in (*self.laws.values(), *self.read):
            for process in law.moment or ():
                self.in_forms(process)
        self.groups = self._grouped()
        self.reach = self._reached()
        self.inside = set().union(*(self.forms_read(phi) for phi in self.activations))

    @property
    def activations(self) -> set[Phi]:
        """Every activation that some expression applies."""
        return set().union(*(expr.atoms(Phi) for expr in self.written.values()))

    def forms_read(self, phi: Phi) -> set[sp.Symbol]:
        """The forms that the argument of an activation depends on, through states as well."""
        return {f for x in phi.args[2].free_symbols for f in self.reach.get(x, {x} & set(self.forms))}

    def number(self, expr: sp.Expr) -> float:
        """The value of an expression in the parameters."""
        return float(sp.sympify(expr, strict=True).subs(dict(self.values)))

    def start(self, state: sp.Expr) -> tuple[float, float]:
        """The variance of a state before its first step, and the covariance of two sequences; 0 beyond the end."""
        if self.backward(state):
            return 0.0, 0.0
        within = self.starts[state, FIRST, FIRST]
        return within, self.starts[state, FIRST, SECOND] if within else 0.0

    @property
    def random_starts(self) -> int:
        """How many states do not start at zero."""
        return sum(self.start(state)[0] != 0 for state in self.bodies)

    def backward(self, process: sp.Expr) -> bool:
        """Whether a process is a state that reads the sequence from its end."""
        term = self.program.table.get(process)
        return isinstance(term, Updated) and term.state.backward

    def _law(self, right: sp.Expr) -> CovarianceTerm:
        factors = sp.Mul.make_args(right)
        moments = [x for x in factors if isinstance(x, Moment)]
        weight = sp.Mul(*(x for x in factors if not isinstance(x, Moment | Gram | sp.KroneckerDelta)))
        return CovarianceTerm(
            self.number(weight), moments[0].args[:2] if moments else None, right.has(Gram), right.has(sp.KroneckerDelta)
        )

    def _grouped(self) -> dict[sp.Symbol, int]:
        """Form -> the number of its group: forms whose coordinates some covariance connects."""
        found = {name: i for i, name in enumerate(self.forms)}
        for (first, one), (second, other) in combinations(self.forms.items(), 2):
            if any((c, d) in self.laws for c, _ in one.weights for d, _ in other.weights):
                old, new = found[second], found[first]
                found = {name: new if group == old else group for name, group in found.items()}
        return found

    def _reached(self) -> dict[sp.Symbol, set[sp.Symbol]]:
        """State, before and after its update -> the forms it depends on."""
        table, updated = self.program.table, self.program.updated
        states = {c: updated[term.state] for c, term in table.items() if hasattr(term, "state")}
        found: dict[sp.Symbol, set[sp.Symbol]] = {c: set() for c in states}
        while True:
            new = {
                c: {f for x in self.bodies[after].free_symbols for f in found.get(x, {x} & set(self.forms))}
                for c, after in states.items()
            }
            if new == found:
                return found
            found = new

    # ---- forms ----------------------------------------------------------------------------------------
    def in_forms(self, expr: sp.Expr) -> sp.Expr:
        """An expression in coordinates as one in states, forms and numbers."""
        if expr not in self.written:
            inside = expr.replace(Phi, self._activation)
            self.written[expr] = self._outside(inside).xreplace({x: sp.Float(v) for x, v in self.values.items()})
        return self.written[expr]

    def _gaussian(self, expr: sp.Expr) -> list[Coordinate]:
        return [c for c in coordinates_of(expr) if isinstance(self.program.table[c], MatVec | Bias)]

    def _activation(self, name: sp.Symbol, order: sp.Expr, argument: sp.Expr) -> sp.Expr:
        activation_function(str(name), int(order))  # refuses what has no numbers
        slopes = {c: sp.diff(argument, c) for c in self._gaussian(argument)}
        linear = {c: k for c, k in slopes.items() if k.free_symbols <= self.values.keys()}  # no gate multiplies it
        rest = sp.expand(argument - sp.Add(*(k * c for c, k in linear.items())))
        return Phi(name, order, self._outside(rest) + self._form(linear))

    def _outside(self, expr: sp.Expr) -> sp.Expr:
        """Coordinates with one and the same factor make one form; others a form each."""
        free = self._gaussian(expr)
        factors = {c: sp.expand(sp.diff(sp.expand(expr), c)) for c in free}
        alone = [c for c in free if any(factors[c].has(d) for d in free)]
        alike: dict[sp.Expr, list[Coordinate]] = {}
        for c in free:
            if c not in alone:
                alike.setdefault(factors[c], []).append(c)
        gone = {c: sp.S.Zero for members in alike.values() for c in members}
        rest = (sp.expand(expr).xreplace(gone) if gone else expr).xreplace(
            {c: self._form({c: sp.S.One}) for c in alone}
        )
        return rest + sp.Add(*(k * self._form(dict.fromkeys(members, sp.S.One)) for k, members in alike.items()))

    def _form(self, linear: Mapping[Coordinate, sp.Expr]) -> sp.Expr:
        """The symbol of a linear combination; 0 for the empty one."""
        if not linear:
            return sp.S.Zero
        weights = tuple(sorted(((c, self.number(k)) for c, k in linear.items()), key=lambda item: item[0].name))
        terms = self.program.table
        mean = sum(k * self.number(b.parameter.mean) for c, k in weights if isinstance(b := terms[c], Bias))
        form = Form(weights, mean)
        name = next((known for known, other in self.forms.items() if other == form), None)
        if name is None:
            name = sp.Dummy(f"g{len(self.forms)}", real=True)
            self.forms[name] = form
        return name


def evaluate(expr: sp.Expr, read: Callable[[sp.Expr], Array], applied: Callable[[Phi, Values], Array]) -> Array:
    """The value of an expression in coordinates and forms, `read` giving theirs and `applied` those of activations.

    `applied` may call its second argument, which works out an activation, or return what it remembers.
    """
    if isinstance(expr, sp.Symbol):
        return read(expr)
    if isinstance(expr, Phi):
        return applied(expr, lambda phi: _applied(phi, evaluate(phi.args[2], read, applied)))
    if expr.is_Number:
        return float(expr)
    if expr.is_Pow:
        return evaluate(expr.base, read, applied) ** int(expr.exp)
    parts = [evaluate(a, read, applied) for a in expr.args]
    total = parts[0]
    for part in parts[1:]:
        total = total + part if expr.is_Add else total * part
    return total


def _applied(phi: Phi, argument: Array) -> Array:
    return _function(phi)(argument)


@lru_cache(maxsize=1024)
def _function(phi: Phi) -> Callable[[Array], Array]:
    """The array function of an activation, found once: symbols are slow to turn into text."""
    return activation_function(str(phi.args[0]), int(phi.args[1]))


@lru_cache(maxsize=1024)
def by_its_value(phi: Phi) -> tuple[Callable[[Array], Array], Phi] | None:
    """What makes a slope of the value of its activation, and that activation, where there is such a function."""
    name, order, argument = phi.args
    slope = slope_from_value(str(name)) if order == 1 else None
    return slope and (slope, Phi(name, 0, argument))
