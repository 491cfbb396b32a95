"""Proposition 2.1: a linear RNN is a convolution, and every convolution of horizon T is a linear RNN.

(a) Unrolling gives L_j = n^{-(j+1)/2} C W^j F. (b) With n = T n_x n_y hidden units in T-dimensional diagonal
systems, one per pair of an input and an output, the readout solves a Vandermonde system; its inverse has the
coefficients of Lagrange's polynomials, so the solution is exact for any distinct nodes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, reduce
from numbers import Integral
from typing import Any, TypeAlias

import sympy as sp

from wideproof.derive.algebra.matrix_symbols import MatrixFunction, MatrixSymbol, is_zero
from wideproof.derive.calculus.moments import is_linear
from wideproof.derive.calculus.recursion_rules import OUTPUT, ask_body
from wideproof.derive.emit.derivation import Derivation, as_program, reads
from wideproof.derive.language.errors import NotClosed, NotLinear, ParameterError, ProofError
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.notation import j, k, m, n, t
from wideproof.derive.language.program import (
    Bias,
    Coordinate,
    MatVec,
    Parameter,
    Previous,
    Program,
    Updated,
    coordinates_of,
)
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.models import linear_rnn
from wideproof.derive.proof.claims import Claim, Equation, MatrixEquation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule

ROW_LAG = sp.Symbol("i", integer=True, nonnegative=True)
Blocks: TypeAlias = tuple[tuple[tuple[Fraction, ...], ...], ...]
Known: TypeAlias = dict[Any, Callable[..., Any]]
TRANSITION, INPUTS, READOUTS = MatrixSymbol("A"), MatrixSymbol("B"), MatrixSymbol("R")


class InputAt(MatrixFunction):
    """The input vector at a time."""

    letter = "x"


class StateAt(MatrixFunction):
    """The state at a time."""

    letter = "h"


class OutputAt(MatrixFunction):
    """The output at a time."""

    letter = "y"


class ImpulseAt(MatrixFunction):
    """The impulse response at a lag."""

    letter = "L"


class Node(sp.Function):
    """The k-th node, the k-th diagonal entry of n^{-1/2} W; nodes are distinct."""

    nargs = (1,)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        body = rf"\lambda_{{{printer._print(self.args[0])}}}"
        return f"{body}^{{{exp}}}" if exp else body


class Target(sp.Function):
    """One entry of the impulse response to be realised, at a lag."""

    nargs = (1,)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return rf"L_{{{printer._print(self.args[0])}}}"


class Lagrange(sp.Function):
    """The coefficient of x^i in Lagrange's polynomial that is 1 at the node k of T nodes: arguments i, k, T."""

    nargs = (3,)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        i, k, horizon = map(printer._print, self.args)
        return rf"\ell^{{({horizon})}}_{{{k},{i}}}"


@dataclass(frozen=True, repr=False)
class Realization(Derivation):
    """A linear RNN with T n_x n_y units whose impulse response is the given one, exactly in rational numbers.

    Unit (r, c, k) carries node k for output r and input c. n^{-1/2} W = diag(nodes repeated), its input map has a
    1 in column c, and n^{-1/2} C has weights[k][r][c] in row r.  Weights and the impulse response are the two sums of
    the proof's goal at these nodes, and what it states about them is checked.
    Shapes: nodes (T,), target (T, n_y, n_x), weights (T, n_y, n_x).  Errors: ProofError for other numbers.
    """

    nodes: tuple[Fraction, ...]
    target: Blocks

    def __post_init__(self) -> None:
        """Read the formula off the goal, and compare the response of the realisation with the given one."""
        super().__post_init__()
        if self.impulse(len(self.nodes)) != self.target:
            raise ProofError("realization", "the given impulse response", "another", "The numbers are not the goal's.")

    @property
    def units(self) -> int:
        """The number of hidden units, T n_x n_y."""
        return len(self.nodes) * len(self.target[0]) * len(self.target[0][0])

    @cached_property
    def weights(self) -> Blocks:
        """The weights of the goal, sum_i (coefficient of x^i in Lagrange's polynomial of node k) L_i."""
        table = [lagrange_coefficients(self.nodes, node) for node in range(len(self.nodes))]
        known: Known = {Lagrange: lambda i, k, _: table[k][i], Target: lambda i: _Matrix(self.target[i])}
        count = len(self.nodes)
        return tuple(_value(_weight(self._realised), {k: node, HORIZON: count}, known).rows for node in range(count))

    def impulse(self, lags: int) -> Blocks:
        """The impulse response of the realisation, exactly, at the lags 0 ... lags - 1, past T as well."""
        outer = self._realised.xreplace({_weight(self._realised): _WeightOf(k)})
        known: Known = {_WeightOf: lambda k: _Matrix(self.weights[k]), Node: lambda k: self.nodes[k]}
        return tuple(_value(outer, {j: lag, HORIZON: len(self.nodes)}, known).rows for lag in range(lags))

    @property
    def _realised(self) -> sp.Sum:
        """The sum over nodes that the goal states to be the target."""
        return self.formula.expr


