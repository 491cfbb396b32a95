"""Means over two Gaussian variables of activations by their names, as the engine evaluates them."""

from __future__ import annotations

from typing import Any

import numpy as np

from wideproof.derive.expectation.pair_integrals import Variables, expectation
from wideproof.derive.language.activations import canonical


def gaussian_mean(
    first: str, second: str | None, variances: tuple[Any, Any], covariance: Any = 0.0,
    means: tuple[Any, Any] = (0.0, 0.0), orders: tuple[int, int] = (0, 0),
) -> tuple[Any, Any]:  # fmt: skip
    """E[phi(u) psi(v)] of one or two activations or derivatives, and an estimate of its error; numbers broadcast."""
    names = (first,) if second is None else (first, second)
    factors = tuple((canonical(name), order) for name, order in zip(names, orders, strict=False))
    both, (u, v), (m, k) = np.asarray(covariance, dtype=float), map(np.asarray, variances), map(np.asarray, means)
    return expectation(factors, Variables("numpy", (u * 1.0, v * 1.0), both, (m, k)))
