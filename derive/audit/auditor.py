"""The independent audit: every claim evaluated exactly at random rational points, without the engine's rules.

Moments, kernels and closed forms are evaluated in random worlds; definitions in small rational matrices, tangents
by differentiating those; theorems' hypotheses by difference quotients of the maps.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import singledispatch
from itertools import product
from typing import Any

import sympy as sp

from wideproof.derive.audit.definitions import SmallMatrices
from wideproof.derive.audit.growth import measured_growth
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.world import HORIZON, World
from wideproof.derive.calculus.gaussian_process import Cov
from wideproof.derive.calculus.moments import FIRST, SECOND, Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, TANGENT_OUTPUT, StateMoments
from wideproof.derive.calculus.tangent import MARK, moved_coordinates
from wideproof.derive.language.activations import Phi, has_jump
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.notation import n, p, q
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Program
from wideproof.derive.proof.claims import ProcessForm
from wideproof.derive.proof.proof import Claim, Equation, Hypothesis, Limit, Proof, Recurrence, Step, Vanishing

WORLDS = 2
DIGITS = 30
SMALL = 3
GAPS = {"=": [(0, 0)], "<": [(0, 1), (0, 2)], ">": [(1, 0), (2, 0)], "any": [(0, 0), (0, 2), (1, 0)]}
"""Lags to try for each relation of two times; every pair is moved by 0, 1 and 2 steps."""


def worlds(program: Program, seed: int = 0) -> list[World]:
    """A few random worlds of a program."""
    return [World(program, seed + i, MEANINGS) for i in range(WORLDS)]


def audit(proof: Proof, seed: int = 0) -> None:
    """Raise ProofError at the first step whose claim is false in one of a few random worlds."""
    drawn = worlds(proof.program, seed)
    for index, step in enumerate(proof.steps):
        audit_step(step, drawn, f"step {index} ({step.rule}), audit")


def audit_step(step: Step, drawn: list[World], where: str = "audit") -> None:
    """Raise ProofError if the claim of one step is false, or has no value, in one of the worlds."""
    for world in drawn:
        try:
            check(step.claim, world)
        except ProofError as error:
            raise ProofError(where, error.expected, error.got, error.hint) from None
        except Exception as error:  # an altered claim may not even be evaluable
            raise ProofError(
                where, "a claim with a value", repr(error), "The claim has no meaning at integer times."
            ) from error


@singledispatch
def check(claim: Claim, world: World) -> None:
    """Raise ProofError unless the claim is true in the world."""
    raise ProofError("audit", "a claim of a known kind", type(claim).__name__, "Register a check beside the kind.")


@check.register
def _(claim: Equation, world: World) -> None:
    if isinstance(claim.left, Coordinate) or claim.left in (OUTPUT, TANGENT_OUTPUT):
        return _same(claim, *SmallMatrices(world).sides(claim))
    for at in _points(world, claim.left, claim.right):
        _same(claim, world.number(claim.left, at), world.number(claim.right, at))
    return None


@check.register
def _(claim: Limit, world: World) -> None:
    check(Equation(claim.left, claim.right), world)


@check.register
def _(claim: Recurrence, world: World) -> None:
    if not claim.equations:
        raise ProofError("audit", "equations", "none", "A recurrence says how its moments are found.")
    for equation in claim.equations:
        check(equation, world)
    if isinstance(claim.right, sp.Tuple):
        _check_determined(claim, world)
    else:
        check(Equation(claim.left, claim.right), world)


@check.register
def _(claim: ProcessForm, world: World) -> None:
    for equation in claim.equations:
        check(equation, world)
    if not isinstance(claim.right, sp.Tuple):
        check(Equation(claim.left, claim.right), world)
    if {e.left for e in claim.paths} != set(world.program.bodies):
        raise ProofError("audit", "the path of every state", claim.paths, "A state is not determined.")
    stated = {e.left.args[:2] for e in claim.covariances}
    products = [c for c, term in world.program.terms if isinstance(term, MatVec | Bias) and _is_read(world.program, c)]
    for c, d in product(products, repeat=2):
        if (c, d) not in stated and (d, c) not in stated:
            for first, second in ((0, 0), (1, 0)):
                _same(claim, world.number(Cov(c, d, sp.Integer(first), sp.Integer(second), FIRST, SECOND), {}), 0)


def _is_read(program: Program, c: Coordinate) -> bool:
    """Whether an update reads a coordinate, and not the output alone."""
    inside = [term.vector for d, term in program.terms if isinstance(term, MatVec) and term.matrix.role != "readout"]
    return any(expr.has(c) for expr in (*program.bodies.values(), *inside))


def _check_determined(claim: Recurrence, world: World) -> None:
    """All moments that a form is about are among its equations, or vanish."""
    stated = {e.left for e in claim.equations}
    for missing in set(claim.right) - stated:
        raise ProofError("audit", "an equation for each moment", missing, "It is not determined.")
    if isinstance(claim.left, StateMoments):
        for u, v in product(world.program.bodies, repeat=2):
            left = Moment(u, v, claim.indices[0], claim.indices[1], FIRST, SECOND)
            if left not in stated:
                check(Equation(left, sp.S.Zero), world)


@check.register
def _(claim: Vanishing, world: World) -> None:
    for u, v, relation, labels in claim.members:
        for (first, second), start in product(GAPS[relation], range(3)):
            lags = map(sp.Integer, (start + first, start + second))
            _same(claim, world.number(Moment(u, v, *lags, *labels), {}), sp.S.Zero)


@check.register
def _(claim: Hypothesis, world: World) -> None:
    moved = moved_coordinates(world.program)
    still = {c: sp.S.Zero for c in world.program.table if MARK in c.label and c not in moved}
    for _, body, kind in claim.maps:
        if _reads_jump(body) and body.xreplace(still) == 0:  # the derivative of a jump stands beside zero alone
            continue
        measured = measured_growth(body, world.parameters, world.random)
        if measured != kind:
            raise ProofError("audit", measured, kind, f"The map {body} grows otherwise.")


def _reads_jump(body: sp.Expr) -> bool:
    return any(phi.args[1] and has_jump(str(phi.args[0]), int(phi.args[1])) for phi in body.atoms(Phi))


def _same(claim: Claim, left: Any, right: Any) -> None:
    gap = sp.sympify(left, strict=True) - sp.sympify(right, strict=True)
    values = list(gap) if isinstance(gap, sp.MatrixBase) else [gap]
    if any(value != 0 and abs(sp.N(value, DIGITS)) > sp.Float(10) ** (2 - DIGITS) for value in values):
        raise ProofError("audit", left, right, f"At a random rational point {claim} is false.")


def _points(world: World, *exprs: sp.Expr) -> Iterator[dict[sp.Symbol, int]]:
    """Integer values of the free indices: all small times, a later one; rows equal, and at two points different."""
    bound = {x for e in exprs for total in e.atoms(sp.Sum) for x in total.bound_symbols}
    free = sorted(
        {x for e in exprs for x in e.free_symbols if not isinstance(x, Coordinate)}
        - set(world.parameters)
        - {FIRST, SECOND, p, q}
        - bound,
        key=str,
    )
    rows = [x for x in free if str(x).rstrip("'") in ("r", "c")]
    times = [x for x in free if x not in rows and x != n]
    late = tuple(world.random.randint(0, world.horizon - 1) for _ in times)
    grid = [at for at in product(range(SMALL), repeat=len(times)) if sum(at) <= world.horizon]
    grid = grid if len(times) <= 2 else [(1,) * len(times)]
    points = [(at, 0, 0) for at in (*grid, late)]
    points += [((1,) * len(times), *unequal) for unequal in ((0, 1), (1, 0)) if rows]
    for trial, (at, first, second) in enumerate(points):
        values = {x: max(time, int(x.is_positive or 0)) for x, time in zip(times, at, strict=True)}
        values |= {x: second if str(x).endswith("'") else first for x in rows}
        values |= {x: 1 + trial % 2 for x in free if x == n}  # at a finite width, every entry is written out
        yield values | _normal_equation(world, free)


def _normal_equation(world: World, free: list[sp.Symbol]) -> dict[sp.Symbol, int]:
    """Of the normal equations of a predictor at t take the k-th, k = 1 ... t."""
    lag = next((x for x in free if str(x) == "k" and x.is_positive), None)
    step = next((x for x in free if str(x) == "t"), None)
    if lag is None or step is None:
        return {}
    time = world.random.randint(1, HORIZON - 1)
    return {step: time, lag: world.random.randint(1, time)}
