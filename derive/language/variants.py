"""The same recursion with other declarations: parameters frozen, or drawn afresh at each step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from wideproof.derive.language.program import Bias, Coordinate, MatVec, Parameter, Program, Term, coordinate, frozen
from wideproof.derive.language.recursion import Recursion


def redeclared(program: Program, made: Mapping[Parameter, Parameter]) -> Program:
    """The same recursion in other parameters, every coordinate renamed after its new declaration."""
    renamed: dict[Coordinate, Coordinate] = {}
    terms: list[tuple[Coordinate, Term]] = []
    for old, term in program.terms:
        if isinstance(term, MatVec):
            term = MatVec(made[term.matrix], term.vector.xreplace(renamed))
        elif isinstance(term, Bias):
            term = Bias(made[term.parameter])
        renamed[old] = coordinate(program.name, term)
        terms.append((renamed[old], term))
    updates = tuple((renamed[c], body.xreplace(renamed)) for c, body in program.updates)
    return replace(
        program,
        parameters=tuple(made.values()),
        updates=updates,
        output=program.output.xreplace(renamed),
        terms=tuple(terms),
    )


def changed(program: Program, change: Callable[[Parameter], Parameter]) -> Program:
    """The same recursion with a change to each of its parameters."""
    return redeclared(program, {p: change(p) for p in program.parameters})


def untied(recursion: Recursion | Program) -> Program:
    """The independent-weights approximation: whatever feeds a state is drawn afresh at each step.

    What is read only by the output stays one draw.  Source: yang2020tensor2 calls the tied case weight sharing.
    """
    program = frozen(recursion)
    out = {
        getattr(program.table[c], "matrix", getattr(program.table[c], "parameter", None))
        for c in program.output.free_symbols
        if c in program.table
    }
    return changed(program, lambda p: p if p in out else replace(p, tied=False))