def _weight(realised: sp.Sum) -> sp.Expr:
    """The weight of a node in the goal: what its power is multiplied by."""
    return realised.function.as_independent(Node, as_Add=False)[0]


class _WeightOf(sp.Function):
    """The weight of a node, once it is known."""

    nargs = (1,)


def _value(expr: sp.Expr, at: Mapping[sp.Symbol, int], known: Known) -> Any:
    """The exact value of sums, products and powers of known functions at whole numbers."""
    if isinstance(expr, sp.Sum):
        ((index, low, high),) = expr.limits
        steps = range(_whole(low, at), _whole(high, at) + 1)
        return reduce(operator.add, (_value(expr.function, {**at, index: step}, known) for step in steps))
    if expr.is_Mul:
        return reduce(operator.mul, (_value(x, at, known) for x in expr.args))
    if expr.is_Pow:
        return _value(expr.base, at, known) ** _whole(expr.exp, at)
    return known[expr.func](*(_whole(x, at) for x in expr.args))


def _whole(expr: sp.Expr, at: Mapping[sp.Symbol, int]) -> int:
    return at[expr] if expr in at else int(expr.subs(at))


@dataclass(frozen=True)
class _Matrix:
    """A matrix of Fractions that is added and multiplied by numbers."""

    rows: tuple[tuple[Fraction, ...], ...]

    def __add__(self, other: _Matrix) -> _Matrix:
        return _Matrix(tuple(tuple(map(operator.add, *pair)) for pair in zip(self.rows, other.rows, strict=True)))

    def __mul__(self, factor: Fraction) -> _Matrix:
        return _Matrix(tuple(tuple(factor * x for x in row) for row in self.rows))

    __rmul__ = __mul__


def realization(impulse: Sequence[Any], nodes: Sequence[Any] | None = None) -> Realization:
    """Every impulse response of horizon T is that of a linear RNN with T n_x n_y hidden units.

    Numbers are taken as the rationals they are, so the result is exact; `numeric.linear_rnn.realization` gives it in
    doubles with its error and condition number, on better nodes, and balanced.
    Shapes: impulse (T, n_y, n_x), or (T,) for one input and output; nodes (T,), by default rationals close to
    Chebyshev's.  Errors: ParameterError for nodes that coincide or do not match, and for what is no real number.
    Source: emami2021implicit, Proposition 2.1(b), (33)-(35).

    >>> wp.realization([[[1]], [[2]], [[4]]]).quantity
    'realization'
    """
    blocks = _blocks(impulse)
    count = len(blocks)
    found = chebyshev(count) if nodes is None else tuple(exactly("realization: nodes", x) for x in _items(nodes))
    if len(found) != count or len(set(found)) != count:
        raise ParameterError("realization: nodes", f"{count} different numbers", found, "One node for each lag.")
    program = linear_rnn().program()
    return Realization("realization", prove(program, "vandermonde", _realised(j + 1 + m)), found, blocks)


def convolution_of(recursion: Recursion | Program) -> Derivation:
    """The impulse response of a linear RNN at any width: L_j = n^{-1/2} R A^j B, all matrices as declared.

    Errors: NotLinear; NotClosed for several states, redrawn matrices, or a matrix of another argument.
    Source: emami2021implicit, Proposition 2.1(a), (9).

    >>> wp.convolution_of(wp.models.linear_rnn()).quantity
    'impulse-of-matrices'
    """
    program = as_program(recursion)
    if not is_linear(program):
        raise NotLinear(f"convolution_of({program.name})", "a linear recursion", "another", "It is no convolution.")
    transition_parts(program)
    if not all(x.tied for x in program.parameters):
        hint = "Proposition 2.1(a) is about one network at all steps."
        raise NotClosed(f"convolution_of({program.name})", "tied parameters", "a redrawn one", hint)
    return Derivation("impulse-of-matrices", prove(program, "impulse-of-matrices", ImpulseAt(j)))


def chebyshev(count: int) -> tuple[Fraction, ...]:
    """Rationals next to cos((2k + 1) pi / (2 count)): the best-conditioned real nodes in [-1, 1], all different."""
    near = [sp.cos(sp.Rational(2 * k + 1, 2 * count) * sp.pi).evalf(20) for k in range(count)]
    return tuple(Fraction(str(x)).limit_denominator(64 * count**2) for x in near)


