"""How often a random draw is unstable at finite width, although its limit is stable (E1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wideproof.derive import models, stability
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.timing import blas_threads

Curve = tuple[float, ...]


@dataclass(frozen=True)
class UnstableDraws:
    """The share of draws whose spectral radius exceeds 1, for several variances on the same draws.

    limit is the derived radius at infinite width; radius the mean measured one.  stderr is binomial, by the rule
    of Agresti and Coull where the share is 0 or 1.
    Shapes: (k,) for k values of nu_W.
    """

    width: int
    draws: int
    seed: int
    nu_W: Curve
    limit: Curve
    radius: Curve
    radius_stderr: Curve
    share: Curve
    stderr: Curve


def unit_radii(width: int, draws: int, seed: int = 0) -> Host:
    """Spectral radii of n^{-1/2} W with W of independent N(0, 1) entries.

    Shapes: -> (draws,).  Error: rounding.  Source: definition.
    """
    if width < 1 or draws < 1:
        raise ParameterError("unit_radii", "width and draws >= 1", (width, draws), "Both count.")
    found = np.empty(draws)
    with blas_threads(1):  # several wait for each other: at width 200, sixty times as long
        for i in range(draws):
            W = np.random.default_rng([seed, width, i]).standard_normal((width, width))
            found[i] = np.max(np.abs(np.linalg.eigvals(W))) / width**0.5
    return found


def unstable_draws(
    nu_W: Sequence[float] = (0.9, 0.95, 1.0), *, width: int = 200, draws: int = 40, seed: int = 0
) -> UnstableDraws:
    """Measure the spectral radius beside its derived limit, and how often it exceeds 1.

    Errors: ParameterError for a negative variance or fewer than two draws.  Source: erratum E1.
    """
    nu = np.asarray(nu_W, dtype=np.float64)
    if draws < 2 or nu.ndim != 1 or nu.size == 0 or np.any(nu < 0):
        raise ParameterError("unstable_draws", "variances >= 0, two draws", (nu_W, draws), "An error needs two.")
    limit = stability(models.linear_rnn()).formula.compile("numpy")(nu_W=nu)
    radii = nu[:, None] ** 0.5 * unit_radii(width, draws, seed)  # (k, draws): n^{-1/2} W scales with its entries
    hits = np.sum(radii > 1.0, axis=1)
    smooth = (hits + 2.0) / (draws + 4.0)
    share = hits / draws
    certain = (hits == 0) | (hits == draws)
    stderr = np.sqrt(np.where(certain, smooth * (1 - smooth) / (draws + 4.0), share * (1 - share) / draws))
    return UnstableDraws(
        width, draws, seed, _curve(nu), _curve(np.asarray(limit)), _curve(radii.mean(axis=1)),
        _curve(radii.std(axis=1, ddof=1) / draws**0.5), _curve(share), _curve(stderr),
    )  # fmt: skip


def _curve(values: Host) -> Curve:
    return tuple(float(v) for v in values)
