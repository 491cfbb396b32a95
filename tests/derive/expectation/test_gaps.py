"""Gaps of covariances: against 60 digits, at angles that a subtraction in doubles loses."""

import math

import numpy as np
import pytest
from mpmath import mp

from wideproof.derive.expectation.gaps import Gaps, by_subtraction, closed_gaps, gaps_of_mean, of_sum, sees_angle
from wideproof.derive.expectation.pair_integrals import Variables

ANGLES = (1e-12, 1e-8, 1e-4, 0.3, 1.5, 3.0, math.pi - 1e-4, math.pi - 1e-8)
ROWS = {"relu": (0.0, 1.0), "abs": (-1.0, 1.0), "leaky_relu(1/10)": (0.1, 1.0), "identity": (1.0, 1.0)}
"""Names, and slopes of the left and of the right."""


def gaps_of(a, b, angle):
    size = math.sqrt(a) * math.sqrt(b)
    return Gaps(2 * size * math.sin(angle / 2) ** 2, 2 * size * math.sin((math.pi - angle) / 2) ** 2)


def half_angle(gaps):
    return 2 * mp.atan2(mp.sqrt(mp.mpf(float(gaps.below))), mp.sqrt(mp.mpf(float(gaps.above))))


def exact(left, right, a, b, angle):
    """sqrt(E[phi^2] E[psi^2]) -+ E[phi psi] of two lines that meet at zero."""
    ramp = lambda t: (mp.sin(t) + (mp.pi - t) * mp.cos(t)) / (2 * mp.pi)  # noqa: E731
    pair = (left**2 + right**2) * ramp(angle) - 2 * left * right * ramp(mp.pi - angle)
    size, unit = mp.mpf(left**2 + right**2) / 2, mp.sqrt(a) * mp.sqrt(b)
    return Gaps(unit * (size - pair), unit * (size + pair))


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("angle", ANGLES)
def test_angles_of_lines_that_meet_at_zero_are_known_to_rounding(name, angle):
    a, b = 1.3, 0.7
    given = gaps_of(a, b, angle)
    law = Variables("numpy", (np.array(a), np.array(b)), np.array((given.above - given.below) / 2), known=given)
    found = gaps_of_mean(name, 0, law, None, None)
    with mp.workdps(60):
        turned = 2 * mp.atan2(mp.sqrt(mp.mpf(given.below)), mp.sqrt(mp.mpf(given.above)))
        want = half_angle(exact(*map(mp.mpf, ROWS[name]), mp.mpf(a), mp.mpf(b), turned))
        assert abs(half_angle(found) - want) < 8 * np.finfo(float).eps


def test_a_subtraction_does_not_know_them():
    a, b, given = 1.3, 0.7, gaps_of(1.3, 0.7, 1e-8)
    lost = by_subtraction(np, (given.above - given.below) / 2, a, b)
    with mp.workdps(60):
        assert abs(half_angle(lost) - mp.mpf("1e-8")) > 1e-10


def test_gaps_of_a_sum_are_those_of_longer_vectors():
    rng = np.random.default_rng(0)
    for apart in (1e-10, 1e-6, 1e-2, 1.0):
        u = [rng.standard_normal(3) for _ in range(3)]
        v = [x * (1 + k) + apart * rng.standard_normal(3) for k, x in zip((0.0, 0.5, apart), u, strict=True)]
        terms, whole = [], []
        with mp.workdps(60):
            for x, y in zip(u, v, strict=True):
                terms.append((x @ x, y @ y, Gaps(*(float(gap) for gap in vector_gaps(x, y)))))
            whole = vector_gaps(np.concatenate(u), np.concatenate(v))
            found = of_sum(terms, np.sqrt)
            assert abs(half_angle(found) - half_angle(whole)) < 8 * np.finfo(float).eps
            moved = of_sum([(1.001 * terms[0][0], *terms[0][1:]), *terms[1:]], np.sqrt)
            assert abs(half_angle(moved) - half_angle(whole)) > 1e-6


def vector_gaps(x, y):
    x, y = ([mp.mpf(float(z)) for z in part] for part in (x, y))
    size = mp.sqrt(mp.fdot(x, x) * mp.fdot(y, y))
    return Gaps(size - mp.fdot(x, y), size + mp.fdot(x, y))


def test_which_rows_have_gaps_of_their_own():
    names = ("relu", "erf", "step", "sign", "tanh")
    assert [x for x in names if closed_gaps(x, 0) is not None] == ["relu", "step", "sign"]
    assert [x for x in ("relu", "erf", "soft_threshold(1)", "tanh", "sin", "identity") if sees_angle(x)] == [
        "relu", "erf", "soft_threshold(1)",
    ]  # fmt: skip