def _blocks(impulse: Sequence[Any]) -> Blocks:
    """Numbers as Fractions, one matrix per lag."""
    rows = [x if _is_row(x) else [[x]] for x in _items(impulse)]
    shapes = {(len(x), *(len(y) if _is_row(y) else 0 for y in x)) for x in rows}
    if len(shapes) != 1 or 0 in min(shapes) or len(min(shapes)) == 1:
        shape = "an impulse response of shape (T,) or (T, n_y, n_x)"
        raise ParameterError("realization", shape, shortened(impulse), "One block per lag.")
    return tuple(tuple(tuple(exactly("realization", v) for v in row) for row in block) for block in rows)


def _items(values: Any) -> list[Any]:
    """The items of a list or an array."""
    if not _is_row(values):
        hint = "For example realization([1, 0.5, 0.25]); convolution_of(rnn) has the impulse response of a recursion."
        raise ParameterError("realization", "an impulse response, one number or matrix per lag", _called(values), hint)
    return list(values)


def _is_row(x: Any) -> bool:
    """Whether items stand in an order: a list, a tuple, an array with an axis."""
    return isinstance(x, list | tuple) or bool(getattr(x, "shape", ()))


def _called(value: Any) -> str:
    return f"the recursion {value.name!r}" if isinstance(value, Recursion | Program) else shortened(value)


def exactly(where: str, x: Any) -> Fraction:
    """A real finite number as the rational it is.  Errors: ParameterError for anything else, text included."""
    try:
        if not isinstance(x, str | bool):
            ratio = (x.p, x.q) if isinstance(x, sp.Rational) else (x, 1) if isinstance(x, Integral) else None
            return Fraction(*map(int, ratio or x.as_integer_ratio()))
    except (AttributeError, TypeError, ValueError, OverflowError):
        pass
    raise ParameterError(where, "real and finite numbers", f"{type(x).__name__} {shortened(x)}", "Without quotes.")


def lagrange_coefficients(nodes: Sequence[Fraction], k: int) -> list[Fraction]:
    """Coefficients of 1, x, x^2, ... of prod_{m != k} (x - nodes[m]) / (nodes[k] - nodes[m])."""
    row = [Fraction(1)]
    for index, node in enumerate(nodes):
        if index != k:
            scale = 1 / (nodes[k] - node)
            row = [scale * (a - node * b) for a, b in zip([Fraction(0), *row], [*row, Fraction(0)], strict=True)]
    return row


# ---- rules: (a) -----------------------------------------------------------------------------------
def transition_parts(program: Program, where: str = "convolution_of") -> tuple[sp.Expr, dict[Parameter, sp.Expr]]:
    """The update of a single state as a multiple of itself and a combination of matrices applied to it."""
    where, hint = (
        f"{where}({program.name})",
        "The transition of one state that its matrices multiply directly is known.",
    )
    if len(program.updates) != 1 or not all(x.tied for x in program.parameters if x.role == "matrix"):
        raise NotClosed(where, "one state and tied matrices", program.name, hint)
    body, own, parts = program.updates[0][1], sp.S.Zero, dict[Parameter, sp.Expr]()
    for c in coordinates_of(body):
        term = program.table[c]
        if isinstance(term, Previous):
            own = sp.diff(body, c)
        elif isinstance(term, Bias) or (isinstance(term, MatVec) and term.matrix.role == "input_map"):
            continue
        elif isinstance(term, MatVec) and isinstance(program.table.get(term.vector), Previous):
            parts[term.matrix] = sp.diff(body, c)
        else:
            raise NotClosed(where, "matrices times the state", c.label, hint)
    return own, parts


def _maps(program: Program, expr: sp.Expr, role: str) -> sp.Expr:
    """The combination of input maps or readouts in an expression, as letters."""
    total = sp.S.Zero
    for c in coordinates_of(expr):
        term = program.table[c]
        if isinstance(term, MatVec) and term.matrix.role == role:
            if role == "readout" and not (
                isinstance(term.vector, Coordinate) and isinstance(program.table[term.vector], Updated)
            ):
                raise NotClosed(f"convolution_of({program.name})", "readouts of the state", c.label, "Read h itself.")
            total += sp.diff(expr, c) * MatrixSymbol(term.matrix.name)
    return total


@rule(
    "transition",
    source="the recursion itself",
    rank=560,
    says="as declared, the matrices that carry the state, read the input and read the state out are",
)
def transition(subject: Any, ask: Ask) -> Claim:
    """The matrix that carries the state one step, the input map, and the readout, as declared."""
    program = ask.program
    state = program.updates[0][0]
    if subject == READOUTS:
        return MatrixEquation(subject, _maps(program, ask_body(program, ask, OUTPUT), "readout"))
    body = ask_body(program, ask, state)
    if subject == INPUTS:
        return MatrixEquation(subject, _maps(program, body, "input_map"))
    own, parts = transition_parts(program)
    return MatrixEquation(subject, own + sp.Add(*(c * MatrixSymbol(x.name) for x, c in parts.items())) / sp.sqrt(n))


