"""Gradients against difference quotients and complex steps, empirical kernels against neural-tangents 0.6.5."""

import json
from pathlib import Path

import array_api_strict
import numpy as np
import pytest
import sympy as sp
from scipy import special

from wideproof.derive import ParameterError, Recursion, ShapeError, erf, models
from wideproof.numeric.core.arrays import backend, seed_sequence, stream, to_host
from wideproof.numeric.networks.empirical_kernels import empirical_ntk
from wideproof.numeric.networks.gradients import gradients, run_forward, shape_of, trained
from wideproof.numeric.networks.simulation import simulate

CASES = json.loads((Path(__file__).parents[2] / "data" / "empirical_kernels.json").read_text())
Q = sp.Rational
GALLERY = {
    "linear": models.linear_rnn, "elman": lambda: models.elman("tanh"), "leaky": models.leaky,
    "untied": lambda: models.elman("gelu", tied=False), "residual": lambda: models.residual("sin"),
    "stacked": lambda: models.stacked(3), "net": lambda: models.feed_forward(3, "erf"), "deep": models.deep_linear,
    "gru": models.gru, "lstm": models.lstm, "mgu": models.mgu, "bidirectional": lambda: models.bidirectional("tanh"),
}  # fmt: skip
ANALYTIC = ("linear", "elman", "leaky", "residual", "net", "deep", "gru", "lstm", "mgu", "bidirectional")
WIDTH, SEQUENCES, STEPS, INPUTS, OUTPUTS = 5, 2, 4, 3, 2


