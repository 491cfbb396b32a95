"""Fixed points, slopes and horizons of `memory` between bounds: a change of sign proved in ball arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from wideproof.derive import Derivation, Memory, Program, Recursion, memory
from wideproof.derive.algebra.ball_code import flint
from wideproof.derive.emit.enclosed_mean import enclosed_mean
from wideproof.derive.emit.mean_formula import MeanFormula
from wideproof.derive.language.errors import NotAccurate
from wideproof.numeric.core.enclosures import BITS, Enclosure, narrow
from wideproof.numeric.core.inputs import real
from wideproof.numeric.memory_horizon.fixed_points import Analysis, Point, analyse, groups_of, letter_of

INFINITE = Enclosure(math.inf, math.inf, "inf", BITS[0])
TOLERANCE = 1e-10
"""The width of an enclosure that is let pass, where none is given."""
NEWTON, LEAST_STEP, LARGEST_STEP = 3, 70, 12
"""Steps towards a root, and half-widths 2^-k of its size at which a change of sign is looked for."""


@dataclass(frozen=True)
class EnclosedPoint:
    """A fixed point that exists, between bounds, and what follows from it there.

    q, c by state, as of `Point`; slope and horizon at the c that two runs tend to.

    >>> (point,) = wp.certified_points(wp.models.elman("erf"), nu_W=0.5, X=1.0, nu_F=1.0, nu_b=0.1)
    >>> point.chi.lower < point.chi.upper
    True
    """

    q: Mapping[str, Enclosure]
    c: Mapping[str, Enclosure]
    chi: Enclosure
    slope: Enclosure
    horizon: Enclosure


def certified_points(
    recursion: Memory | Recursion | Program, tolerance: float = TOLERANCE, **parameters: float
) -> tuple[EnclosedPoint, ...]:
    """Return every fixed point that `analyse` finds, proved to exist and enclosed with its slopes and horizon.

    The variance map minus its argument has certain and opposite signs at both ends of each q, the correlation map at
    both ends of each c; chi, slope and horizon hold for every q and c in between. That there is no other fixed point is
    not proved.
    Time: 0.1 to 5 s for each point.
    Shapes: scalars.  Units: steps for horizons.  Error: none, for parameters taken as the exact numbers that the given
    floats are. NotAccurate where a width is above `tolerance` times the larger of 1 and the value, where signs do not
    change (on the critical line, and where every variance is fixed), and for moments that feed each other;
    ParameterError as `analyse`.
    Source: intermediate value theorem; johansson2017arb; wideproof.memory.

    >>> points = wp.certified_points(wp.models.elman("erf"), nu_W=0.5, X=1.0, nu_F=1.0, nu_b=0.1)
    >>> len(points), 0 < points[0].chi.upper < 1
    (1, True)
    """
    flint()
    tolerance = real("certified_points: tolerance", tolerance, 0.0, above=True, hint="The width that is let pass.")
    derived = recursion if isinstance(recursion, Memory) else memory(recursion)
    return enclosed(derived, analyse(derived, **parameters), tolerance)


def enclosed(derived: Memory, analysis: Analysis, tolerance: float) -> tuple[EnclosedPoint, ...]:
    """Return the points of an analysis between bounds.  Error, source: `certified_points`."""
    return tuple(_point(derived, analysis, point, tolerance) for point in analysis.points)


def _point(derived: Memory, analysis: Analysis, point: Point, tolerance: float) -> EnclosedPoint:
    where = f"enclosure of memory({derived.program.name})"
    if not derived.chain.closed or any(len(group) > 1 for group in groups_of(derived)):
        raise NotAccurate(
            where,
            "states whose variance has a map of its own",
            "moments that feed each other, or none with a map",
            "Signs on both sides enclose a fixed point of one number: for these `analyse` gives estimates.",
        )
    bits = BITS[0]
    with flint().ctx.workprec(bits):
        at: dict[str, Any] = {name: flint().arb(x) for name, x in analysis.parameters.items()}
        q = _variances(derived, point, at, where)
        at |= {letter_of(derived, name, "q"): ball for name, ball in q.items()}
        chi = _largest(derived, "chi", at)
        c = dict(q) if point.phase == "ordered" else _covariances(derived, point, at, where)
        at |= {letter_of(derived, name, "c"): ball for name, ball in c.items()}
        slope = _largest(derived, "slope", at) if point.phase != "ordered" else chi
        horizon = _horizon(derived if point.phase == "ordered" else derived.horizon, slope, at, where)
    numbers = {"chi": chi, "slope": slope, "horizon": horizon}
    shown = {
        name: INFINITE if ball == flint().arb.pos_inf() else narrow(f"{where}: {name}", ball, bits, tolerance)
        for name, ball in numbers.items()
    }
    balls = [
        {name: narrow(f"{where}: {kind}", ball, bits, tolerance) for name, ball in group.items()}
        for kind, group in (("q", q), ("c", c))
    ]
    return EnclosedPoint(balls[0], balls[1], **shown)


def _variances(derived: Memory, point: Point, at: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The fixed points of the variance maps, each by those before it."""
    known: dict[str, Any] = {}
    for name, value in point.q.items():
        change = partial(_change, derived, derived.variance_map[name], at, "q", name, known.copy())
        known[name] = flint().arb(0) if value == 0 and change(flint().arb(0)).is_zero() else _root(change, value, where)
    return known


