"""Phase diagrams: slope and memory horizon of a one-state recursion over its matrix variance and its drive."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive import Memory, Program, Recursion, memory
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.activations import definition_at
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.inputs import finite_array, real
from wideproof.numeric.core.roots import roots
from wideproof.numeric.memory_horizon.fixed_points import LEAST, checked

STEPS, TOLERANCE, NEAR = 80, 1e-11, 1e-6
LARGEST = 2.0**24


@dataclass(frozen=True)
class PhaseDiagram:
    """chi and the memory horizon on a grid, and the derived line chi = 1.

    Shapes: across (k,), up (m,); q, chi, horizon (m, k); line (2, l) as (across, up), NaN where the variance diverges.
    Units: horizon in steps.
    """

    across: Host
    up: Host
    axes: tuple[str, str]
    q: Host
    chi: Host
    horizon: Host
    line: Host


def phase_diagram(
    recursion: Memory | Recursion | Program, across: Host, up: Host, *, matrix: str = "nu_W", drive: str = "nu_b",
    **parameters: float,
) -> PhaseDiagram:  # fmt: skip
    """Evaluate the derived maps over the variance of the matrix and a drive, at the fixed point reached from zero.

    Shapes: across (k,), up (m,).  Units: variances.  Error: the fixed points to 1e-11 of their size, the expectations
    by estimates; ParameterError for several states, or a symbol that the maps do not read.
    Source: wideproof.memory; schoenholz2017deep, figure 2.
    """
    derived = recursion if isinstance(recursion, Memory) else memory(recursion)
    if "gain" not in derived.critical:
        got = f"{len(derived.chain.states)} states, none or several of them with activations"
        hint = (
            "wideproof.numeric.memory_horizon.fixed_points.analyse evaluates single points of any chain; a linear "
            "state is critical at nu_W = 1."
        )
        raise ParameterError("phase_diagram", "one state with one activation of one matrix product", got, hint)
    base = checked(derived, {matrix: 1.0, drive: 1.0, **parameters})
    (name,) = derived.variance_map
    nu, beta = np.meshgrid(*(_axis(name, x) for name, x in (("across", across), ("up", up))))
    grid: dict[str, Any] = {**base, matrix: nu, drive: beta}
    q = _settled(_of(derived.variance_map[name], grid))
    at = {**grid, "q": np.maximum(np.nan_to_num(q), LEAST)}
    chi = np.where(np.isnan(q), np.nan, _of(derived.chi[name], at)())
    c = _correlated(_of(derived.correlation_map[name], at), at["q"], chi)
    slope = _of(derived.slope[name], at)(c=c)
    inside = (slope < 1) & (slope > 0) & ~np.isnan(chi)
    safe = {key: np.where(inside, x, 0.5) for key, x in at.items()}
    safe["q"] = np.where(inside, at["q"], 0.5)
    horizon = _of(derived.horizon, safe)(c=np.where(inside, c, 0.25))
    horizon = np.where(inside, horizon, np.where(np.isnan(chi), np.nan, np.where(slope <= 0, 0.0, np.inf)))
    line = critical_line(derived, base, drive, float(np.max(across)), float(np.max(up)))
    return PhaseDiagram(nu[0], beta[:, 0], (matrix, drive), q, chi, horizon, line)


def _axis(name: str, values: Any) -> Host:
    """Variances along one axis of the diagram."""
    found = finite_array(f"phase_diagram: {name}", values, 1)
    real(f"phase_diagram: least of {name}", float(np.min(found)), 0.0, hint="It is a variance.")
    return np.asarray(found)


def critical_line(derived: Memory, at: dict[str, float], drive: str, most_gain: float, most_drive: float) -> Host:
    """Return the derived line chi = 1 in the plane of the matrix variance and one symbol of the drive.

    Shapes: -> (2, l).  Units: variances.  Error: that of the expectations.  Source: wideproof.memory, `critical`.
    """
    gain, whole = (derived.critical[part].formula for part in ("gain", "drive"))
    share = {"nu_b": 1.0, "X": at.get("nu_F", 0.0), "nu_F": at.get("X", 0.0)}.get(drive, 0.0)
    rest = at.get("nu_F", 0.0) * at.get("X", 0.0) * (drive == "nu_b") + at.get("nu_b", 0.0) * (drive != "nu_b")
    if share == 0:
        raise ParameterError("critical_line", "a symbol that drives the state: nu_b, or X with nu_F > 0", drive, "")
    a = np.geomspace(1e-9, 1e3, 400)
    for _ in range(2):  # the second time where the line enters and leaves the plane
        ends = [formula.compile("numpy")(**{name: a for name in formula.arguments}) for formula in (gain, whole)]
        line = np.stack([ends[0], (ends[1] - rest) / share])
        inside = (line[1] >= -1e-9) & (line[0] <= 1.5 * most_gain) & (line[1] <= 1.5 * most_drive)
        where = np.flatnonzero(inside)
        if where.size:
            a = np.geomspace(a[max(where[0] - 1, 0)], a[min(where[-1] + 1, a.size - 1)], a.size)
    found = np.maximum(line[:, inside], 0.0)
    point = found.shape[1] > 0 and np.ptp(found[0]) < 1e-9 and np.ptp(found[1]) < 1e-9
    return found[:, :1] if point else found


def _of(part: Any, at: dict[str, Any]) -> Callable[..., Host]:
    """A derived formula with all letters but some given."""
    compiled, names = part.formula.compile("numpy"), part.formula.arguments

    def function(**letters: Host) -> Host:
        values = {**at, **letters}
        return np.asarray(compiled(**{name: values.get(name, 0.0) for name in names}))

    return function


def _settled(map_: Callable[..., Host]) -> Host:
    """The smallest fixed point above zero, zero where small variances die out, NaN where they diverge."""
    low = np.full(np.shape(map_(q=np.asarray(0.0))), 1e-10)
    dies = map_(q=low) <= low
    high = np.maximum(2.0 * map_(q=low), 1e-9)
    for _ in range(60):
        rises = (map_(q=high) > high) & (high < LARGEST) & ~dies
        if not np.any(rises):
            break
        low, high = np.where(rises, high, low), np.where(rises, 2.0 * high, high)
    lost = ~dies & (high >= LARGEST)
    found = illinois(lambda q: map_(q=q) - q, np.where(dies | lost, 0.25, low), np.where(dies | lost, 0.5, high))
    return np.where(lost, np.nan, np.where(dies, 0.0, found))


def _correlated(map_: Callable[..., Host], q: Host, chi: Host) -> Host:
    """The covariance that two runs tend to: q where they forget, the stable one below it where they part."""
    parts = (chi > 1) & (q > 0)
    size = np.where(parts, q, 1.0)

    def change(rho: Host) -> Host:
        return np.where(parts, map_(c=np.where(parts, rho * q, q)) / size - rho, 0.5 - rho)

    ends = np.zeros_like(q), np.full_like(q, 1 - NEAR)
    start, last = change(ends[0]), change(ends[1])
    rho = illinois(change, *ends)
    rho = np.where(start <= 0, 0.0, np.where(last >= 0, 1.0, rho))
    return np.where(parts, rho * q, q)


def illinois(function: Callable[[Host], Host], low: Host, high: Host) -> Host:
    """Return zeros of elementwise functions between ends of opposite sign, by a false position that halves.

    Shapes: kept.  Units: of the argument.  Error: 1e-11 relative; anything where the signs agree.
    Source: the Illinois method.
    """
    low, high = low.copy(), high.copy()
    at_low, at_high = function(low), function(high)
    for _ in range(STEPS):
        gap = at_high - at_low
        x = high - at_high * (high - low) / np.where(gap == 0, 1.0, gap)
        x = np.clip(np.where(gap == 0, 0.5 * (low + high), x), np.minimum(low, high), np.maximum(low, high))
        value = function(x)
        crossed = value * at_high < 0
        at_low = np.where(crossed, at_high, 0.5 * at_low)
        low = np.where(crossed, high, low)
        done = np.abs(x - high) <= TOLERANCE * np.abs(x)
        high, at_high = x, value
        if bool(np.all(done | (value == 0))):
            break
    return high


def critical_gains(derived: Memory, drive: float) -> tuple[float, ...]:
    """Return the variances of the matrix at which chi = 1 for a given drive nu_F X + nu_b.

    Shapes: scalar -> (k,).  Units: variance.  Error: those of the roots; empty where the line does not reach the drive
    at pre-activation variances from 1e-9 to 1e3, or where there is no derived line.
    Source: wideproof.memory, `critical`.
    """
    if "gain" not in derived.critical:
        line: Any = derived.critical.get("nu_W")
        return (float(line.formula.expr),) if line is not None and line.formula.expr.is_number else ()
    gain, whole = (derived.critical[part].formula for part in ("gain", "drive"))
    compiled: Any = whole.compile("numpy")
    grid = np.geomspace(1e-9, 1e3, 200)
    if drive == 0:
        above = float(gain.compile("numpy")(**dict.fromkeys(gain.arguments, np.asarray([LEAST])))[0])
        at_zero = _at_zero(gain)
        return (at_zero if abs(at_zero - above) <= NEAR else above,)  # of a kink at zero, from above

    def excess(a: Host) -> tuple[Host, Host]:
        value, error = compiled.with_error(**dict.fromkeys(whole.arguments, a))
        return value - drive, error

    found = [root.value for root in roots(excess, grid) if root.crossing]
    return tuple(float(gain.compile("numpy")(**dict.fromkeys(gain.arguments, a))) for a in found)


def _at_zero(gain: Any) -> float:
    """A formula at variance zero, where each expectation is the value of its functions at zero; NaN if infinite."""
    means = {
        node: sp.Mul(*(definition_at(str(name), int(order), sp.S.Zero) for name, order in node.args[0]))
        for node in gain.nodes.atoms(GaussianMean)
    }
    found = gain.nodes.xreplace(means).subs(dict.fromkeys(gain.symbols.values(), 0))
    return float(found) if found.is_finite else math.nan
