"""Unstable draws: against a count by hand, and against limits that are not the limit."""

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.linear_rnn.unstable_draws import unit_radii, unstable_draws


def test_shares_are_counts_of_eigenvalues_outside_the_unit_disc():
    found = unstable_draws((0.5, 0.9), width=30, draws=25, seed=3)
    hits = [0, 0]
    for i in range(25):
        W = np.random.default_rng([3, 30, i]).standard_normal((30, 30))
        for k, nu in enumerate((0.5, 0.9)):
            hits[k] += np.abs(np.linalg.eigvals((nu / 30) ** 0.5 * W)).max() > 1
    assert found.share == (hits[0] / 25, hits[1] / 25)


def test_the_radius_is_near_the_root_of_the_variance_and_not_the_variance_or_the_norm():
    found = unstable_draws((0.25,), width=250, draws=8)
    assert found.limit == (0.5,)
    assert abs(found.radius[0] - 0.5) < 0.04
    for other in (0.25, 1.0):
        assert abs(found.radius[0] - other) > 20 * found.radius_stderr[0]


def test_a_stable_limit_does_not_make_a_draw_stable():
    """E1: at width 200, about .23 of the draws at .9, .73 at .95 and nearly all at 1 are unstable (40 draws each)."""
    found = unstable_draws((0.9, 0.95, 1.0), width=200, draws=24)
    for share, error, seen in zip(found.share, found.stderr, (0.23, 0.73, 1.0), strict=True):
        other = max(seen * (1 - seen) / 40, 0.001) ** 0.5
        assert abs(share - seen) < 4 * np.hypot(error, other)
    assert found.share[0] < found.share[1] < found.share[2]


def test_errors():
    with pytest.raises(ParameterError):
        unstable_draws((-0.1,))
    with pytest.raises(ParameterError):
        unit_radii(0, 1)
