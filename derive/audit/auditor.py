"""The independent audit: every claim evaluated exactly at random rational points, without the engine's rules.

Moments, kernels and closed forms are evaluated in random worlds; definitions in small rational matrices, tangents
by differentiating those; theorems' hypotheses by difference quotients of the maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from functools import singledispatch
from itertools import product
from typing import Any

import sympy as sp

from wideproof.derive.audit.definitions import SmallMatrices, check_program, still_coordinates
from wideproof.derive.audit.growth import GROWTH, measured_growth
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.recurrences import check_closed, check_starts, check_starts_stated, check_stepped
from wideproof.derive.audit.world import HORIZON, Curved, World, curved_groups, expressions_of
from wideproof.derive.calculus.gaussian_process import Cov
from wideproof.derive.calculus.innovations import NORMAL
from wideproof.derive.calculus.moments import FIRST, SECOND, Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, ROW, ROW2, TANGENT_OUTPUT, StateMoments
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.activations import Phi, has_jump
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.notation import n, p, q, t
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Previous, Program, Updated
from wideproof.derive.linear.convolution import COLUMN, COLUMN2
from wideproof.derive.linear.finite_width import KernelCovariance, KernelMoment, ResponseMoment
from wideproof.derive.linear.width_bound import KernelGap
from wideproof.derive.proof.claims import (
    Claim,
    Definition,
    Equation,
    Hypothesis,
    Limit,
    ProcessForm,
    Recurrence,
    Vanishing,
)
from wideproof.derive.proof.proof import Proof, Step
from wideproof.derive.width_expansion.product_means import ProductMean

WORLDS = 2
AT_WIDTH = (ResponseMoment, KernelMoment, KernelCovariance, KernelGap)
WANTED: dict[type, Callable[[Any, tuple[Equation, ...]], Iterable[sp.Expr]]] = {}
"""Kind of subject -> what a form about it must have equations for, given the program and the equations it has."""
COEFFICIENTS: dict[type, Callable[[sp.Expr], tuple[int, ...]]] = {}
"""Kind of subject that is a polynomial in n with whole coefficients -> those of 1, n, n^2, ..."""
CHECKS: dict[type, Callable[[World, Equation], None]] = {}
"""Kind of subject -> how an equation about it is checked, where that is no evaluation at points."""
LIPSCHITZ_ONLY = "lemma-c1"
"""The theorem that takes no map of polynomial growth."""
HELD = "held"
"""Where a world keeps the claims that were found true in it: one that is part of a later claim is not checked again."""
DIGITS = 30
SMALL = 3
GAPS = {"=": [(0, 0)], "<": [(0, 1), (0, 2)], ">": [(1, 0), (2, 0)], "any": [(0, 0), (0, 2), (1, 0)]}
"""Lags to try for each relation of two times; every pair is moved by 0, 1 and 2 steps."""


def worlds(program: Program, seed: int = 0, order: int = 1) -> list[World]:
    """A few random worlds of a program, in which activations have derivatives of an order and beyond.

    Where states multiply, activations of the least degree have constant derivatives: in further worlds they are curved.
    """
    drawn = [World(program, seed + i, MEANINGS, order) for i in range(WORLDS)]
    groups = curved_groups(program) if drawn[0].grows else ()
    for latest, names in enumerate(groups):
        drawn += [World(program, seed + len(drawn), MEANINGS, order, Curved(names, latest))] if names else []
    return drawn


def audit(proof: Proof, seed: int = 0) -> None:
    """Raise ProofError where the program is not what it declares, or a claim is false in one of a few random worlds."""
    drawn = worlds(proof.program, seed, highest_order(proof))
    for world in drawn:
        check_program(world)
    for index, step in enumerate(proof.steps):
        audit_step(step, drawn, f"step {index} ({step.rule}), audit")


def highest_order(proof: Proof) -> int:
    """The highest derivative of an activation in the claims of a proof, at least 1."""
    exprs = [x for step in proof.steps for x in _expressions(step.claim)]
    orders = [int(phi.args[1]) for x in exprs for phi in x.atoms(Phi)]
    orders += [int(order) for x in exprs for node in x.atoms(GaussianMean) for _, order in node.args[0]]
    orders += [order for x in exprs for node in x.atoms(ProductMean) for order in node.least_orders]
    return max(orders, default=1) or 1


def _expressions(part: Any) -> Iterator[sp.Basic]:
    """All expressions in a claim."""
    if isinstance(part, sp.Basic | sp.MatrixBase):
        yield part
    elif isinstance(part, tuple):
        for inner in part:
            yield from _expressions(inner)
    elif is_dataclass(part):
        for entry in fields(part):
            yield from _expressions(getattr(part, entry.name))


def audit_step(step: Step, drawn: list[World], where: str = "audit") -> None:
    """Raise ProofError if the claim of one step is false, or has no value, in one of the worlds."""
    for world in drawn:
        try:
            check(step.claim, world)
            world.memo.setdefault(HELD, set()).add(step.claim)
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
        return same(world, claim, *_small(world).sides(claim))
    if type(claim.left) in CHECKS:
        return CHECKS[type(claim.left)](world, claim)
    if type(claim.left) in COEFFICIENTS:
        return _same_polynomials(world, claim, COEFFICIENTS[type(claim.left)](claim.left))
    for at in _points(world, claim.left, claim.right):
        same(world, claim, world.number(claim.left, at), world.number(claim.right, at))
    return None


@check.register
def _(claim: Definition, world: World) -> None:
    """The recursion is that of the world, whose tangent `check_program` has drawn itself."""
    if claim.program not in (world.program, world.program.base):
        raise ProofError("audit", str(world.program), claim.program, "The definition is of another recursion.")


@check.register
def _(claim: Limit, world: World) -> None:
    check(Equation(claim.left, claim.right), world)
    if claim.form is not None:
        if claim.form not in world.memo.get(HELD, ()):
            check(claim.form, world)
        check(Equation(claim.left, claim.form.right), world)


@check.register
def _(claim: Recurrence, world: World) -> None:
    check_closed(claim)
    check_starts_stated(claim)
    for equation in claim.equations:
        check(equation, world)
    check_stepped(claim, world)
    if isinstance(claim.right, sp.Tuple):
        _check_determined(claim, world)
    else:
        check(Equation(claim.left, claim.right), world)


def _small(world: World) -> SmallMatrices:
    """The small matrices of a world."""
    if "small" not in world.memo:
        world.memo["small"] = SmallMatrices(world)
    return world.memo["small"]


@check.register
def _(claim: ProcessForm, world: World) -> None:
    if not _multiplies(world.program.base or world.program):
        hint = "Where nothing multiplies, moments of two times close, and an expectation over paths is no answer."
        raise ProofError("audit", "a recursion over two times", "a process", hint)
    for equation in claim.equations:
        check(equation, world)
    if not isinstance(claim.right, sp.Tuple):
        check(Equation(claim.left, claim.right), world)
    if {e.left for e in claim.paths} != set(world.program.bodies):
        raise ProofError("audit", "the path of every state", claim.paths, "A state is not determined.")
    check_starts(claim, world)
    stated = {e.left.args[:2] for e in claim.covariances}
    products = [c for c, term in world.program.terms if isinstance(term, MatVec | Bias) and _is_read(world.program, c)]
    for c, d in product(products, repeat=2):
        if (c, d) not in stated and (d, c) not in stated:
            for first, second in ((0, 0), (1, 0)):
                same(world, claim, world.number(Cov(c, d, sp.Integer(first), sp.Integer(second), FIRST, SECOND), {}), 0)


def _multiplies(program: Program) -> bool:
    """Whether states multiply, or an activation takes a state itself: then their law is not Gaussian."""
    vectors = [term.vector for _, term in program.terms if isinstance(term, MatVec)]
    past = {c for c, term in program.terms if isinstance(term, Previous | Updated)}
    for x in (x for body in (*program.bodies.values(), *vectors) for x in sp.preorder_traversal(body)):
        several = x.is_Mul and sum(factor.has(Coordinate) for factor in x.args) > 1
        power = x.is_Pow and x.has(Coordinate)
        if several or power or (isinstance(x, Phi) and x.args[2].atoms(Coordinate) & past):
            return True
    return False


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
    wanted = WANTED.get(type(claim.left))
    for left in wanted(world.program, claim.equations) if wanted is not None else ():
        if left not in stated:
            raise ProofError("audit", "an equation for each quantity", left, "It is not determined.")


@check.register
def _(claim: Vanishing, world: World) -> None:
    for u, v, relation, labels in claim.members:
        for (first, second), start in product(GAPS[relation], range(-1, 3)):
            times = (start + first, start + second)
            begun = all(time >= 0 or x in world.program.bodies for x, time in zip((u, v), times, strict=True))
            if begun and world.looks_at(times):
                same(world, claim, world.number(Moment(u, v, *map(sp.Integer, times), *labels), {}), sp.S.Zero)


@check.register
def _(claim: Hypothesis, world: World) -> None:
    """No map grows faster than is said, all maps of the program are said, and the theorem takes them."""
    still = dict.fromkeys(still_coordinates(world.program), sp.S.Zero)
    for left, body, kind in claim.maps:
        if _reads_jump(body) and body.xreplace(still) == 0:  # the derivative of a jump stands beside zero alone
            continue
        measured = measured_growth(body, world.parameters, world.random)
        if kind not in GROWTH or GROWTH.index(measured) > GROWTH.index(kind):
            raise ProofError("audit", measured, kind, f"The map {body} grows faster.")
        if left in world.program.bodies:
            same(world, Equation(left, body), *_small(world).sides(Equation(left, body)))
    if missing := set(world.program.bodies) - {left for left, _, _ in claim.maps}:
        raise ProofError("audit", "the maps of all states", missing, f"{claim.theorem} is about all of them.")
    if claim.theorem == LIPSCHITZ_ONLY:
        for expr in expressions_of(world.program):
            if measured_growth(expr, world.parameters, world.random) == GROWTH[-1]:
                raise ProofError("audit", "Lipschitz maps", expr, f"{claim.theorem} does not take {expr}.")


def _reads_jump(body: sp.Expr) -> bool:
    return any(phi.args[1] and has_jump(str(phi.args[0]), int(phi.args[1])) for phi in body.atoms(Phi))


def same(world: World, claim: Claim, left: Any, right: Any) -> None:
    """Raise ProofError unless both sides of a claim have one value in the world."""
    gap = sp.sympify(left, strict=True) - sp.sympify(right, strict=True)
    values = [x for x in (gap if isinstance(gap, sp.MatrixBase) else [gap]) if x != 0]
    if not values:
        return
    most = sp.S.One if world.exact else max(1, *(abs(sp.N(x, DIGITS)) for x in sp.flatten([left])))
    if any(abs(sp.N(value, DIGITS)) > most * sp.Float(10) ** (2 - DIGITS) for value in values):
        raise ProofError("audit", left, right, lambda: f"At a random rational point {claim} is false.")


def _same_polynomials(world: World, claim: Equation, known: tuple[int, ...]) -> None:
    """The right side is the polynomial in n with the known coefficients, as polynomials."""
    stated = {power: c for (power,), c in sp.Poly(claim.right, n).terms()}
    for power in range(max(len(known), 1 + max(stated))):
        same(world, claim, known[power] if power < len(known) else 0, stated.get(power, 0))


def _points(world: World, *exprs: sp.Expr) -> Iterator[dict[sp.Symbol, int]]:
    """Integer values of the free indices: all small times, a later one; rows equal, and at two points different."""
    bound = {x for e in exprs for total in e.atoms(sp.Sum) for x in total.bound_symbols}
    free = sorted(
        {x for e in exprs for x in e.free_symbols if not isinstance(x, Coordinate)}
        - set(world.parameters)
        - {FIRST, SECOND, p, q, OUTPUT, TANGENT_OUTPUT}
        - bound,
        key=str,
    )
    rows = [x for x in free if x in (ROW, COLUMN, ROW2, COLUMN2)]
    times = [x for x in free if x not in rows and x != n]
    late = tuple(world.random.randint(0, world.horizon - 1) for _ in times)
    grid = [at for at in product(range(SMALL), repeat=len(times)) if sum(at) <= world.horizon and world.looks_at(at)]
    second = (int(world.looks_at([1])),) * len(times)
    grid = grid if len(times) <= 2 else [second]
    points = [(at, 0, 0) for at in (*grid, late)]
    points += [(second, *unequal) for unequal in ((0, 1), (1, 0)) if rows]
    widths = _widths(*exprs) if n in free else range(1)
    for width, (at, row, row2) in product(widths, points):
        values = {x: max(time, int(x.is_positive or 0)) for x, time in zip(times, at, strict=True)}
        values |= {x: row2 if x in (ROW2, COLUMN2) else row for x in rows}
        values |= {x: width for x in free if x == n}
        yield values | _normal_equation(world, free)


def _normal_equation(world: World, free: list[sp.Symbol]) -> dict[sp.Symbol, int]:
    """Of the normal equations of a predictor at t take the k-th, k = 1 ... t."""
    if NORMAL not in free or t not in free:
        return {}
    time = world.random.randint(1, HORIZON - 1)
    return {t: time, NORMAL: world.random.randint(1, time)}


def _widths(*exprs: sp.Expr) -> range:
    """More widths than a polynomial in n, of the degree of the two sides times any power of n, has zeros."""
    powers = [_powers_of_width(x) for e in exprs for x in sp.Add.make_args(sp.expand(e))]
    low, high = (end(x for pair in powers for x in pair) for end in (min, max))
    return range(1, 3 + int(sp.ceiling(high - low)))


def _powers_of_width(term: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """The lowest and the highest power of n in a term."""
    power = term.as_coeff_exponent(n)[1] + sp.S.Zero if not term.atoms(*AT_WIDTH) else sp.S.Zero
    low = high = power if power.is_number else sp.S.Zero
    for x in term.atoms(*AT_WIDTH):
        if isinstance(x, ResponseMoment):
            low -= sp.Rational(len(x.args[1:]) + int(sum(x.args[1:])), 2)
        else:
            entries = x.args[1:] * (2 if isinstance(x, KernelGap) else 1)
            low -= sum(1 + sp.Rational(int(sum(entry[:2])), 2) for entry in entries)
    return low, high
