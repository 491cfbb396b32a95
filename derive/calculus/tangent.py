"""Lemma B.1: the tangent kernel is the covariance of the output's response to a random perturbation.

Perturbing every trainable entry by an independent N(0, 1) turns the sum of products of gradients into an
expectation, so the tangent of a recursion is again a recursion: d(M v) = dM v + M dv, with dM tied as M is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

import sympy as sp

from wideproof.derive.language.activations import Phi, has_jump
from wideproof.derive.language.errors import NotClosed, ParameterError
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.program import (
    Bias,
    Coordinate,
    Input,
    MatVec,
    Parameter,
    Previous,
    Program,
    State,
    Term,
    Updated,
    coordinate,
    coordinates_of,
)
from wideproof.derive.language.variants import changed

MARK = "δ"
"""Prefix of perturbed names; no declared name holds it."""


@lru_cache(maxsize=256)
def tangent(program: Program, parameterization: str = "entries") -> Program:
    """The recursion of (h, dh): its output is the directional derivative of y along a random perturbation.

    `parameterization="entries"` perturbs the entries themselves by N(0, 1); "ntk" perturbs unit-variance
    parameters that the recursion multiplies by their standard deviation.  Source: emami2021implicit (38), (44).
    """
    if parameterization not in ("entries", "ntk"):
        raise ParameterError(
            "parameterization",
            '"entries" or "ntk"',
            repr(parameterization),
            '"entries" differentiates by the entries of W, "ntk" by unit-variance parameters.',
        )
    return _Perturbation(program, parameterization).result()


def trained_only(program: Program, names: Iterable[str]) -> Program:
    """The same recursion with all parameters frozen but those named.  Errors: ParameterError for unknown names."""
    kept, known = {names} if isinstance(names, str) else set(names), {p.name for p in program.parameters if p.trainable}
    if not kept or kept - known:
        raise ParameterError(
            "parameters",
            f"names among {', '.join(sorted(known))}",
            shortened(", ".join(sorted(kept)) or "none"),
            "The kernel of a group of parameters is that of the recursion with the others frozen.",
        )
    return changed(program, lambda p: replace(p, trainable=p.trainable and p.name in kept))


def refuse_jumps(program: Program, where: str) -> None:
    """Raise NotClosed where a perturbation that is not zero passes through the derivative of a jump, which is none."""
    moving = moved_coordinates(program)
    exprs = [*program.bodies.values(), *(x.vector for _, x in program.terms if isinstance(x, MatVec)), program.output]
    terms = {x for expr in exprs for x in sp.Add.make_args(sp.expand(expr)) if moving & x.free_symbols}
    for phi in sorted(set().union(*(x.atoms(Phi) for x in terms)), key=str):
        name, order = str(phi.args[0]), int(phi.args[1])
        if order and has_jump(name, order):
            raise NotClosed(
                where,
                "activations whose derivative is a function",
                f"{name}, which jumps",
                "The gradient through a jump does not exist. Take a continuous activation, such as erf; or freeze what "
                "feeds it, as in parameters=('C',), the kernel of the readout alone. nngp(…) exists.",
            )


def moved_coordinates(program: Program) -> set[sp.Expr]:
    """The coordinates of a tangent program that a perturbed parameter reaches; all other perturbations are zero."""
    found: set[sp.Expr] = set()
    while True:
        new = {c for c, term in program.terms if _is_moved(program, c, term, found)} - found
        if not new:
            return found
        found |= new


def _is_moved(program: Program, c: Coordinate, term: Term, moved: set[sp.Expr]) -> bool:
    match term:
        case MatVec(matrix, vector):
            return matrix.name.startswith(MARK) or bool(moved & vector.free_symbols)
        case Bias(parameter):
            return parameter.name.startswith(MARK)
        case Updated(state):
            return bool(moved & program.bodies[program.updated[state]].free_symbols)
        case Previous(state):
            return program.updated[state] in moved
    return False


def differential_of(program: Program, expr: sp.Expr) -> sp.Expr:
    """The differential of an expression of the base recursion, in the coordinates of its tangent `program`."""
    assert program.base is not None
    return _Perturbation(program.base, program.parameterization).differential(expr)


def perturbed(state: State) -> State:
    """What a state becomes under a perturbation of the parameters: zero at the start, of the same direction."""
    return State(MARK + state.name, backward=state.backward)


class _Perturbation:
    """One pass over a program that adds the perturbed terms to its table."""

    def __init__(self, program: Program, parameterization: str) -> None:
        self.program, self.parameterization = program, parameterization
        self.table: dict[Coordinate, Term] = dict(program.table)
        self.parameters: dict[Parameter, Parameter] = {}

    def result(self) -> Program:
        program = self.program
        states = {s: perturbed(s) for s in program.states}
        for state in states.values():
            self._intern(Updated(state))
            self._intern(Previous(state))
        updates = list(program.updates)
        for updated, body in program.updates:
            term = program.table[updated]
            assert isinstance(term, Updated)
            updates.append((self._intern(Updated(states[term.state])), self.differential(body)))
        output = self.differential(program.output)
        return Program(
            program.name,
            (*program.parameters, *self.parameters.values()),
            (*program.states, *states.values()),
            tuple(updates),
            output,
            tuple(self.table.items()),
            program,
            self.parameterization,
        )

    def _intern(self, term: Term) -> Coordinate:
        c = coordinate(self.program.name, term)
        self.table.setdefault(c, term)
        return c

    def differential(self, expr: sp.Expr) -> sp.Expr:
        """d expr, by the chain rule over its coordinates."""
        return sp.expand(sp.Add(*(sp.diff(expr, c) * self._perturbed(c) for c in coordinates_of(expr))))

    def _perturbed(self, c: Coordinate) -> sp.Expr:
        match self.program.table[c]:
            case Previous(state):
                return self._intern(Previous(perturbed(state)))
            case Updated(state):
                return self._intern(Updated(perturbed(state)))
            case MatVec(matrix, vector):
                own = self._matvec(self._delta(matrix), vector) if matrix.trainable else sp.S.Zero
                through = sp.S.Zero if matrix.role == "input_map" else self._product(matrix, vector)
                return own + through
            case Bias(parameter):
                return self._intern(Bias(self._delta(parameter))) if parameter.trainable else sp.S.Zero
            case Input():
                return sp.S.Zero

    def _product(self, matrix: Parameter, vector: sp.Expr) -> sp.Expr:
        d = self.differential(vector)
        return self._matvec(matrix, d) if d != 0 else sp.S.Zero

    def _matvec(self, matrix: Parameter, vector: sp.Expr) -> Coordinate:
        return self._intern(MatVec(matrix, vector))

    def _delta(self, parameter: Parameter) -> Parameter:
        variance = sp.S.One if self.parameterization == "entries" else parameter.variance
        made = Parameter(MARK + parameter.name, parameter.role, variance, parameter.tied)
        return self.parameters.setdefault(parameter, made)
