"""The derived slope chi against simulation: two runs of one wide network, apart by a little, at finite widths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from wideproof.derive import Memory, Program, Recursion, memory
from wideproof.derive.language.errors import NotClosed, ParameterError
from wideproof.derive.memory_horizon.two_run_maps import named
from wideproof.numeric.core.arrays import Host, backend, seed_sequence, stream, to_host
from wideproof.numeric.core.checks import Check, Claim, Level, judge
from wideproof.numeric.core.inputs import whole
from wideproof.numeric.core.statistics import Moments, ratio_of_moments
from wideproof.numeric.core.width_ladder import width_ladder
from wideproof.numeric.memory_horizon.coupled_fixed_points import vector_map
from wideproof.numeric.memory_horizon.fixed_points import LEAST, Point, analyse, letter_of
from wideproof.numeric.networks.narrow_width import quiet_widths
from wideproof.numeric.networks.simulation import simulate
from wideproof.numeric.validation.ladder import Rungs, at_infinity

KICK = 1e-4
"""Relative size of the difference of the two runs: its square, the curvature of the map, is out of sight."""
SETTLED, LONGEST = 1e-4, 400
"""The runs part when the variance is this near its fixed point, relative."""
EFFECT = Level(effects={"memory-slope": 0.02})
BLOCK, RUNGS = 2**24, 3


def check_memory(
    recursion: Memory | Recursion | Program, *, width: int = 1024, trials: int = 600, steps: int = 4, seed: int = 0,
    level: Level = EFFECT, device: str = "numpy", **parameters: float,
) -> Check:  # fmt: skip
    """Compare the derived slope chi with the growth per step of the difference of two runs of one network.

    Both runs see inputs of size X until the variance has settled, then one is moved by a little and both see the same
    inputs again. Of coupled states that combination of squared differences is followed which grows by chi at every
    step. Below 1 the difference shrinks (ordered), above it grows (chaotic).
    Shapes: scalars.  Units: per step.  Error: verdict with the false-alarm rate of the level, refuting an error of 2 %
    with its power; ParameterError and NotClosed where there is no settled variance.
    Source: wideproof.memory; schoenholz2017deep, figure 2.
    """
    derived = recursion if isinstance(recursion, Memory) else memory(recursion)
    return judge([memory_claim(derived, width, trials, steps, seed, device, None, **parameters)], level)[0]


def memory_claim(
    derived: Memory, width: int, trials: int, steps: int, seed: int = 0, device: str = "numpy",
    network: Program | None = None, **parameters: float,
) -> Claim:  # fmt: skip
    """Return the derived chi beside its estimate at infinite width, from runs of its own network or of another.

    Another network shows how far an approximation is off, such as the untied one of a tied recursion.
    Shapes: scalars.  Units: per step.  Error: stderr, from a width ladder with a fit of degree 1 in 1/n; the next
    lower degree on the wider widths guards it.  Source: `numeric.core.width_ladder`.
    """
    if parameters.get("nu_F", 1.0) == 0:
        raise ParameterError("check_memory", "nu_F > 0", 0, "The runs are moved apart by their inputs; with X = 0 it "
                             "changes nothing else.")  # fmt: skip
    trials = whole("check_memory: trials", trials, 2, hint="An error needs two.")
    steps, seed = whole("check_memory: steps", steps, 1), whole("check_memory: seed", seed, most=2**128)
    width = whole("check_memory: width", width, 1)
    point, warm = settled(derived, parameters)
    widths = width_ladder(width, RUNGS)
    sources = seed_sequence(seed).spawn(len(widths))
    weight = weights(derived, point, parameters)
    found = [_rate(network or derived.program, n, trials, warm, steps, source, device, parameters, weight)
             for n, source in zip(widths, sources, strict=True)]  # fmt: skip
    means, errors = (np.asarray(x) for x in zip(*found, strict=True))
    rungs = Rungs("memory-slope", steps, widths, trials, means, errors, precision=1.0, least_trials=2)
    claim = at_infinity(rungs, point.chi, 1 if len(widths) == RUNGS else 0)
    return replace(claim, method=f"two runs, {warm} steps before and {steps} after they part; {claim.method}")


def settled(derived: Memory, parameters: Mapping[str, float]) -> tuple[Point, int]:
    """Return the stable fixed point and the steps from rest until the derived variances are near it.

    Units: steps.  Error: NotClosed where there is none, it is not reached, or the variance has no map.
    Source: wideproof.memory.
    """
    where = f"check_memory({derived.program.name})"
    if not derived.chain.closed:
        hint = "A carried linear state reaches its rate only late; stability(rnn) is confirmed by eigenvalues."
        raise NotClosed(where, "second moments that close at equal times", "the growth of a difference", hint)
    own = {name: x for name, x in parameters.items() if name != "nu_C"}
    analysis = analyse(derived, **own)
    point = analysis.settled
    if point is None or not any(q > 0 for q in point.q.values()):
        raise NotClosed(where, "a stable fixed point with q > 0", analysis.note or "q = 0",
                        "Give the state a drive: nu_b > 0, or X and nu_F > 0.")  # fmt: skip
    names = list(derived.variance_map)
    map_ = vector_map(derived.variance_map, [letter_of(derived, x, "q") for x in names], names, analysis.parameters)
    target, q = np.asarray([point.q[name] for name in names]), np.zeros(len(names))
    for step in range(LONGEST):
        if np.all(np.abs(q - target) <= SETTLED * np.max(target)):
            return point, step
        q = map_(q[None])[0][0]
    raise NotClosed(where, f"variances near their fixed point {target} within {LONGEST} steps", f"{q}",
                    "The recursion ends elsewhere, or is too slow: leave the critical line.")  # fmt: skip


def weights(derived: Memory, point: Point, parameters: Mapping[str, float]) -> dict[tuple[str, str], float]:
    """Return the weights of the squared differences whose sum grows by chi at every step, not only at late ones.

    They are the left eigenvector of the derivative of all maps where both runs agree.
    Units: 1, the largest is 1.  Error: rounding.  Source: wideproof.memory, `derivative`; perron1907theorie.
    """
    pairs = [pair for group in derived.chain.groups for pair in group]
    names = [named(pair) for pair in pairs]
    at = {**parameters, **{letter_of(derived, x, k): max(point.q[x], LEAST) for x in names for k in "qc"}}
    matrix = np.empty((len(names), len(names)))
    for i, row in enumerate(names):
        for k, column in enumerate(names):
            formula = derived.derivative[row, column].formula
            matrix[i, k] = formula.compile("numpy")(**{name: at.get(name, 0.0) for name in formula.arguments})
    values, vectors = np.linalg.eig(matrix.T)
    left = np.real(vectors[:, np.argmax(np.abs(values) + 1e-9 * np.real(values))])
    left = left / left[np.argmax(np.abs(left))]
    of = {u: state.name for state, u in derived.chain.states.items()}
    return {(of[u], of[v]): float(x) for (u, v), x in zip(pairs, left, strict=True)}


def _rate(program: Program, width: int, trials: int, warm: int, steps: int, source: np.random.SeedSequence,
          device: str, parameters: Mapping[str, float], weight: Mapping[tuple[str, str], float],
          ) -> tuple[float, float]:  # fmt: skip
    """The growth per step of the weighted squared difference at one width, with its standard error."""
    symbols = program.symbols
    values: dict[str, Any] = {name: float(parameters.get(name, 1.0)) for name in symbols}
    inputs = _inputs(warm, steps, math.sqrt(parameters.get("X", 0.0)))
    drawn = stream(backend(device), source)
    moments: Moments | None = None
    block = max(2, min(trials, BLOCK // width**2))
    for start in range(0, trials, block):
        count = min(block, trials - start)
        with quiet_widths():
            run = simulate(program, inputs, width, trials=count, seed=drawn, states=True, device=device, **values)
        apart = {name: to_host((x[:, 0] - x[:, 1])[:, (warm, warm + steps)]) / KICK for name, x in run.states.items()}
        squares = [w * np.mean(apart[u] * apart[v], axis=-1) for (u, v), w in weight.items()]  # each (B, 2)
        found = Moments.of(np.sum(squares, axis=0)[:, ::-1])
        moments = found if moments is None else moments.merge(found)
    assert moments is not None
    growth = ratio_of_moments(moments, (1.0,), 0.0)
    ratio, error = float(growth.mean), float(growth.stderr)
    if not ratio > 0:
        raise NotClosed(f"check_memory({program.name})", "inputs that move the slowest states", "no difference there",
                        "Let an input map feed them.")  # fmt: skip
    rate = ratio ** (1 / steps)
    return rate, error / ratio * rate / steps


def _inputs(warm: int, steps: int, size: float) -> Host:
    """Two sequences of equal inputs that differ once, across their direction: else the variance would move as well.

    Shapes: (2, warm + 1 + steps, 2).
    """
    inputs = np.zeros((2, warm + 1 + steps, 2))
    inputs[:, :, 0] = size
    inputs[1, warm, 1] = KICK * max(size, 1.0)
    return inputs