def _summand(lag: sp.Expr, time: sp.Expr) -> sp.Expr:
    return TRANSITION**lag * INPUTS * InputAt(time - lag)


class CausalSum(MatrixFunction):
    """sum_{j <= t} A^j B x_{t-j}; the argument is t."""

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        time = printer._print(self.args[0])
        return rf"\sum_{{j=0}}^{{{time}}} {printer._print(_summand(j, self.args[0]))}"


@rule(
    "state-sum",
    source="induction on the time; emami2021implicit, (42)",
    rank=740,
    says="this holds at time 0, and one more step multiplies the sum and adds the new input, so by induction",
)
def state_sum(subject: Any, ask: Ask) -> Claim:
    """h_t = A h_{t-1} + B x_t: the sum is B x_0 at t = 0, and A times it plus B x_{t+1} is the next one."""
    ask("transition", TRANSITION)
    ask("transition", INPUTS)
    shifted = TRANSITION * _summand(j, t) - _summand(j + 1, t + 1)
    first = _summand(sp.S.Zero, t + 1) - INPUTS * InputAt(t + 1)
    if not (is_zero(sp.powsimp(sp.expand(shifted))) and is_zero(first)):
        raise ProofError("state-sum", "the next sum", shifted + first, "The induction fails.")
    return MatrixEquation(subject, CausalSum(t))


@rule(
    "impulse-of-matrices",
    source="emami2021implicit, Proposition 2.1(a), (9)",
    rank=750,
    says="the output is $n^{-1/2} R h_t$, so the factor of an input in it is, read off the sum,",
)
def impulse_of_matrices(subject: Any, ask: Ask) -> Claim:
    """Read the sum out: the factor of x_{t-j} is n^{-1/2} R A^j B, with the matrices written out."""
    program = ask.program
    ask("state-sum", StateAt(t))
    written = {x: ask.matrices("transition", x).right for x in (READOUTS, TRANSITION, INPUTS)}
    own, parts = transition_parts(program)
    scale, power = 1 / sp.sqrt(n), written[TRANSITION] ** j
    if own == 0 and len(parts) == 1:
        ((matrix, c),) = parts.items()
        scale, power = sp.powsimp(scale * n ** (-j / 2)) * c**j, MatrixSymbol(matrix.name) ** j
    return MatrixEquation(subject, scale * written[READOUTS] * power * written[INPUTS])


# ---- rules: (b) -----------------------------------------------------------------------------------
@rule(
    "interpolation",
    source="a polynomial of degree below T with T zeros vanishes; emami2021implicit, (35)",
    rank=760,
    says="a power below the number of nodes is its own interpolant; compare coefficients:",
)
def interpolation(subject: Any, ask: Ask) -> Claim:
    """x^j with j < T is its own interpolant sum_k l_k^j ell_k(x): compare the coefficients of x^i."""
    return Equation(subject, sp.KroneckerDelta(ROW_LAG, j))


def _interpolant(horizon: sp.Expr) -> sp.Expr:
    return sp.Sum(Lagrange(ROW_LAG, k, horizon) * Node(k) ** j, (k, 0, horizon - 1))


def _realised(horizon: sp.Expr) -> sp.Expr:
    weight = sp.Sum(Lagrange(ROW_LAG, k, horizon) * Target(ROW_LAG), (ROW_LAG, 0, horizon - 1))
    return sp.Sum(weight * Node(k) ** j, (k, 0, horizon - 1))


HORIZON = sp.Symbol("T", integer=True, positive=True)
reads("realization", j, HORIZON, own=True, part=lambda goal: goal.left.subs(m, HORIZON - 1 - j))
reads("impulse-of-matrices", j, n, own=True)


@rule(
    "vandermonde",
    source="emami2021implicit, Proposition 2.1(b), (33)-(35)",
    rank=770,
    says="exchange the sums over nodes and lags: what is left is one at the lag itself and zero elsewhere, so",
)
def vandermonde(subject: Any, ask: Ask) -> Claim:
    """Exchange the sums over nodes and lags: what is left of lag i is 1 at i = j and 0 elsewhere, for all j < T."""
    general = sp.Max(ROW_LAG, j) + 1 + m
    claim = ask.equation("interpolation", _interpolant(general))
    assert claim.right == sp.KroneckerDelta(ROW_LAG, j)
    assert subject == _realised(j + 1 + m)
    return Equation(subject, Target(j))
