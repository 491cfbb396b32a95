"""Kernels of many recursions against quadrature of their definition on all pairs of steps, written out here."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import erf, expit

from wideproof.derive import models
from wideproof.numeric import Kernel

ROOT = np.sqrt(2.0)
BELL = 2 / np.sqrt(np.pi)
TABLE = {
    "identity": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "abs": (np.abs, np.sign),
    "leaky_relu(1/5)": (lambda z: np.where(z > 0, z, z / 5), lambda z: np.where(z > 0, 1, 0.2)),
    "abrelu(-3/10, 3/2)": (lambda z: np.where(z > 0, 1.5 * z, -0.3 * z), lambda z: np.where(z > 0, 1.5, -0.3)),
    "erf": (erf, lambda z: BELL * np.exp(-z * z)),
    "erf_sigmoid": (lambda z: (1 + erf(z)) / 2, lambda z: BELL / 2 * np.exp(-z * z)),
    "gelu": (
        lambda z: z * (1 + erf(z / ROOT)) / 2,
        lambda z: (1 + erf(z / ROOT)) / 2 + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
    ),
    "sin": (np.sin, np.cos),
    "cos": (np.cos, lambda z: -np.sin(z)),
    "exp": (np.exp, np.exp),
    "gaussian": (lambda z: np.exp(-z * z), lambda z: -2 * z * np.exp(-z * z)),
    "tanh": (np.tanh, lambda z: np.cosh(z) ** -2.0),
    "sigmoid": (expit, lambda z: expit(z) * expit(-z)),
    "silu": (lambda z: z * expit(z), lambda z: expit(z) * (1 + z * expit(-z))),
    "softplus": (lambda z: np.logaddexp(0, z), expit),
}
RADII, RADIAL = (x[:, None] for x in np.polynomial.legendre.leggauss(48))
RADII, RADIAL = 6.5 * (RADII + 1), 6.5 * RADIAL
ANGLES, ANGULAR = np.polynomial.legendre.leggauss(16)


def mean(f, g, a, c, b):
    """E[f(u) g(v)] in polar coordinates, each sector between the zeros of u and v on its own."""
    turn = np.arccos(np.clip(c / np.sqrt(a * b), -1, 1)) if a * b > 0 else np.pi / 2
    edges = np.sort(np.mod([np.pi / 2, 3 * np.pi / 2, turn + np.pi / 2, turn - np.pi / 2], 2 * np.pi))
    edges = np.concatenate([edges, [edges[0] + 2 * np.pi]])
    edges = np.concatenate([np.linspace(x, y, 3)[:-1] for x, y in pairwise(edges)] + [edges[-1:]])
    half = np.diff(edges)[:, None] / 2
    angles, weight = (edges[:-1, None] + half * (1 + ANGLES)).ravel(), (half * ANGULAR).ravel()
    density = RADIAL * RADII * np.exp(-RADII * RADII / 2) / (2 * np.pi)  # (48, 1)
    values = f(np.sqrt(a) * RADII * np.cos(angles)) * g(np.sqrt(b) * RADII * np.cos(angles - turn))
    return float((density * values * weight).sum())


def kernels(phi, sequences, nu, layers=1, alpha=1.0):
    """(NNGP, NTK by entries, NTK by unit-variance entries) of the last outputs, over all pairs of tokens.

    g^l_t = W_l h^l_{t-1} + U_l h^{l-1}_t + b_l, U_1 h^0 = F x, and h^l_t = (1 - alpha) h^l_{t-1} + alpha phi(g^l_t).
    """
    tokens = [(i, t) for i, x in enumerate(sequences) for t in range(len(x))]
    tokens = sorted(tokens, key=lambda token: token[1])  # a step after the ones before it
    at = {token: k for k, token in enumerate(tokens)}
    before = [at.get((i, t - 1)) for i, t in tokens]
    stacked = np.array([sequences[i][t] for i, t in tokens])
    f, slope = TABLE[phi]
    below = (nu["nu_F"] * stacked @ stacked.T, stacked @ stacked.T, nu["nu_F"] * stacked @ stacked.T)
    for _ in range(layers):
        held = _layer((f, slope), tokens, before, below, nu, alpha)
        below = (nu.get("nu_U", 0) * held[0], held[0] + nu.get("nu_U", 0) * held[1], nu.get("nu_U", 0) * sum(held[::2]))
    last = [at[i, len(x) - 1] for i, x in enumerate(sequences)]
    h, entries, unit = (x[np.ix_(last, last)] for x in held)
    return nu["nu_C"] * h, h + nu["nu_C"] * entries, nu["nu_C"] * (h + unit)


def _layer(functions, tokens, before, below, nu, alpha):
    """The moments of the states, and their tangent kernels in both conventions."""
    size, (f, slope) = len(tokens), functions
    h, entries, unit = np.zeros((3, size, size))
    pair, own, own_unit = np.zeros((3, size, size))  # of phi(g), and of its tangents
    g = np.zeros((size, size))

    def earlier(array, k, m):
        return 0.0 if before[k] is None or before[m] is None else array[before[k], before[m]]

    def past(k):
        chain = []
        while k is not None:
            chain.append((k, alpha * (1 - alpha) ** len(chain)))
            k = before[k]
        return chain

    for k in range(size):
        g[k, k] = nu["nu_W"] * earlier(h, k, k) + below[0][k, k] + nu["nu_b"]
        for m in range(k + 1):
            state = earlier(h, k, m)
            g[k, m] = g[m, k] = nu["nu_W"] * state + below[0][k, m] + nu["nu_b"]
            pair[k, m] = pair[m, k] = mean(f, f, g[k, k], g[k, m], g[m, m])
            factor = mean(slope, slope, g[k, k], g[k, m], g[m, m])
            direct = state + below[1][k, m] + 1 + nu["nu_W"] * earlier(entries, k, m)
            own[k, m] = own[m, k] = factor * direct
            direct = g[k, m] - below[0][k, m] + below[2][k, m] + nu["nu_W"] * earlier(unit, k, m)
            own_unit[k, m] = own_unit[m, k] = factor * direct
            for total, part in ((h, pair), (entries, own), (unit, own_unit)):
                found = sum(x * y * part[i, j] for i, x in past(k) for j, y in past(m))
                total[k, m] = total[m, k] = found
    return h, entries, unit


def agree(model, phi, sequences, nu, layers=1, alpha=1.0, close=1e-9):
    sequences = [np.asarray(x, dtype=float) for x in sequences]
    want = kernels(phi, sequences, nu, layers, alpha)
    given = nu | ({"alpha": alpha} if "alpha" in model.program().symbols else {})
    entries, unit = (Kernel(model, way, readout="last", **given) for way in ("entries", "ntk"))
    for found, by_hand in zip(
        (entries.nngp(sequences), entries.ntk(sequences), unit.ntk(sequences)), want, strict=True
    ):
        assert np.isfinite(found).all()
        np.testing.assert_allclose(found, by_hand, rtol=close, atol=close * np.abs(by_hand).max() + 1e-13)
        np.testing.assert_allclose(found, found.T, rtol=0, atol=1e-15 * np.abs(found).max())
        assert np.linalg.eigvalsh(found).min() >= -1e-12 * np.abs(found).max()


RNG = np.random.default_rng(5)
x, y = RNG.standard_normal((2, 3, 2)) * 0.6
RAGGED = [x, -x, x.copy(), y[:1], np.vstack([y[:1], x[:1]])]  # opposite, equal, shorter
NU = {"nu_W": 0.7, "nu_F": 0.5, "nu_C": 1.3, "nu_b": 0.05}


@pytest.mark.parametrize("phi", TABLE)
def test_every_activation_with_equal_opposite_and_shorter_inputs(phi):
    small = {"nu_W": 0.05} if phi == "exp" else {}  # else the variances leave the disc that is integrated over
    agree(models.elman(phi), phi, RAGGED, NU | small)


@pytest.mark.parametrize("phi", ["relu", "erf", "tanh"])
def test_one_to_six_steps(phi):
    z = RNG.standard_normal((6, 1))
    agree(models.elman(phi), phi, [z[:k] for k in (1, 2, 4, 6)], {**NU, "nu_W": 1.4, "nu_b": 0.0})


@pytest.mark.parametrize(
    "nu", [{"nu_W": 0.0}, {"nu_b": 0.0}, {"nu_C": 0.0}, {"nu_W": 2.5, "nu_F": 3.0}, {"nu_W": 0.01, "nu_F": 0.01}]
)
@pytest.mark.parametrize("phi", ["relu", "gelu"])
def test_variances_small_large_and_zero(phi, nu):
    agree(models.elman(phi), phi, RAGGED[:4], NU | nu)


@pytest.mark.parametrize(("phi", "alpha"), [("relu", 0.0), ("tanh", 0.3), ("relu", 1.0)])
def test_leaky_states_between_none_and_all(phi, alpha):
    agree(models.leaky(phi), phi, [x[:2], y, -y], NU, alpha=alpha)


@pytest.mark.parametrize("phi", ["erf"])
def test_three_layers_of_states(phi):
    agree(models.stacked(3, phi), phi, [x[:2], -x[:2], y], NU | {"nu_U": 0.9}, layers=3)


@pytest.mark.parametrize("phi", ["erf", "gelu", "cos", "softplus", "tanh"])
@pytest.mark.parametrize("nu_b", [0.0, 0.2])
def test_sequences_of_zeros(phi, nu_b):
    agree(models.elman(phi), phi, [np.zeros((3, 2)), y, np.zeros((2, 2))], NU | {"nu_b": nu_b})


@pytest.mark.parametrize("phi", ["relu", "abs", "leaky_relu(1/5)"])
def test_zeros_where_an_activation_has_a_kink(phi):
    """No variance at all: the kernel of a state that stays at zero is that of no bias, finite, and symmetric."""
    kernel = Kernel(models.elman(phi), readout="last", **NU | {"nu_b": 0.0})
    inputs = [np.zeros((3, 2)), y, np.zeros((2, 2))]
    assert np.isfinite(kernel.ntk(inputs)).all()
    np.testing.assert_array_equal(kernel.nngp(inputs)[0], 0.0)


def test_the_comparison_sees_a_thousandth():
    with pytest.raises(AssertionError):
        agree(models.elman("erf"), "erf", RAGGED[:2], NU, alpha=1.001)