def drawn(recursion, rng):
    """Inputs, numbers for the symbols, and explicit weights of a recursion."""
    program = recursion.program()
    X = rng.standard_normal((SEQUENCES, STEPS, INPUTS))
    nu = dict.fromkeys(program.symbols, 0.5)
    net = run_forward(program, X, WIDTH, n_y=OUTPUTS, **nu)
    shapes = {p.name: shape_of(net.run, p) if p.tied else (STEPS, *shape_of(net.run, p)) for p in trained(program)}
    return X, nu, {name: rng.standard_normal(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("name", GALLERY)
def test_gradients_are_difference_quotients(name):
    rng = np.random.default_rng(1)
    recursion = GALLERY[name]()
    X, nu, weights = drawn(recursion, rng)
    seed = rng.standard_normal((SEQUENCES, STEPS, OUTPUTS))
    found = gradients(recursion, X, seed, WIDTH, weights=weights, **nu)
    assert set(found) == set(weights)

    def cost(moved):
        return np.sum(seed * simulate(recursion, X, WIDTH, n_y=OUTPUTS, weights=moved, **nu).outputs[0])

    for key, value in weights.items():
        step = rng.standard_normal(value.shape)
        slope = float(np.sum(found[key][0] * step))
        ends = [cost({**weights, key: value + e * step}) for e in (1e-5, -1e-5)]
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6), key
        assert slope != pytest.approx((ends[0] - ends[1]) / 2.002e-5, rel=1e-4), key  # the mutant: a thousandth off
        if name in ANALYTIC:
            exact = cost({**weights, key: value + 1e-20j * step}).imag / 1e-20
            assert slope == pytest.approx(exact, rel=1e-12), key


def test_kernel_of_a_layer_is_that_of_neural_tangents():
    case = CASES["fc"]
    net = Recursion("fc")
    W, C, b = net.input_map("W"), net.readout("C"), net.bias("b")
    h = net.state("h")
    net.update(h, erf(Q(3, 2) / sp.sqrt(5) * W @ net.x + Q(3, 10) * b))
    net.output(C @ h)
    P = {key: np.array(value) for key, value in case["params"].items()}
    X = np.concatenate([np.array(case["x1"]), np.array(case["x2"])])[:, None, :]
    found = empirical_ntk(net, X, 6, n_y=2, readout="last", weights={"W": P["W1"], "b": P["b1"], "C": P["v"].T})
    block = np.transpose(found.total[0][:4, :, 4:, :], (0, 2, 1, 3))
    assert np.allclose(block, case["ntk_full_NxMxOxO"], rtol=1e-13, atol=1e-14)
    traced = np.trace(block, axis1=2, axis2=3) / 2
    assert np.allclose(traced, case["ntk_traced_mean_over_outputs"], rtol=1e-13, atol=1e-14)


def test_kernel_of_a_tied_recursion_is_that_of_neural_tangents():
    case = CASES["rnn"]
    rnn = Recursion("erf-rnn")
    W, F, C, b = rnn.matrix("W"), rnn.input_map("F"), rnn.readout("C"), rnn.bias("b")
    h = rnn.state("h")
    rnn.update(h, erf(Q(6, 5) * W @ h + (Q(4, 5) / sp.sqrt(3) * F) @ rnn.x + Q(3, 10) * b))
    rnn.output(C @ h)
    P = {key: np.array(value) for key, value in case["params"].items()}
    X = np.concatenate([np.array(case["seq1"]), np.array(case["seq2"])])
    given = {"W": P["W"], "F": P["U"], "b": P["b"], "C": P["v"].T}
    found = empirical_ntk(rnn, X, 6, readout="last", weights=given)
    first = len(case["seq1"])
    assert np.allclose(found.outputs[0, :first, -1, :], case["outputs"], rtol=1e-13)
    assert np.allclose(found.total[0][:first, 0, first:, 0], case["ntk"], rtol=1e-13, atol=1e-14)
    assert not np.allclose(found.parts["W"][0][:first, 0, first:, 0], case["ntk"], rtol=1e-3)


@pytest.mark.parametrize("name", ["untied", "stacked", "leaky"])
@pytest.mark.parametrize("parameterization", ["entries", "ntk"])
def test_each_part_is_the_inner_product_of_gradients(name, parameterization):
    rng = np.random.default_rng(2)
    recursion = GALLERY[name]()
    X, nu, weights = drawn(recursion, rng)
    nu = {key: 0.3 + 0.1 * i for i, key in enumerate(nu)}
    places = [(a, time, r) for a in range(SEQUENCES) for time in range(STEPS) for r in range(OUTPUTS)]
    rows = []
    for place in places:
        seed = np.zeros((SEQUENCES, STEPS, OUTPUTS))
        seed[place] = 1.0
        rows.append(gradients(recursion, X, seed, WIDTH, weights=weights, **nu))
    found = empirical_ntk(recursion, X, WIDTH, n_y=OUTPUTS, parameterization=parameterization, weights=weights, **nu)
    means = {key: 0.0 for key in weights}
    for parameter in trained(recursion.program()):
        key = parameter.name
        scale = nu[parameter.variance.name] if parameterization == "ntk" else 1.0
        jacobian = np.array([row[key].ravel() for row in rows])
        means[key] = (scale * jacobian @ jacobian.T).reshape((SEQUENCES, STEPS, OUTPUTS) * 2)
        assert np.allclose(found.parts[key][0], means[key], rtol=1e-10, atol=1e-12)
    for readout in ("last", "average"):
        some = empirical_ntk(recursion, X, WIDTH, n_y=OUTPUTS, readout=readout, weights=weights,
                             parameterization=parameterization, **nu)  # fmt: skip
        whole = sum(means.values())
        want = whole[:, -1, :, :, -1, :] if readout == "last" else whole.mean(axis=(1, 4))
        assert np.allclose(some.total[0], want, rtol=1e-10, atol=1e-12)


def test_revealed_matrices_give_the_same_law_and_the_strict_namespace_the_same_numbers():
    X = np.random.default_rng(3).standard_normal((2, 3, 2))
    nu = {"nu_W": 0.8, "nu_F": 1.0, "nu_C": 1.0, "nu_b": 0.1}
    means = []
    for method in ("dense", "matrix-free"):
        kernels = empirical_ntk(models.elman(), X, 64, trials=300, seed=4, method=method, **nu).total
        flat = np.reshape(kernels, (300, -1))
        means.append((flat.mean(axis=0), flat.std(axis=0) / 300**0.5))
    score = (means[0][0] - means[1][0]) / np.hypot(means[0][1], means[1][1])
    assert special.erfc(np.abs(score).max() / 2**0.5) * score.size > 1e-4
    for method in ("dense", "matrix-free"):
        runs = [to_host(empirical_ntk(models.elman(), xp.asarray(X), 40, trials=2, method=method, n_y=2,
                                      seed=stream(xp, seed_sequence(5)), **nu).total)
                for xp in (array_api_strict, backend("numpy"))]  # fmt: skip
        assert np.allclose(*runs, rtol=1e-11)


def test_bad_arguments_are_refused():
    X = np.ones((1, 2, 1))
    nu = {"nu_W": 0.8, "nu_F": 1.0, "nu_C": 1.0, "nu_b": 0.1}
    with pytest.raises(ParameterError) as caught:
        empirical_ntk(models.elman(), X, 4, readout="first", **nu)
    assert caught.value.where == "empirical_ntk: readout"
    with pytest.raises(ShapeError):
        gradients(models.elman(), X[0], np.ones((1, 2, 1)), 4, **nu)


def test_long_sequences_need_no_deep_stack():
    X = np.random.default_rng(6).standard_normal((1, 400, 1))
    nu = {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 1.0, "nu_b": 0.1}
    for model in (models.elman("tanh"), models.bidirectional("tanh")):
        found = gradients(model, X, np.ones((1, 400, 1)), 3, **nu)
        assert all(np.all(np.isfinite(g)) for g in found.values())
