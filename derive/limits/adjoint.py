"""The adjoint of a recursion: its tangent transposed, so that one pass back in time gives all gradients.

A cost J of all outputs changes along a perturbation by a sum over the reads of each vector. Collecting that sum by
the vector that is read, instead of by the one that reads, is the adjoint; nothing else is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import sympy as sp

from wideproof.derive.calculus.recursion_rules import OUTPUT, TANGENT_OUTPUT
from wideproof.derive.calculus.tangent import MARK, differential_of, perturbed, refuse_jumps, tangent, trained_only
from wideproof.derive.emit.derivation import Derivation, as_program, quantity, reads
from wideproof.derive.emit.formula import Formula
from wideproof.derive.language.activations import RealFunction
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.notation import t
from wideproof.derive.language.program import (
    Bias,
    Coordinate,
    Input,
    MatVec,
    Parameter,
    Previous,
    Program,
    State,
    Updated,
)
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.claims import Claim, Equation, Recurrence
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule


class _AtTime(RealFunction):
    """Something of a recursion at a time: the time is the last argument."""

    nargs = (2,)


class Local(_AtTime):
    """The value of an expression in coordinates at a time."""

    def _latex(self, printer: Any) -> str:
        with printer.at(self.args[1]):
            text = printer._print(self.args[0])
        return rf"\left({text}\right)" if self.args[0].is_Add else str(text)


class Cotangent(_AtTime):
    """dJ/dc at a time: how the cost changes with a state, a product or a bias as it stands then."""

    def _latex(self, printer: Any) -> str:
        with printer.at(self.args[1]):
            return rf"\nabla_{{{printer._print(self.args[0])}}}"


class Pullback(_AtTime):
    """n^{-1/2} M^T dJ/d(n^{-1/2} M v): how the cost changes with the vector that a product reads."""

    def _latex(self, printer: Any) -> str:
        matrix = printer.program.table[self.args[0]].matrix
        return rf"n^{{-1/2}} {printer.parameter(matrix.name)}^{{\mathsf{{T}}}} {Cotangent(*self.args)._latex(printer)}"


class Outer(_AtTime):
    """How the cost changes with the matrix of a product at that step: n^{-1/2} dJ/d(n^{-1/2} M v) v^T."""

    def _latex(self, printer: Any) -> str:
        product = printer.program.table[self.args[0]]
        with printer.at(self.args[1]):
            vector = printer._factor(product.vector)
        scale = "" if product.matrix.role == "input_map" else "n^{-1/2} "
        return rf"{scale}{Cotangent(*self.args)._latex(printer)}\,{{{vector}}}^{{\mathsf{{T}}}}"


class Gradient(_AtTime):
    """What a step contributes to dJ/dM; the gradient by a tied parameter is the sum over all steps."""

    def _latex(self, printer: Any) -> str:
        with printer.at(self.args[1]):
            return rf"\nabla_{{{printer.parameter(self.args[0].name)}}}^{{({printer._print(self.args[1])})}}"


class Adjoint(sp.Function):
    """All gradients of a cost of the output."""

    nargs = (1,)

    def _latex(self, printer: Any) -> str:
        return rf"\nabla J({printer._print(self.args[0])})"


@quantity
def adjoint(recursion: Recursion | Program, parameters: str | Iterable[str] | None = None) -> Derivation:
    """Stepping this recursion against the direction of the states gives the gradient of any cost J of the outputs.

    Shapes: dJ/dc as the vector c; dJ/dM as M.  Units: of J over those of c or M.
    The formula is a recurrence: dJ/dy_t is given, all at times outside the sequence are zero, and what each step
    contributes to the gradient of a parameter follows; `parameters` freezes the others.
    `wideproof.gradients` and `wideproof.empirical_ntk` run it.
    Errors: ParameterError where nothing is trained; NotClosed where a gradient passes through a jump.
    Source: griewank2008evaluating, reverse mode: the transpose of emami2021implicit, Lemma B.1.

    >>> wp.adjoint(wp.models.linear_rnn()).proof.goal.indices
    (t,)
    """
    program = as_program(recursion)
    chosen = program if parameters is None else trained_only(program, parameters)
    if not any(parameter.trainable for parameter in chosen.parameters):
        raise ParameterError("adjoint", "a trainable parameter", "none", "Drop trainable=False from one of them.")
    moved = tangent(chosen)
    refuse_jumps(moved, f"adjoint({program.name})")
    return Derivation("adjoint", prove(moved, "adjoint", Adjoint(OUTPUT)))


class Backward(Formula):
    """A recurrence stepped back in time along a run of a network: it has no value without one."""

    def compile(self, backend: str = "numpy") -> Callable[..., Any]:
        """Refused: numbers need a network.  Errors: ParameterError."""
        raise ParameterError(
            "compile of adjoint",
            "a formula in numbers alone",
            "gradients along a run of a network",
            "Use wideproof.gradients or wideproof.empirical_ntk: they run these equations.",
        )


reads("adjoint", t, kind=Backward)


# ---- what reads what ------------------------------------------------------------------------------
def perturbations(program: Program, c: Coordinate) -> list[Coordinate]:
    """The coordinates of a tangent program whose sum is the perturbation of a coordinate of its base."""
    match program.table[c]:
        case Previous(state):
            wanted: list[Any] = [Previous(perturbed(state))]
        case Updated(state):
            wanted = [Updated(perturbed(state))]
        case MatVec(matrix, vector):
            moved = sp.S.Zero if matrix.role == "input_map" else differential_of(program, vector)
            wanted = [MatVec(matrix, moved), *(MatVec(d, vector) for d in _delta(program, matrix))]
        case Bias(parameter):
            wanted = [Bias(d) for d in _delta(program, parameter)]
        case Input():
            wanted = []
    return [d for d, term in program.terms if term in wanted]


def _delta(program: Program, parameter: Parameter) -> list[Parameter]:
    return [d for d in program.parameters if d.name == MARK + parameter.name]


def moving(program: Program) -> list[Coordinate]:
    """The states, products and biases of the base of a tangent program that a perturbation moves."""
    base = program.base
    assert base is not None
    return [c for c, term in base.terms if not isinstance(term, Previous) and perturbations(program, c)]


def products_of(program: Program, name: str) -> list[Coordinate]:
    """The products with one parameter, or the bias itself, of the base of a tangent program."""
    base = program.base
    assert base is not None
    return [
        c
        for c, term in base.terms
        if (isinstance(term, MatVec) and term.matrix.name == name)
        or (isinstance(term, Bias) and term.parameter.name == name)
    ]


def _readers(program: Program, c: Coordinate, time: sp.Expr, ask: Ask) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    """What reads a coordinate at a time: (perturbed right side, how the cost changes with its left side)."""
    base = program.base
    assert base is not None
    for u, body in base.updates:
        if c in body.free_symbols:
            yield ask.equation("tangent", _marked(program, u)).right, Cotangent(u, time)
    if c in base.output.free_symbols:
        yield ask.equation("tangent", TANGENT_OUTPUT).right, Cotangent(OUTPUT, time)
    for product, term in base.terms:
        if isinstance(term, MatVec) and term.matrix.role != "input_map" and c in term.vector.free_symbols:
            yield differential_of(program, term.vector), Pullback(product, time)


def _marked(program: Program, updated: Coordinate) -> Coordinate:
    return perturbations(program, updated)[0]


def _collected(program: Program, c: Coordinate, time: sp.Expr, ask: Ask) -> sp.Expr:
    """The sum over the reads of a coordinate: its factor in each, times how the cost changes with the reader."""
    factor_of = perturbations(program, c)[0]
    terms = []
    for moved, cotangent in _readers(program, c, time, ask):
        factor = sp.diff(moved, factor_of)
        terms.append((Local(factor, time) if factor.has(Coordinate) else factor) * cotangent)
    return sp.Add(*terms)


# ---- rules ----------------------------------------------------------------------------------------
@rule(
    "cotangent",
    source="griewank2008evaluating, reverse mode: a linear map transposed",
    rank=590,
    says=(
        "collect the tangent by what is read instead of by what reads: a cost of the outputs changes with "
        "each product, bias and state by the sum over its reads, in its own step and in the next,"
    ),
)
def cotangent(subject: Cotangent, ask: Ask) -> Claim:
    """The tangent recursion, collected by what is read; a state is read in its own step and in the one it precedes."""
    program = ask.program
    c, time = subject.args
    right = _collected(program, c, time, ask)
    term = program.table[c]
    if isinstance(term, Updated):
        right += _collected(program, _previous(program, term.state), time - term.state.back, ask)
    return Equation(subject, right)


def _previous(program: Program, state: State) -> Coordinate:
    return next(c for c, term in program.terms if term == Previous(state))


@rule(
    "gradient",
    source="griewank2008evaluating, reverse mode: a linear map transposed",
    rank=600,
    says="the perturbed matrix meets the same vector, so one step contributes to the gradient",
)
def gradient(subject: Gradient, ask: Ask) -> Claim:
    """A product changes with its matrix by the perturbed matrix times the same vector; a bias is added bare."""
    program = ask.program
    name, time = subject.args
    terms = []
    for c in products_of(program, str(name)):
        ask("cotangent", Cotangent(c, time))
        terms.append(Outer(c, time) if isinstance(program.table[c], MatVec) else Cotangent(c, time))
    return Equation(subject, sp.Add(*terms))


@rule(
    "adjoint",
    source="griewank2008evaluating, reverse mode: a linear map transposed",
    rank=610,
    says="stepped back in time from zero, and summed over the steps for what is tied, these are the gradients:",
)
def adjoint_recursion(subject: Adjoint, ask: Ask) -> Claim:
    """The gradients by all trainable parameters, and the cotangents they need, as a recursion back in time."""
    program = ask.program
    base = program.base
    assert base is not None
    gradients = [
        Gradient(sp.Symbol(p.name), t) for p in base.parameters if p.trainable and products_of(program, p.name)
    ]
    equations = [ask.equation("gradient", gradient) for gradient in gradients]
    equations += [ask.equation("cotangent", Cotangent(c, t)) for c in moving(program)]
    return Recurrence(subject, sp.Tuple(*gradients), tuple(equations), (t,))
