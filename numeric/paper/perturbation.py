"""Lemma B.1 in one network: responses to random perturbations against the gradients of the derived adjoint."""

from __future__ import annotations

from typing import Any

import numpy as np

from wideproof.derive import models
from wideproof.derive.calculus.tangent import tangent
from wideproof.numeric.core.arrays import backend, seed_sequence, stream
from wideproof.numeric.core.checks import Check, Claim, judge
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.networks.empirical_kernels import empirical_ntk
from wideproof.numeric.networks.simulation import simulate


def response_covariance(
    nu: dict[str, float], width: int = 16, horizon: int = 3, trials: int = 30_000, seed: int = 0
) -> tuple[Check, ...]:  # fmt: skip
    """Check E[dy_t dy_s] = sum over all parameters of dy_t/dM dy_s/dM in one random network, at every t <= s.

    Shapes: one check per pair of steps; `lag` is (t, s).  Units: output^2.
    Error: `judge`, a true identity is refuted with probability <= Level().false_alarm.
    Source: emami2021implicit, (38); the response is derive.calculus.tangent, the gradients are wideproof.adjoint.
    """
    source = stream(backend("numpy"), seed_sequence(seed, 4))
    program = models.linear_rnn().program()
    shapes = {"W": (width, width), "F": (width, 1), "C": (1, width)}
    weights = {name: nu[f"nu_{name}"] ** 0.5 * source.normal(*shape) for name, shape in shapes.items()}
    inputs, values = source.normal(1, horizon, 1), dict[str, Any](nu)
    kernel = empirical_ntk(program, inputs, width, weights=weights, **values).total[0, 0, :, 0, 0, :, 0]
    run = simulate(tangent(program), inputs, width, trials=trials, seed=source, weights=weights, **values)
    y = run.outputs[:, 0, :, 0]
    claims = []
    for t, s in zip(*np.triu_indices(horizon), strict=True):
        found = Moments.of((y[:, t] * y[:, s])[:, None]).feature(0)
        claims.append(Claim(
            "ntk", (int(t), int(s)), (width,), trials, float(kernel[t, s]), float(found.mean),
            float(found.stderr), "mean over perturbations", scale=float(kernel[t, t] * kernel[s, s]) ** 0.5,
        ))  # fmt: skip
    return judge(claims)
