"""Simulation from terms against loops written by hand; whole and revealed matrices against each other in law."""

from __future__ import annotations

import math

import array_api_strict
import numpy as np
import pytest
import sympy as sp
from scipy import stats

from wideproof.derive import Recursion, activation, models, relu, tanh
from wideproof.derive.calculus.tangent import tangent
from wideproof.derive.language.activations import NAMES, definition_at
from wideproof.derive.language.errors import LanguageError, ParameterError, ShapeError
from wideproof.numeric.core.activations import FUNCTIONS, activation_function
from wideproof.numeric.core.arrays import backend, seed_sequence, stream, to_host
from wideproof.numeric.linear_rnn.krylov import LinearRNN, impulse_response
from wideproof.numeric.linear_rnn.quadratic_loss import apply_filter
from wideproof.numeric.networks.simulation import simulate
from wideproof.numeric.sampling import revealed_matrices
from wideproof.numeric.sampling.revealed_matrices import RevealedMatrices, choose_matrices
from wideproof.numeric.sampling.whole_matrices import WholeMatrices

NU = {"nu_W": 0.9, "nu_V": 1.5, "nu_b": 0.1, "nu_0": 0.7}
LEVEL = 1e-4
RNG = np.random.default_rng(5)
X = RNG.standard_normal((2, 3, 2))


def two_matrices(tied=True):
    """Two states, a tied matrix that meets both, a second one, biases, `.next`, two readouts' worth of terms."""
    rnn = Recursion("two-matrices")
    W, V = rnn.matrix("W", variance="nu_W"), rnn.matrix("V", variance="nu_V", tied=tied)
    F, C = rnn.input_map("F"), rnn.readout("C")
    b, c = rnn.bias("b", variance="nu_b", mean=sp.Rational(1, 5)), rnn.bias("c", variance="nu_b", tied=False)
    h, g = rnn.state("h"), rnn.state("g", initial="nu_0")
    rnn.update(h, W @ tanh(h) + V @ g + F @ rnn.x + b)
    rnn.update(g, tanh(W @ h.next) * sp.Rational(3, 2) + g**2 / 4 + relu(h))
    rnn.output(C @ h + C @ relu(g) + c)
    return rnn


def by_hand(weights, start, X):
    """The same recursion, written out for single vectors."""
    W, V, F, C, b, c = (weights[name] for name in "WVFCbc")
    root, outputs = math.sqrt(W.shape[0]), []
    for sequence, g in zip(X, start, strict=True):
        h, ys = np.zeros(W.shape[0]), []
        for t, x in enumerate(sequence):
            V_t = V[t] if V.ndim == 3 else V
            new = W @ np.tanh(h) / root + V_t @ g / root + F @ x + b
            g = 1.5 * np.tanh(W @ new / root) + g**2 / 4 + np.maximum(h, 0)
            h = new
            ys.append(C @ h / root + C @ np.maximum(g, 0) / root + c[t])
        outputs.append(ys)
    return np.array(outputs)


@pytest.mark.parametrize("tied", [True, False])
def test_simulation_is_the_loop_written_by_hand(tied):
    n, T = 7, X.shape[1]
    shapes = {"W": (n, n), "V": (n, n) if tied else (T, n, n), "F": (n, 2), "C": (3, n), "b": (n,), "c": (T, 3)}
    weights = {name: RNG.standard_normal(shape) for name, shape in shapes.items()}
    source = stream(backend("numpy"), seed_sequence(3))
    found = simulate(two_matrices(tied), X, n, n_y=3, seed=source, weights=weights, states=True, **NU)
    start = math.sqrt(0.7) * stream(backend("numpy"), seed_sequence(3)).normal(1, 2, n)[0]
    assert np.allclose(found.outputs[0], by_hand(weights, start, X), rtol=1e-12)
    assert found.outputs.shape == (1, 2, T, 3)
    assert found.states["h"].shape == found.states["g"].shape == (1, 2, T, n)
    assert found.method == "dense"


