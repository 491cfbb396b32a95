"""Which states a linear update reads, directly and through which matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from wideproof.derive.language.activations import Phi
from wideproof.derive.language.errors import NotClosed
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


@dataclass(frozen=True)
class Read:
    """One state in the update of another: its factor, through a matrix or directly, before or after its own update."""

    target: Coordinate
    source: Coordinate
    factor: sp.Expr
    matrix: Parameter | None
    after: bool


def is_affine(program: Program) -> bool:
    """Whether every update is a sum of states, matrices times such sums, inputs, biases and constants.

    The difference of two runs with the same inputs is then a linear recursion without inputs.
    """
    exprs = [*program.bodies.values(), *(x.vector for _, x in program.terms if isinstance(x, MatVec))]
    return all(not expr.has(Phi) and _is_sum(expr) for expr in exprs)


def _is_sum(expr: sp.Expr) -> bool:
    found = coordinates_of(expr)
    return all(not sp.diff(expr, c).has(Coordinate) for c in found)


def state_reads(program: Program, bodies: Mapping[Coordinate, sp.Expr]) -> list[Read]:
    """All reads of states in affine updates.

    Errors: NotClosed for a matrix of a matrix product, which is no matrix of independent entries.
    """
    return [
        read
        for target, body in bodies.items()
        for c in coordinates_of(body)
        for read in _read(program, target, c, sp.diff(body, c))
    ]


def _read(program: Program, target: Coordinate, c: Coordinate, factor: sp.Expr) -> list[Read]:
    term = program.table[c]
    if isinstance(term, Previous | Updated):
        return [_of_state(program, target, c, factor, None)]
    if isinstance(term, Bias) or (isinstance(term, MatVec) and term.matrix.role == "input_map"):
        return []
    assert isinstance(term, MatVec)
    inner = coordinates_of(term.vector)
    if not all(isinstance(program.table[x], Previous | Updated) for x in inner):
        raise NotClosed(
            f"update of {target.label}",
            "matrices that multiply states",
            c.label,
            "A product of matrices has entries that are not independent; make the inner product a state of its own.",
        )
    return [_of_state(program, target, x, factor * sp.diff(term.vector, x), term.matrix) for x in inner]


def _of_state(program: Program, target: Coordinate, c: Coordinate, factor: sp.Expr, matrix: Parameter | None) -> Read:
    term = program.table[c]
    assert isinstance(term, Previous | Updated)
    return Read(target, program.updated[term.state], factor, matrix, isinstance(term, Updated))
