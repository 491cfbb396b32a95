"""Definitions audited in small rational matrices, tangents by differentiating along a perturbation drawn here.

A program is judged whole: what it declares agrees with what it reads, and a tangent program is the derivative of its
base along independent perturbations of the trainable parameters, one draw where they are tied, from states at rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import sympy as sp

from wideproof.derive.audit.dual_numbers import Dual, DualValues, times, total
from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.audit.world import World
from wideproof.derive.calculus.recursion_rules import OUTPUT, TANGENT_OUTPUT
from wideproof.derive.language.errors import ProofError
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
from wideproof.derive.proof.claims import Equation

SIZE, SPARE = 2, 3
"""Of the matrices; and by how much the degree of an activation exceeds the highest order of differentiation."""
MOVED = "δ"
"""What begins the name of a perturbed parameter or state."""


class SmallMatrices:
    """One step of a recursion and of its tangent in real rational matrices; the tangent by differentiation."""

    def __init__(self, world: World) -> None:
        self.world, self.program = world, world.program
        self.base = world.program.base or world.program
        self.drawn: dict[Any, list[list[Fraction]]] = {}
        self.activations: dict[str, list[Fraction]] = {}

    def sides(self, claim: Equation) -> tuple[sp.Matrix, sp.Matrix]:
        """Both sides of a definition: what the recursion does, and what the claim says."""
        return self.does(claim.left), self.says(claim.right)

    def does(self, left: Any) -> sp.Matrix:
        """What the base does to a state or to the output, or how that moves for their perturbations."""
        if left == OUTPUT or left in self.base.bodies:
            own = self.base.output if left == OUTPUT else self.base.bodies[left]
            return sp.Matrix([sp.Rational(value) for value, _ in self._vector(own, moving=False)])
        source = self.base.output if left == TANGENT_OUTPUT else self.base.bodies[self._unmoved(left)]
        return sp.Matrix([sp.Rational(slope) for _, slope in self._vector(source, moving=True)])

    def says(self, right: sp.Expr) -> sp.Matrix:
        """The value of an expression in coordinates of the program."""
        return sp.Matrix([sp.Rational(value) for value, _ in self._vector(right, moving=False)])

    def _unmoved(self, c: Coordinate) -> Coordinate:
        term = self.program.table[c]
        assert isinstance(term, Updated)
        return next(b for state, b in self.base.updated.items() if MOVED + state.name == term.state.name)

    def _draw(self, key: Any, columns: int = 1) -> list[list[Fraction]]:
        if key not in self.drawn:
            self.drawn[key] = [[self.world.rational() for _ in range(columns)] for _ in range(SIZE)]
        return self.drawn[key]

    def _activation(self, name: str) -> list[Fraction]:
        if name not in self.activations:
            self.activations[name] = [self.world.rational() for _ in range(self.world.order + SPARE + 1)]
        return self.activations[name]

    def _vector(self, expr: sp.Expr, moving: bool) -> list[Dual]:
        values = {c: self._term(c, moving) for c in coordinates_of(expr)}
        rows = [{c: vector[i] for c, vector in values.items()} for i in range(SIZE)]
        return [DualValues(row.__getitem__, self._activation, self.world.fraction).of(expr) for row in rows]

    def _term(self, c: Coordinate, moving: bool) -> list[Dual]:
        match self.program.table[c]:
            case Input():
                return [(x, Fraction(0)) for (x,) in self._draw("x")]
            case MatVec(matrix, vector):
                inner = self._vector(vector, moving)
                rows = self._parameter(matrix, SIZE, moving)
                return [total(times(m, v) for m, v in zip(row, inner, strict=True)) for row in rows]
            case Bias(parameter):
                return [row[0] for row in self._parameter(parameter, 1, moving)]
            case Previous(state) | Updated(state) as term:
                kind = type(term).__name__
                value, slope = self._draw((kind, state.name)), self._draw((kind, MOVED + state.name))
                return [(x, d if moving else Fraction(0)) for (x,), (d,) in zip(value, slope, strict=True)]

    def _parameter(self, parameter: Parameter, columns: int, moving: bool) -> list[list[Dual]]:
        own, moved = self._draw(parameter.name, columns), self._draw(MOVED + parameter.name, columns)
        rate = Fraction(moving and parameter.trainable)
        return [[(x, rate * d) for x, d in zip(row, other, strict=True)] for row, other in zip(own, moved, strict=True)]


# ---- the program that a proof is about -------------------------------------------------------------
def check_program(world: World) -> None:
    """Raise ProofError unless the program agrees with itself and, if it is a tangent, with its base."""
    program = world.program
    _check_declared(program)
    if program.base is not None:
        _check_declared(program.base)
        _check_parameters(program, program.base)
        _check_states(program, program.base)
        _check_moved(program, program.base, SmallMatrices(world))


def still_coordinates(program: Program) -> set[Coordinate]:
    """The coordinates of a tangent that no perturbation of a parameter reaches: they are zero."""
    if program.base is None:
        return set()
    added = {c: term for c, term in program.terms if c not in program.base.table}
    moving: set[Coordinate] = set()
    while new := {c for c, term in added.items() if c not in moving and _moves(program, term, moving)}:
        moving |= new
    return set(added) - moving


def _moves(program: Program, term: Term, moving: set[Coordinate]) -> bool:
    assert program.base is not None
    match term:
        case MatVec(matrix, vector):
            return matrix not in program.base.parameters or bool(moving & vector.free_symbols)
        case Bias(parameter):
            return parameter not in program.base.parameters
        case Previous(state):
            return program.updated[state] in moving
        case Updated(state):
            return bool(moving & program.bodies[program.updated[state]].free_symbols)
    return False


def _refuse(what: str, expected: Any, got: Any, hint: str) -> NoReturn:
    raise ProofError(f"{what}, audit", str(expected), got, hint)


def _check_declared(program: Program) -> None:
    """Every term is of a declared parameter or state and bears its own name; updates read only what is there."""
    for kind, declared in (("parameters", program.parameters), ("states", program.states)):
        if len({x.name for x in declared}) != len(declared):
            _refuse(f"{kind} of {program.name}", "different names", declared, "Two declarations share a name.")
    for c, term in program.terms:
        own = getattr(term, "matrix", getattr(term, "parameter", getattr(term, "state", None)))
        if own is not None and own not in (*program.parameters, *program.states):
            _refuse(f"{c.label} of {program.name}", "a declared parameter or state", own, "It was declared otherwise.")
        if coordinate(program.name, term) != c:
            _refuse(f"{c.label} of {program.name}", "the coordinate of its term", term, "The term was exchanged.")
    done: set[Coordinate] = set()
    for c, body in program.updates:
        _check_readable(program, body, done, c)
        done.add(c)
    _check_readable(program, program.output, done, TANGENT_OUTPUT if program.base else OUTPUT)
    if done != set(program.updated.values()):
        _refuse(f"updates of {program.name}", program.updated, done, "Every state has one update.")


def _check_readable(program: Program, expr: sp.Expr, done: set[Coordinate], reader: sp.Symbol) -> None:
    """All that an expression reads, through products too, has a term, and what is updated is so before."""
    todo, seen = coordinates_of(expr), set()
    while todo:
        c = todo.pop()
        term = program.table.get(c)
        if term is None or (isinstance(term, Updated) and c not in done):
            _refuse(f"{reader} of {program.name}", "coordinates known before", c, "It reads what is not there yet.")
        if isinstance(term, MatVec) and c not in seen:
            todo += coordinates_of(term.vector)
        seen.add(c)


def _perturbation(parameter: Parameter, parameterization: str) -> Parameter:
    """The law of the perturbation: centred, of unit variance in entries, of the parameter's own in "ntk"."""
    variance = {"entries": sp.S.One, "ntk": sp.sympify(parameter.variance, strict=True)}[parameterization]
    return Parameter(MOVED + parameter.name, parameter.role, variance, parameter.tied, True, sp.S.Zero)