@pytest.mark.filterwarnings("ignore::wideproof.NarrowWidth")  # narrow on purpose
@pytest.mark.parametrize("method", ["dense", "matrix-free"])
def test_a_linear_network_answers_with_its_impulse_response(method):
    rnn, nu = models.linear_rnn(), {"nu_W": 0.6, "nu_F": 1.2, "nu_C": 0.8}
    impulses = np.zeros((2, 4, 2))
    impulses[[0, 1], 0, [0, 1]] = 1.0
    batch = np.concatenate([impulses, RNG.standard_normal((3, 4, 2))])
    y = simulate(rnn, batch, 30, n_y=3, seed=1, method=method, **nu).outputs[0]
    L = np.stack([y[0], y[1]], axis=-1)  # (T, n_y, n_x)
    assert np.allclose(y[2:], apply_filter(L, batch[2:]), rtol=1e-9, atol=1e-9)
    W, F, C = (RNG.standard_normal(shape) for shape in ((9, 9), (9, 2), (3, 9)))
    given = simulate(rnn, batch, 9, n_y=3, weights={"W": W, "F": F, "C": C}, **nu).outputs[0]
    assert np.allclose(given, apply_filter(impulse_response(LinearRNN(W, F, C), 4), batch), rtol=1e-12)


def statistics(outputs):
    """Entries of all outputs, their pair products, and non-linear functions of random combinations."""
    flat = outputs.reshape(outputs.shape[0], -1)
    rows, columns = np.triu_indices(flat.shape[1])
    directions = np.random.default_rng(0).normal(size=(flat.shape[1], 30)) / math.sqrt(flat.shape[1])
    mixed = flat @ directions
    bounded = np.tanh(flat)  # the raw products have heavy tails at small n
    pairs = bounded[:, rows] * bounded[:, columns]
    return np.concatenate([bounded, pairs, pairs**2, np.cos(2 * mixed), np.tanh(mixed) ** 2], axis=1)


def smallest_p(first, second):
    spread = np.sqrt(first.var(axis=0) / len(first) + second.var(axis=0) / len(second))
    seen = spread > 1e-12
    score = np.abs(first.mean(axis=0) - second.mean(axis=0))[seen] / spread[seen]
    return min(1.0, 2 * stats.norm.sf(score.max()) * seen.sum())


def compare(width, tied=True, other=True, trials=8000):
    parts = []
    for key, method in enumerate(("dense", "matrix-free")):
        rnn = two_matrices(tied if method == "dense" else other)
        found = simulate(rnn, X, width, n_y=2, trials=trials, seed=100 * width + key, method=method, **NU)
        parts.append(statistics(found.outputs))
    assert parts[0].shape[1] > 200
    return smallest_p(*parts)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 10, 50])
def test_revealed_matrices_have_the_joint_law_of_whole_ones(width, tied):
    trials = 8000 if width < 50 else 4000
    assert compare(width, tied, tied, trials) > LEVEL


@pytest.mark.parametrize("width", [3, 10])
def test_tied_against_untied_is_noticed(width):
    assert compare(width, True, False, 20_000) < LEVEL


@pytest.mark.parametrize("width", [3, 10])
def test_a_matrix_that_forgets_is_noticed(width, monkeypatch):
    def forget(self, time):
        super(RevealedMatrices, self).start(time)
        self._revealed = {}

    monkeypatch.setattr(RevealedMatrices, "start", forget)
    assert compare(width, trials=20_000) < LEVEL


def test_a_wrong_variance_of_the_noise_is_noticed(monkeypatch):
    fresh = revealed_matrices.ExplicitMatrix.fresh
    monkeypatch.setattr(revealed_matrices.ExplicitMatrix, "fresh", lambda self: 1.1 * fresh(self))
    assert compare(10) < LEVEL