def _covariances(derived: Memory, point: Point, at: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The covariances that two runs tend to."""
    known: dict[str, Any] = {}
    for name, value in point.c.items():
        size = at[letter_of(derived, name, "q")]
        change = partial(_change, derived, derived.correlation_map[name], at, "c", name, known.copy())
        known[name] = size if size.is_zero() else _root(change, value, where, float(size.mid()))
    return known


def _change(
    derived: Memory, part: Derivation, at: Mapping[str, Any], kind: str, name: str, known: Mapping[str, Any], x: Any
) -> Any:
    """What a map adds to a moment x of a state, those of others being known: zero where it is fixed."""
    moments = {letter_of(derived, other, kind): ball for other, ball in {**known, name: x}.items()}
    return _enclosed(part, {**at, **moments}) - x


def _enclosed(part: Derivation, given: Mapping[str, Any]) -> Any:
    formula = part.formula
    assert isinstance(formula, MeanFormula)
    return enclosed_mean(formula, {name: given.get(name, flint().arb(0)) for name in formula.symbols})


def _root(change: Any, near: float, where: str, size: float | None = None) -> Any:
    """A ball around a number, with certain and opposite signs of a continuous function at both of its ends."""
    arb = flint().arb
    scale = arb(abs(near) if size is None else size)
    middle, step = arb(near), scale * arb(2) ** -40
    for _ in range(NEWTON):
        value, beside = change(middle), change((middle + step).mid())
        moved = middle - value * step / (beside - value)
        if not moved.is_finite() or not bool(abs(moved - middle) < scale * arb(2) ** -LARGEST_STEP):
            break
        middle = moved.mid()
    for power in range(LEAST_STEP, LARGEST_STEP, -4):
        half = scale * arb(2) ** -power
        ends = [change(x) for x in ((middle - half).mid(), (middle + half).mid())]
        if bool(ends[0] * ends[1] < 0):
            return (middle - half).mid().union((middle + half).mid())
    raise NotAccurate(
        where,
        "a fixed point at which the map crosses its argument",
        f"no certain signs on both sides of {near:.6g}",
        "Fixed points that touch, as on a critical line, and families of them have no enclosure: move a variance.",
    )


def _largest(derived: Memory, kind: str, at: Mapping[str, Any]) -> Any:
    """The largest slope among the states."""
    parts = [_enclosed(part, at) for part in getattr(derived, kind).values()]
    found = parts[0]
    for part in parts[1:]:
        found = found.max(part)
    return found


def _horizon(part: Derivation, slope: Any, at: Mapping[str, Any], where: str) -> Any:
    """The derived formula of the horizon; zero where the slope is, infinite where differences grow."""
    if slope.is_zero():
        return flint().arb(0)
    if slope > 1:
        return flint().arb.pos_inf()
    if not 0 < slope < 1:
        hint = "On the critical line no horizon is finite: move a variance."
        raise NotAccurate(where, "a slope on one side of 1", slope.str(10), hint)
    return _enclosed(part, at)
