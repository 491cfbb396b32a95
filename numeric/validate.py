"""Validation: a derived limit, evaluated by its emitted functions, against Monte Carlo at finite width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from derive import Program, Recursion, impulse_response, scale_factors
from derive.derivation import as_program
from derive.errors import ParameterError
from derive.language import Parameter
from numeric.arrays import Host
from numeric.checks import Level
from numeric.ladder import default_horizon
from numeric.montecarlo import Plan, Validation, monte_carlo_linear
from numeric.montecarlo.cost import Cost, estimate_cost
from numeric.montecarlo.runner import Progress

DEVICES = {"cpu": "numpy", "cuda": "cupy"}
FEW_TRIALS = 5000  # below, networks have 4 inputs and outputs: 16 entries of L_j each make up for few networks
DEFAULTS = {"nu_W": 0.3, "nu_F": 1.0, "nu_C": 1.0}
"""Our assumption where the user states no variance; the paper's values are lost."""


def validate(
    recursion: Recursion | Program,
    width: int = 1024,
    trials: int = 4000,
    seed: int = 0,
    device: str = "cpu",
    horizon: int | None = None,
    level: Level | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    sampler: str = "auto",
    budget: float | None = None,
    announce: Callable[[Cost], None] | None = None,
    **nu: float,
) -> Validation:
    """Compare the derived impulse-response law and scale factors with random networks, extrapolated in the width.

    Shapes: width is the largest of the ladder, trials are per width, horizon the number of lags; networks have two
    inputs and outputs, or four where trials are few. `budget` is a relative standard error at which a width stops
    early; `announce` is told the estimated memory and time before the start.
    Units: nu_M is the variance of an entry of M.
    Error: a true limit is refuted with probability at most level.false_alarm; ParameterError for a recursion that
    has no finite-width sampler yet.  Source: emami2021implicit, Theorem 3.3.
    """
    program = as_program(recursion)
    parts = _plain(program)
    if device not in DEVICES:
        hint = "cuda needs wideproof[cuda12] or [cuda13]."
        raise ParameterError("validate: device", "cpu or cuda", repr(device), hint)
    values = _values(program, nu)
    lags = default_horizon(width) if horizon is None else horizon
    sides = 4 if trials < FEW_TRIALS else 2
    at = {program.symbols[name]: value for name, value in values.items()}
    laws = {f"nu_{letter}": float(p.variance.subs(at)) for letter, p in zip("WFC", parts, strict=True)}
    sides_of: dict[str, Any] = {"n_x": sides, "n_y": sides, **laws}
    plan = Plan(width, trials, lags, seed=seed, sampler=sampler, backend=DEVICES[device], target=budget, **sides_of)
    if announce is not None:
        announce(estimate_cost(plan))
    variance, weights = predictions(program, lags, values)
    return monte_carlo_linear(plan, variance, weights, level, progress, checkpoint)


def _values(program: Program, nu: dict[str, float]) -> dict[str, float]:
    """The variances given, or else the default of a symbol that has one."""
    if unknown := sorted(set(nu) - set(program.symbols)):
        hint = "These are the model's symbols."
        raise ParameterError("validate", ", ".join(program.symbols), ", ".join(unknown), hint)
    values = {name: nu.get(name, DEFAULTS.get(name)) for name in program.symbols}
    missing = [name for name, value in values.items() if value is None]
    if missing:
        raise ParameterError("validate", f"a number for {', '.join(missing)}", "none", f"Pass {missing[0]}=0.3, say.")
    return {name: value for name, value in values.items() if value is not None}


def _plain(program: Program) -> list[Parameter]:
    """The transition matrix, input map and readout of a linear RNN under any names.  Errors: ParameterError."""
    found = {p.role: p for p in program.parameters}
    parts = [found[role] for role in ("matrix", "input_map", "readout") if role in found]
    if len(parts) == len(program.parameters) == 3 and len(program.states) == 1:
        W, F, C = parts
        rnn = Recursion(program.name)
        made = {p.name: getattr(rnn, p.role)(p.name, p.variance) for p in program.parameters}
        h = rnn.state(program.states[0].name)
        rnn.update(h, made[W.name] @ h + made[F.name] @ rnn.x)
        rnn.output(made[C.name] @ h)
        if rnn.program() == program:
            return parts
    hint = "Other recursions have their limits derived, but no finite-width sampler of their lags yet."
    raise ParameterError("validate", "a linear RNN: h = W @ h + F @ x, y = C @ h", program.name, hint)


def predictions(program: Program, lags: int, values: dict[str, float]) -> tuple[Host, Host]:
    """The derived variance of an entry of L_j and the derived scale factor, at lags 0 ... lags - 1.

    Shapes: (lags,), (lags,).  Units: (output/input)^2.  Error: none.  Source: the emitted formulas.
    """
    j = np.arange(lags)
    variance = impulse_response(program).formula.compile("numpy")(j=j, **values)
    return variance, scale_factors(program).formula.compile("numpy")(j=j, **values)
