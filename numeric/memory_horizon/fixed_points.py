"""Fixed points, slopes and memory horizon of a derived recursion as numbers with estimated errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from wideproof.derive import Memory, Program, Recursion, memory
from wideproof.derive.language.scalars import check_keywords
from wideproof.derive.memory_horizon.two_run_maps import letters, named
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.inputs import real
from wideproof.numeric.core.roots import Bounded, Root, roots, vanishes
from wideproof.numeric.memory_horizon.coupled_fixed_points import coupled_roots, parted, vector_map

Phase = Literal["ordered", "critical", "chaotic"]
DOUBLINGS, STEADY = 30, 1e-3
"""Variances are followed up to 2^30 of their scale, or until V(q)/q changes by less than this per doubling."""
GRID = 240
UNSETTLED = "the variance depends on products of inputs of different steps: only the difference of two runs is followed"
LEAST = 1e-13
"""Slopes at q = 0 are taken from above, so that a kink at zero has its two sides."""


@dataclass(frozen=True)
class Point:
    """One fixed point of the variance maps, with slopes and horizon there; of several states the slowest.

    q and c: E[h^2] and E[h h'] at the fixed point, by state, and by pair where a pair has moments of its own; empty
    where the variance has no map and only the difference of two runs has a slope.
    Errors of q, chi, slope and horizon are estimates, from those of the expectations, and to first order; bounds are
    those of `wideproof.certified_points`.  chi_q: slope of the variance map; chi: slope of the correlation map at
    c = q; slope: the same at the c that two runs tend to.  stable: whether the variance returns after a small change.
    """

    q: Mapping[str, float]
    q_error: Mapping[str, float]
    c: Mapping[str, float]
    chi_q: float
    chi: float
    chi_error: float
    slope: float
    horizon: float
    horizon_error: float
    phase: Phase
    stable: bool
    note: str = ""


@dataclass(frozen=True)
class Analysis:
    """All fixed points found at one setting of the parameters, and where they were looked for."""

    points: tuple[Point, ...]
    parameters: Mapping[str, float]
    scanned: float
    note: str = ""

    @property
    def settled(self) -> Point | None:
        """The stable fixed point with the largest variance: from large variances the recursion ends there."""
        stable = [point for point in self.points if point.stable]
        return stable[-1] if stable else None


def analyse(recursion: Memory | Recursion | Program, **parameters: float) -> Analysis:
    """Find the fixed points of a derived variance map and give slopes and memory horizon at each.

    Shapes: scalars.  Units: steps for horizons.  Error: an estimate per number, from those of the Gaussian
    expectations and from signs on both sides of each root that are beyond them; ParameterError for missing, unknown or
    negative parameters. X, the size of the common inputs, is 0 unless given, and nu_F is then not needed.
    Source: wideproof.memory; poole2016exponential; schoenholz2017deep.
    """
    derived = recursion if isinstance(recursion, Memory) else memory(recursion)
    values = checked(derived, parameters)
    if not derived.chain.closed:
        return Analysis((_linear_point(derived, values),), values, 0.0, UNSETTLED)
    scanned, notes = 0.0, list[str]()
    partial: list[tuple[dict[str, Root], str]] = [({}, "")]
    for group in groups_of(derived):
        longer = []
        for known, note in partial:
            at = {**values, **{letter_of(derived, n, "q"): root.value for n, root in known.items()}}
            found, reach, said = _group_roots(derived, group, at)
            scanned = max(scanned, reach)
            notes += [f"{', '.join(group)}: {said}" if len(derived.variance_map) > 1 else said] if said else []
            longer += [({**known, **roots_}, note or _doubt(roots_, said)) for roots_ in found]
        partial = longer
    points = tuple(_point(derived, found, values, note) for found, note in partial)
    return Analysis(points, values, scanned, "; ".join(dict.fromkeys(notes)))


def _group_roots(
    derived: Memory, group: tuple[str, ...], at: Mapping[str, float]
) -> tuple[list[dict[str, Root]], float, str]:
    if len(group) > 1:
        return coupled_roots(derived, group, [letter_of(derived, name, "q") for name in group], at)
    found, reach, said = variance_roots(derived, group[0], at)
    return [{group[0]: root} for root in found], reach, said


def _doubt(found: Mapping[str, Root], said: str) -> str:
    return "" if all(root.crossing or root.value == 0 for root in found.values()) else said


def _linear_point(derived: Memory, values: Mapping[str, float]) -> Point:
    """The growth of a difference, where the variance itself has no map."""
    chi, error = _largest(derived.chi, values, {})
    phase = _phase(chi, error)
    horizon = _evaluated(derived.horizon, values) if phase == "ordered" and chi > 0 else (math.inf if chi else 0.0, 0.0)
    return Point({}, {}, {}, chi, chi, error, chi, *horizon, phase, chi < 1, UNSETTLED)


def groups_of(derived: Memory) -> list[tuple[str, ...]]:
    """Return the moments that feed each other by name, each group after those that it reads.

    Source: definition.
    """
    return [tuple(named(pair) for pair in group) for group in derived.chain.groups]


def checked(derived: Memory, parameters: Mapping[str, float]) -> dict[str, float]:
    """Return the parameters that the maps read, X = 0 unless given.

    Units: of each symbol.  Error: ParameterError for missing, unknown, negative or infinite ones.
    Source: definition.
    """
    read = letters_read(derived)
    symbols = derived.program.symbols
    signed = {name for name, x in symbols.items() if not x.is_nonnegative}
    hint = "Variances are finite and not negative; X is the size x_t . x_t of the inputs both runs see."
    given = {name: real(name, x, -math.inf if name in signed else 0.0, hint=hint) for name, x in parameters.items()}
    values = {"X": 0.0, **given}
    values |= {} if values["X"] else {"nu_F": values.get("nu_F", 0.0)}
    check_keywords(f"memory of {derived.program.name}", values, read, (*symbols, "X", "nu_F"))
    return {name: values[name] for name in read}


def letters_read(derived: Memory) -> list[str]:
    """Return the symbols that the maps read besides the variances and covariances of the states.

    Source: definition.
    """
    maps = [*derived.variance_map.values(), *derived.correlation_map.values()] or [derived, *derived.chi.values()]
    own = {x.name for group in letters(derived.program) for x in group.values()}
    return sorted(set().union(*(part.formula.arguments for part in maps)) - own)


def variance_roots(derived: Memory, state: str, at: Mapping[str, float]) -> tuple[list[Root], float, str]:
    """Return the fixed points of one variance map, how far they were looked for, and what is special.

    Units: of q.  Error: that of each root.  Source: `roots`.
    """
    letter = letter_of(derived, state, "q")
    map_ = _bounded(derived.variance_map[state], letter, at)

    def change(q: Host) -> tuple[Host, Host]:
        values, errors = map_(q)
        return values - q, errors + 4e-16 * q

    top, ratio, steady = _reach(map_)
    grid = np.concatenate([[0.0], np.geomspace(1e-12 * top, top, GRID)])
    if vanishes(change, grid):
        return [Root(1.0, math.inf, False, False)], top, "every variance is a fixed point; evaluated at q = 1"
    found = roots(change, grid)
    said = "" if steady or ratio < 1 else f"looked for up to q = {top:.3g} only"
    if ratio > 1:
        outer = f" beyond q = {found[-1].value:.3g}" if found and found[-1].value > 0 else ""
        said = f"the variance diverges{outer}" + (f", by a factor of {ratio:.4g} per step" if steady else "")
    elif ratio == 1 and not any(root.value > 0 for root in found):
        said = "the variance grows without bound, by a constant per step"
    if any(not root.crossing and root.value > 0 for root in found):
        said = "a fixed point cannot be told from a near miss: the maps touch"
    return found, top, said


def _reach(map_: Bounded) -> tuple[float, float, bool]:
    """A variance beyond which V(q)/q keeps its side of 1, that ratio (1 within its steadiness), and if it settled."""
    start = float(max(map_(np.asarray([0.0]))[0][0], 1.0))
    q = start * 2.0 ** np.arange(DOUBLINGS)
    last, before = 1.0, -math.inf
    for low, high in pairwise(q):
        with np.errstate(over="ignore", invalid="ignore"):
            values, errors = map_(np.asarray([low, high]))
        if not np.all(np.isfinite(values)) or np.any(errors > 1e-2 * np.abs(values) + 1e-12):
            return float(low), last, False
        ratios = values / np.asarray([low, high])
        last, drift = float(ratios[1]), float(abs(ratios[1] - ratios[0]))
        chord = float((values[1] - values[0]) / (high - low))
        if last < 0.5 and chord < 0.9 and chord <= before + 1e-9:
            return float(high), last, True  # rises more slowly than q, and ever more so
        if drift < STEADY * last and (abs(last - 1) > 4 * drift or high > 2.0**20 * start):
            return float(high), 1.0 if abs(last - 1) <= max(4 * drift, 1e-9) else last, True
        before = chord
    return float(q[-1]), last, False


def _point(derived: Memory, found: Mapping[str, Root], values: Mapping[str, float], note: str) -> Point:
    own = {state.name for state in derived.chain.states}
    least = {name: max(root.value, LEAST) if name in own else root.value for name, root in found.items()}
    q = {letter_of(derived, name, "q"): x for name, x in least.items()}
    doubt = {
        letter_of(derived, name, "q"): max(root.error, LEAST) if math.isfinite(root.error) else 0.0
        for name, root in found.items()
    }
    at = {**values, **q}
    chi, chi_error = _largest(derived.chi, at, doubt)
    chi_q, _ = _largest(derived.variance_slope, at, doubt)
    phase = _phase(chi, chi_error)
    c = {letter_of(derived, name, "c"): x for name, x in least.items()}
    if phase == "chaotic":
        c = _parted(derived, found, at)
    slope, horizon, error = _at_end(derived, {**at, **c}, doubt, phase)
    stable = chi_q > -1 and all(root.falls for root in found.values())
    shown = {name: c[letter_of(derived, name, "c")] if root.value else 0.0 for name, root in found.items()}
    return Point({name: root.value for name, root in found.items()}, {name: root.error for name, root in found.items()},
                 shown, chi_q, chi, chi_error, slope, horizon, error, phase, stable, note)  # fmt: skip


def _phase(chi: float, error: float) -> Phase:
    return "critical" if abs(chi - 1) <= max(error, 1e-9) else "ordered" if chi < 1 else "chaotic"


def _at_end(derived: Memory, at: Mapping[str, float], doubt: Mapping[str, float],
            phase: Phase) -> tuple[float, float, float]:  # fmt: skip
    """The slope where two runs end, and the horizon there with its error; infinite on the critical line."""
    slope, _ = _largest(derived.slope, at, {})
    if phase == "critical" or not slope < 1:
        return slope, math.inf, math.nan
    if slope == 0:
        return 0.0, 0.0, 0.0
    moved = {name: at[name] + doubt[name] for name in doubt}
    horizon, error = _evaluated(derived.horizon, at)
    both = {name.replace("q", "c", 1): x for name, x in moved.items()} if phase == "ordered" else {}
    return slope, horizon, error + abs(_evaluated(derived.horizon, {**at, **moved, **both})[0] - horizon)


def _parted(derived: Memory, found: Mapping[str, Root], at: Mapping[str, float]) -> dict[str, float]:
    """The covariances that two runs tend to where correlation one is unstable, group by group."""
    known: dict[str, float] = {}
    for group in groups_of(derived):
        own = [letter_of(derived, name, "c") for name in group]
        if len(group) == 1:
            known[own[0]] = _parted_alone(derived, group[0], found[group[0]].value, {**at, **known})
        else:
            map_ = vector_map(derived.correlation_map, own, group, {**at, **known})
            ends = parted(map_, np.asarray([found[name].value for name in group]))
            known |= dict(zip(own, map(float, ends), strict=True))
    return known


def _parted_alone(derived: Memory, name: str, q: float, at: Mapping[str, float]) -> float:
    letter = letter_of(derived, name, "c")
    map_ = _bounded(derived.correlation_map[name], letter, {**at, "": 0.0})
    slope = _bounded(derived.slope[name], letter, {**at, "": 0.0})

    def change(rho: Host) -> tuple[Host, Host]:
        values, errors = map_(rho * q)
        return values / q - rho, errors / q + 4e-16

    below = 1 - np.geomspace(1.0, 1e-7, 60)[1:]
    grid = np.concatenate([np.linspace(-1, 0, 60), below]) if q > 0 else np.asarray([0.0])
    ends = [r.value * q for r in roots(change, grid)] if q > 0 else []
    stable = [c for c in ends if abs(float(slope(np.asarray([c]))[0][0])) < 1]
    end = max(stable, default=q)
    return end if abs(end) > 1e-14 * q else 0.0


def _largest(parts: Mapping[str, Any], at: Mapping[str, float], doubt: Mapping[str, float]) -> tuple[float, float]:
    """The largest value among the states, and an estimate of its error with that of q in first order."""
    found = []
    for part in parts.values():
        value, error = _evaluated(part, at)
        moved, _ = _evaluated(part, {**at, **{name: at[name] + x for name, x in doubt.items()}})
        found.append((value, error + abs(moved - value)))
    return max(found)


def _evaluated(part: Any, at: Mapping[str, float]) -> tuple[float, float]:
    formula = part.formula
    value, error = formula.compile("numpy").with_error(**{name: at.get(name, 0.0) for name in formula.arguments})
    return float(value), float(error)


def _bounded(part: Any, letter: str, at: Mapping[str, float]) -> Bounded:
    """A derived map as a function of one letter, with estimates of its errors."""
    formula = part.formula
    compiled = formula.compile("numpy")

    def function(x: Host) -> tuple[Host, Host]:
        given = {name: at.get(name, 0.0) for name in formula.arguments}
        value, error = compiled.with_error(**{**given, letter: x} if letter in given else given)
        shape = np.shape(x)
        return np.broadcast_to(value, shape) + 0.0, np.broadcast_to(error, shape) + 0.0

    return function


def letter_of(derived: Memory, name: str, kind: str) -> str:
    """Return the letter q or c of a moment by its name.

    Source: definition.
    """
    return kind if len(derived.variance_map) == 1 else f"{kind}_{name}"
