"""Validation: a derived limit, evaluated by its emitted functions, against Monte Carlo at finite width."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from derive import Program, Recursion, impulse_response, models, scale_factors
from derive.derivation import as_program
from derive.errors import ParameterError
from numeric.arrays import Host
from numeric.checks import Level
from numeric.ladder import default_horizon
from numeric.montecarlo import Plan, Validation, monte_carlo_linear
from numeric.montecarlo.runner import Progress

DEVICES = {"cpu": "numpy", "cuda": "cupy"}
DEFAULTS = {"nu_W": 0.3, "nu_F": 1.0, "nu_C": 1.0}
"""Our assumption where the user states no variance; the paper's values are lost."""


def validate(
    recursion: Recursion | Program,
    width: int = 1024,
    trials: int = 10_000,
    seed: int = 0,
    device: str = "cpu",
    horizon: int | None = None,
    level: Level | None = None,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    **nu: float,
) -> Validation:
    """Compare the derived impulse-response law and scale factors with random networks, extrapolated in the width.

    Shapes: width is the largest of the ladder, trials are per width, horizon the number of lags.
    Units: nu_M is the variance of an entry of M.
    Error: a true limit is refuted with probability at most level.false_alarm; ParameterError for a recursion that
    has no finite-width sampler yet.  Source: emami2021implicit, Theorem 3.3.
    """
    program = as_program(recursion)
    if program != models.linear_rnn().program():
        raise ParameterError(
            "validate",
            "the model linear-rnn",
            program.name,
            "Other recursions have their limits derived, but no finite-width sampler yet.",
        )
    if device not in DEVICES:
        raise ParameterError(
            "validate: device", "cpu or cuda", repr(device), "cuda needs wideproof[cuda12] or [cuda13]."
        )
    values = DEFAULTS | nu
    if unknown := sorted(set(nu) - set(DEFAULTS)):
        raise ParameterError("validate", ", ".join(DEFAULTS), ", ".join(unknown), "These are the model's variances.")
    lags = default_horizon(width) if horizon is None else horizon
    plan = Plan(width, trials, lags, values["nu_W"], values["nu_F"], values["nu_C"], seed=seed, backend=DEVICES[device])
    variance, weights = predictions(program, lags, values)
    return monte_carlo_linear(plan, variance, weights, level, progress, checkpoint)


def predictions(program: Program, lags: int, values: dict[str, float]) -> tuple[Host, Host]:
    """The derived variance of an entry of L_j and the derived scale factor, at lags 0 ... lags - 1.

    Shapes: (lags,), (lags,).  Units: (output/input)^2.  Error: none.  Source: the emitted formulas.
    """
    j = np.arange(lags)
    variance = impulse_response(program).formula.compile("numpy")(j=j, **values)
    return variance, scale_factors(program).formula.compile("numpy")(j=j, **values)