def test_transposed_products_are_those_of_the_same_draw():
    rnn = models.linear_rnn().program()
    W = rnn.parameters[0]
    source = stream(backend("numpy"), seed_sequence(0))
    drawn = RevealedMatrices(source, {"trials": 2, "width": 8, "n_x": 1, "n_y": 1}, lambda _: 1.0, {})
    v, u = source.normal(2, 3, 8), source.normal(2, 3, 8)
    left, right = drawn.multiply_transposed(W, u), drawn.multiply(W, v)
    assert np.allclose(left @ v.mT, u @ right.mT, rtol=1e-9, atol=1e-12)


def both_ways(kind, width, trials, seed, deaf=False):
    """Two steps of a recursion with W, Wᵀ (tied) and V, Vᵀ (drawn anew at each step), non-linear in between."""
    W, V = (next(p for p in two_matrices(tied=False).program().parameters if p.name == name) for name in "WV")
    source = stream(backend("numpy"), seed_sequence(seed))
    drawn = kind(source, {"trials": trials, "width": width, "n_x": 1, "n_y": 1}, lambda e: 0.8 * (e != 0), {})
    h, met = source.normal(trials, 2, width), []
    for time in range(2):
        drawn.start(time)
        g = np.tanh(drawn.multiply(W, h)) + drawn.multiply_transposed(V, h)
        back = g if deaf else drawn.multiply_transposed(W, g)
        h = np.tanh(back) + drawn.multiply(V, np.maximum(g, 0) + h)
        met += [g, h]
    return statistics(np.concatenate(met, axis=1)[:, :, [0, -1]])


@pytest.mark.parametrize("width", [1, 2, 3, 5, 10, 50])
def test_several_matrices_asked_from_both_sides_have_the_joint_law_of_whole_ones(width):
    trials = 6000 if width < 50 else 3000
    found = [both_ways(kind, width, trials, 40 + k) for k, kind in enumerate((WholeMatrices, RevealedMatrices))]
    assert found[0].shape[1] > 200
    assert smallest_p(*found) > LEVEL


@pytest.mark.parametrize("width", [3, 10])
def test_untied_draws_that_are_kept_and_transposes_that_are_left_out_are_noticed(width, monkeypatch):
    whole = both_ways(WholeMatrices, width, 6000, 50)
    assert smallest_p(whole, both_ways(RevealedMatrices, width, 6000, 51, deaf=True)) < LEVEL
    monkeypatch.setattr(RevealedMatrices, "start", lambda self, time: None)  # V is drawn once
    assert (
        smallest_p(both_ways(WholeMatrices, width, 20_000, 52), both_ways(RevealedMatrices, width, 20_000, 53)) < LEVEL
    )