def _check_parameters(program: Program, base: Program) -> None:
    """The parameters of the base, then perturbations of trainable ones with their true law."""
    if program.parameterization not in ("entries", "ntk"):
        _refuse("parameterization", '"entries" or "ntk"', program.parameterization, "The law is not known.")
    count = len(base.parameters)
    if program.parameters[:count] != base.parameters:
        _refuse("parameters of the tangent", base.parameters, program.parameters, "The base has others.")
    moved = {MOVED + x.name: _perturbation(x, program.parameterization) for x in base.parameters if x.trainable}
    for parameter in program.parameters[count:]:
        if parameter != moved.get(parameter.name):
            _refuse(
                f"perturbation {parameter.name}", moved.get(parameter.name), parameter, "Its law is another, or frozen."
            )


def _at_rest(states: Iterable[State]) -> tuple[State, ...]:
    """Perturbed states start at zero and read in the direction of their own."""
    return tuple(State(MOVED + x.name, sp.S.Zero, False, x.backward) for x in states)


def _check_states(program: Program, base: Program) -> None:
    """The states of the base, then their perturbations, which start at zero."""
    if program.states != (*base.states, *_at_rest(base.states)):
        _refuse("states of the tangent", _at_rest(base.states), program.states, "Perturbations start at zero.")


def _check_moved(program: Program, base: Program, small: SmallMatrices) -> None:
    """The updates of the base, then how each of them moves, and how the output does."""
    count = len(base.updates)
    if program.updates[:count] != base.updates:
        _refuse("updates of the tangent", base.updates, program.updates, "The base has others.")
    if {c: base.table.get(c) for c in base.table} != {c: program.table.get(c) for c in base.table}:
        _refuse("terms of the tangent", base.terms, program.terms, "The base has others.")
    for left, right in (*program.updates[count:], (TANGENT_OUTPUT, program.output)):
        does, says = small.does(left), small.says(right)
        if does != says:
            _refuse(f"perturbation {left}", list(does), list(says), f"{right} is not the derivative.")