def test_a_tangent_program_runs_and_is_a_derivative():
    """The output perturbation of the tangent recursion against a difference of two runs."""
    rnn = Recursion("elman-test")
    W, F, C = rnn.matrix("W", variance="nu_W"), rnn.input_map("F"), rnn.readout("C")
    h = rnn.state("h")
    rnn.update(h, W @ activation("erf")(h) + F @ rnn.x)
    rnn.output(C @ tanh(h))
    program = rnn.program()
    moved = tangent(program)
    n = 6
    shapes = {"W": (n, n), "F": (n, 2), "C": (1, n)}
    base = {name: RNG.standard_normal(shape) for name, shape in shapes.items()}
    step = {name: RNG.standard_normal(shape) for name, shape in shapes.items()}
    names = {p.name: next(k for k in shapes if p.name.endswith(k)) for p in moved.parameters}
    weights = {p: (base if p in shapes else step)[k] for p, k in names.items()}
    found = simulate(moved, X, n, weights=weights, nu_W=1.0).outputs
    ends = [simulate(program, X, n, nu_W=1.0, weights={k: base[k] + e * step[k] for k in shapes}).outputs
            for e in (1e-5, -1e-5)]  # fmt: skip
    assert np.allclose(found, (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", sorted({*NAMES, *FUNCTIONS} - {"identity"}))
def test_every_activation_is_its_definition(name):
    z = np.array([-2.3, -0.7, 0.4, 1.9])
    for order in range(len(FUNCTIONS.get(name, (0, 1)))):
        want = [float(definition_at(name, order, sp.Float(x, 30))) for x in z]
        assert np.allclose(activation_function(name, order)(z), want, rtol=1e-13, atol=1e-15)
        strict = activation_function(name, order)(array_api_strict.asarray(z))
        assert np.allclose(to_host(strict), want, rtol=1e-13, atol=1e-15)


def test_no_activation_overflows():
    z = np.array([-1e4, -800.0, 800.0, 1e4])
    for name, row in FUNCTIONS.items():
        assert name == "exp" or all(np.all(np.isfinite(function(z))) for function in row)


@pytest.mark.parametrize("method", ["dense", "matrix-free"])
def test_simulation_runs_in_the_strict_namespace_with_the_same_numbers(method):
    runs = []
    for xp in (array_api_strict, backend("numpy")):
        source = stream(xp, seed_sequence(6))
        runs.append(to_host(simulate(two_matrices(), X, 5, trials=3, seed=source, method=method, **NU).outputs))
    assert np.allclose(*runs, rtol=1e-12)


def test_shared_starts_are_shared_and_zero_parameters_are_exact():
    rnn = Recursion("still")
    h, k = rnn.state("h", initial="nu_0", shared=True), rnn.state("k", initial="nu_0")
    C = rnn.readout("C")
    rnn.update(h, h)
    rnn.update(k, k)
    rnn.output(C @ h + C @ k)
    states = simulate(rnn, X, 4, trials=2, nu_0=2.0, states=True).states
    assert np.array_equal(states["h"][:, 0], states["h"][:, 1])
    assert not np.any(states["k"][:, 0] == states["k"][:, 1])
    assert not np.any(simulate(rnn, X, 4, nu_0=0.0).outputs)


def test_the_choice_follows_the_width_and_says_why():
    program = two_matrices().program()
    wide, narrow = choose_matrices(program, 10**6, 2, 3), choose_matrices(program, 20, 2, 3)
    assert (wide.name, narrow.name) == ("explicit", "dense")
    assert "12 vectors" in wide.reason
    assert choose_matrices(program, 20, 2, 3, "matrix-free").name == "explicit"


@pytest.mark.parametrize(
    ("change", "error", "where"),
    [({"nu_W": -1.0}, ParameterError, "nu_W"), ({"nu_Q": 1.0}, ParameterError, "two-matrices"),
     ({"width": 0}, ParameterError, "simulate: width"), ({"method": "sparse"}, ParameterError, "simulate: method"),
     ({"inputs": X[0]}, ShapeError, "simulate: inputs"), ({"trials": 1.5}, ParameterError, "simulate: trials"),
     ({"weights": {"W": np.ones((2, 3))}}, ShapeError, "weights of W"),
     ({"weights": {"W": np.ones((4, 4))}, "method": "matrix-free"}, ParameterError, "simulate: method")],
)  # fmt: skip
def test_bad_arguments_are_refused_by_field(change, error, where):
    arguments = {"inputs": X, "width": 4, **NU} | change
    with pytest.raises(error) as caught:
        simulate(two_matrices(), **arguments)
    assert caught.value.where == where


def test_an_expression_without_a_value_is_refused():
    rnn = Recursion("odd")
    h, C = rnn.state("h"), rnn.readout("C")
    rnn.update(h, sp.Abs(h))
    rnn.output(C @ h)
    with pytest.raises(LanguageError):
        simulate(rnn, X, 4)
    with pytest.raises(ParameterError) as caught:
        activation_function("step", 1)
    assert caught.value.where == "activation step"
