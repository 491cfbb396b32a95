"""Kernels of non-linear recursions against the numbers of other programs, finite networks and general laws."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import (
    NotAccurate,
    NotClosed,
    ParameterError,
    Recursion,
    activation,
    models,
    nngp,
    ntk,
    relu,
    tanh,
)
from wideproof.derive.language.activations import Z, define
from wideproof.derive.language.errors import ShapeError, TooLarge
from wideproof.numeric import Kernel
from wideproof.numeric.kernels.sequence_batches import SequenceBatch

DATA = Path(__file__).parents[1] / "data"


def cases(name):
    return [pytest.param(c, id=c["id"]) for c in json.loads((DATA / f"{name}.json").read_text())["cases"]]


NU = {"nu_W": 1.2, "nu_F": 0.4, "nu_C": 0.9, "nu_b": 0.1}
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("case", cases("rnn_kernels"))
def test_elman_agrees_with_ntk4a(case):
    p, want, inputs = case["params"], case["expected"], [np.array(x) for x in case["inputs"]]
    rnn = models.elman("identity" if case["phi"] == "linear" else case["phi"])
    nu = {"nu_W": p["varw"], "nu_F": p["varu"] / case["dim"], "nu_C": p["varv"], "nu_b": p["varb"]}
    readout = {"avg": "average"}.get(case["readout"], case["readout"])
    kernel = Kernel(rnn, readout=readout, **nu)
    close = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(kernel.nngp(inputs), want["nngp_readout"], **close)
    np.testing.assert_allclose(Kernel(rnn, "ntk", readout=readout, **nu).ntk(inputs), want["ntk_unit"], **close)
    parts = kernel.ntk_by_parameter(inputs)
    parts["F"] = parts["F"] / case["dim"]
    for ours, theirs in (("C", "v"), ("F", "U"), ("W", "W"), ("b", "b")):
        np.testing.assert_allclose(parts[ours], want[f"theta_{theirs}"], **close)
    np.testing.assert_allclose(sum(parts.values()), want["ntk_NTK4A"], **close)


def deep_relu(layers, start):
    rnn = Recursion("deep-relu")
    below = rnn.input_map("F", "nu_F") @ rnn.x
    for layer in range(1, layers + 1):
        W, b = rnn.matrix(f"W_{layer}", "nu_W"), rnn.bias(f"b_{layer}", "nu_b")
        h = rnn.state(f"h_{layer}", initial="nu_0" if start else 0)
        rnn.update(h, relu(W @ h + below + b))
        below = rnn.matrix(f"U_{layer + 1}", "nu_F") @ h.next if layer < layers else below
    rnn.output(rnn.readout("C", "nu_C") @ h)
    return rnn


@pytest.mark.parametrize("case", cases("rntk_kernels"))
def test_deep_relu_agrees_with_rntk(case):
    """Also with a start drawn for each sequence; the mean over equal times is their untied readout."""
    p, X = case["params"], np.array(case["inputs"])[:, :, None]
    nu = {f"nu_{x}": p[f"sigma{y}"] ** 2 for x, y in (("W", "w"), ("F", "u"), ("b", "b"), ("C", "v"), ("0", "h"))}
    rnn = deep_relu(p["L"], p["sigmah"] > 0)
    nu = {name: value for name, value in nu.items() if name in rnn.program().symbols}
    last = Kernel(rnn, "ntk", readout="last", **nu).ntk(X)
    np.testing.assert_allclose(last, case["ntk_last"], rtol=1e-10)
    steps = Kernel(rnn, "ntk", **nu).ntk(X)
    mean = np.mean([steps[:, t, :, t] for t in range(X.shape[1])], axis=0)
    np.testing.assert_allclose(mean, case["ntk_untied_readout_mean"], rtol=1e-10)


R = sp.Rational
GIVEN = {
    "1.2*sin(0.7 x+0.3)": lambda z: R(6, 5) * activation("sin")(R(7, 10) * z + R(3, 10)),
    "Sigmoid_like = 0.5*erf(x/2.4020563531719796)+0.5":
        lambda z: R(1, 2) + activation("erf")(z / R("2.4020563531719796")) / 2,
    "x^3": lambda z: z**3,
    "0.3+x-0.2x^2+0.1x^3": lambda z: R(3, 10) + z - z**2 / 5 + z**3 / 10,
}  # fmt: skip
NAMED = {
    "Relu": "relu", "Erf": "erf", "Gelu (exact)": "gelu", "cos(x)": "cos", "exp(-x^2)": "gaussian",
    "tanh, ElementwiseNumerical deg=200": "tanh", "LeakyRelu(0.2)": "leaky_relu(1/5)",
    "ABRelu(a=-0.3,b=1.5): a*min(x,0)+b*max(x,0)": "abrelu(-3/10, 3/2)", "identity (deep linear)": "identity",
    "Erf, readout Dense W_std=0.8 no bias": "erf",
}  # fmt: skip


def net_of(case):
    if case["activation"] in NAMED:
        return models.feed_forward(case["depth_hidden"], NAMED[case["activation"]], case["b_std"] is not None)
    phi, net, below = GIVEN[case["activation"]], Recursion("net"), None
    for layer in range(1, case["depth_hidden"] + 1):
        below = net.input_map("F", "nu_F") @ net.x if below is None else net.matrix(f"W_{layer}", "nu_W") @ h.next  # noqa: F821
        h = net.state(f"h_{layer}")
        net.update(h, phi(below + net.bias(f"b_{layer}", "nu_b")))
    net.output(net.readout("C", "nu_C") @ h + net.bias("c", "nu_c"))
    return net


@pytest.mark.parametrize("case", cases("fc_kernels"))
def test_feed_forward_agrees_with_neural_tangents(case):
    net, (X1, X2) = net_of(case), (np.array(case[x])[:, None, :] for x in ("x1", "x2"))
    weight, bias = case["W_std"] ** 2, (case["b_std"] or 0.0) ** 2
    nu = {"nu_F": weight / X1.shape[-1], "nu_W": weight, "nu_C": case.get("Wout", case["W_std"]) ** 2,
          "nu_b": bias, "nu_c": case["bout"] ** 2 if "bout" in case else bias}  # fmt: skip
    kernel = Kernel(net, "ntk", readout="last", **{k: v for k, v in nu.items() if k in net.program().symbols})
    np.testing.assert_allclose(kernel.nngp(X1, X2), case["expected"]["nngp_x1x2"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(kernel.ntk(X1, X2), case["expected"]["ntk_x1x2"], rtol=1e-10, atol=1e-11)
    for quantity in ("nngp", "ntk"):
        found = kernel.evaluate(quantity, X1, X2)
        assert (found.error <= 1e-12 * np.maximum(1.0, np.abs(found.value))).all()


@pytest.mark.parametrize("model", ["elman", "leaky", "residual", "stacked", "feed_forward"])
@pytest.mark.parametrize("name", ["nngp", "ntk"])
def test_every_model_has_symmetric_positive_kernels(model, name):
    X, rnn = RNG.standard_normal((4, 5, 2)), getattr(models, model)()
    X[1] = X[0]  # a coincident pair
    nu = {symbol: {"alpha": 0.3}.get(symbol, 0.6) for symbol in rnn.program().symbols}
    square = getattr(Kernel(rnn, **nu), name)(X)
    flat = square.reshape(20, 20)
    np.testing.assert_allclose(flat, flat.T, atol=1e-12)
    assert np.linalg.eigvalsh(flat).min() > -1e-12 * flat.max()
    np.testing.assert_allclose(square[0], square[1], rtol=1e-13)
    apart = getattr(Kernel(rnn, **nu), name)(X, X.copy())
    np.testing.assert_allclose(square, apart, rtol=1e-12, atol=1e-13)
    for readout, want in (("last", square[:, -1, :, -1]), ("average", square.mean((1, 3)))):
        np.testing.assert_allclose(getattr(Kernel(rnn, readout=readout, **nu), name)(X), want, rtol=1e-12)


def test_blocks_and_lengths_do_not_change_the_numbers():
    X = RNG.standard_normal((5, 6, 2))
    whole = Kernel(models.elman("relu"), readout="last", **NU).ntk(X)
    np.testing.assert_allclose(Kernel(models.elman("relu"), readout="last", memory=1e4, **NU).ntk(X), whole, rtol=1e-13)
    ragged = [X[0], X[1][:4], X[2], X[3][:4]]
    for readout in ("last", "average"):
        kernel = Kernel(models.elman("relu"), readout=readout, **NU)
        pairs = [[kernel.ntk([x], [y])[0, 0] for y in ragged] for x in ragged]
        np.testing.assert_allclose(kernel.ntk(ragged), pairs, rtol=1e-12)
    with pytest.raises(ShapeError, match="length"):
        Kernel(models.elman("relu"), **NU).ntk(ragged)


def test_tied_and_untied_differ():
    """Redrawn weights forget across times: the kernel of two times vanishes, that of one step stays."""
    X = np.random.default_rng(3).standard_normal((2, 4, 3))
    tied, untied = (Kernel(models.elman("erf", tied=tied), **NU).nngp(X) for tied in (True, False))
    for t, s in np.ndindex(4, 4):
        if t == s:
            np.testing.assert_allclose(tied[:, t, :, s], untied[:, t, :, s], rtol=1e-12)
        else:
            assert np.allclose(untied[:, t, :, s], 0.0) and np.abs(tied[:, t, :, s]).max() > 1e-2  # noqa: PT018


def test_finite_networks_have_this_kernel():
    """The mean over wide random tanh networks, written out here, in standard errors; 2 % more is refused."""
    width, nets, X = 400, 300, RNG.standard_normal((2, 3, 2))
    rng, seen = np.random.default_rng(3), []
    for _ in range(nets):
        W = rng.standard_normal((width, width)) * (NU["nu_W"] / width) ** 0.5
        F, b = rng.standard_normal((width, 2)) * NU["nu_F"] ** 0.5, rng.standard_normal(width) * NU["nu_b"] ** 0.5
        h = np.zeros((2, width))
        for t in range(3):
            h = np.tanh(h @ W.T + X[:, t] @ F.T + b)
        seen.append(NU["nu_C"] * h @ h.T / width)
    want, error = np.mean(seen, axis=0), np.std(seen, axis=0, ddof=1) / nets**0.5
    kernel = Kernel(models.elman("tanh"), readout="last", **NU).nngp(X)
    assert np.abs((want - kernel) / error).max() < 5
    assert np.abs((want - 1.02 * kernel) / error).max() > 5


def test_the_last_step_costs_linear_time(monkeypatch):
    """Inner products of two sequences are asked for once per step and expectation, at equal lags only."""
    asked = []
    whole = SequenceBatch.gram

    def counted(self, side, first, second):
        asked.append((side, first - second))
        return whole(self, side, first, second)

    monkeypatch.setattr(SequenceBatch, "gram", counted)
    counts = []
    for T in (10, 20, 40):
        asked.clear()
        Kernel(models.elman("erf"), readout="last", **NU).ntk(RNG.standard_normal((3, T, 2)))
        assert {lag for _, lag in asked} == {0}
        counts.append(len(asked))
    assert counts[2] - counts[1] == 2 * (counts[1] - counts[0])


def test_inputs_of_very_different_size_keep_their_accuracy():
    """The series of a small variance is short; beside a large one it is continued."""
    X = np.array([0.01, 3.0])[:, None, None] * np.ones((2, 1, 1))
    kernel = Kernel(models.feed_forward(1, "tanh", bias=False), readout="last", nu_F=1.0, nu_C=1.0)
    found = kernel.evaluate("nngp", X)
    z = np.arange(-12, 12, 0.01)
    want = np.sum(np.tanh(0.01 * z) * np.tanh(3.0 * z) * np.exp(-z * z / 2)) * 0.01 / (2 * np.pi) ** 0.5
    assert found.error.max() < 1e-13
    np.testing.assert_allclose(found.value[0, 1], want, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::wideproof.SlowExpectations")
def test_what_has_no_numbers_is_refused():
    X = RNG.standard_normal((2, 3, 2))
    define("fast_chirp", sp.sin(1000 * Z**2))
    shifted = Recursion("shifted")
    F, C, h = shifted.input_map("F"), shifted.readout("C"), shifted.state("h")
    shifted.update(h, activation("fast_chirp")(F @ shifted.x) + tanh(F @ shifted.x))
    shifted.output(C @ h)
    with pytest.raises(NotAccurate, match="tells where it is steep"):
        Kernel(shifted).nngp(X)
    with pytest.raises(NotClosed, match="jump"):
        Kernel(models.elman("step"), **NU).ntk(X)
    with pytest.raises(ParameterError, match="readout"):
        Kernel(models.elman(), readout="first", **NU)
    with pytest.raises(ParameterError, match="among C, F, W, b"):
        ntk(models.elman(), parameters="V")
    with pytest.raises(ParameterError, match="X1"):
        nngp(models.elman()).formula.compile()(X=np.eye(3), **NU)


@pytest.mark.parametrize(
    ("model", "options"),
    [(models.elman("tanh"), {"memory": 2e4}), (models.stacked(2, "gelu"), {"memory": 2e4}),
     (models.mgu(), {"readout": "average"})],
    ids=lambda x: getattr(x, "name", ""),
)  # fmt: skip
def test_equal_sequences_have_equal_rows_and_kernels_are_exactly_symmetric(model, options):
    """In other blocks, on other sides, and with zeros of either sign."""
    nu = dict.fromkeys(model.program().symbols, 0.8)
    X = np.random.default_rng(3).standard_normal((12, 2, 1))
    X[0, 0] = 0.0
    X[[11, 9]] = X[[0, 5]]
    X[11, 0] = -0.0
    kernel = Kernel(model, **{"readout": "last", "points": 64, **nu, **options})
    for found in (kernel.ntk(X), kernel.ntk(X, X[:4])):
        np.testing.assert_array_equal(found[[11, 9]], found[[0, 5]])
        assert not np.array_equal(found[1], found[2])
    found = kernel.nngp(X)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(kernel.nngp(X, X.copy()), found)  # also where points are drawn
    assert np.linalg.eigvalsh(found)[0] > -1e-14 * np.trace(found)
    error = kernel.evaluate("nngp", X).error
    np.testing.assert_array_equal(error[11], error[0])


def test_starts_drawn_for_each_sequence_keep_equal_inputs_apart():
    rnn = Recursion("random-start")
    W, F, h = rnn.matrix("W"), rnn.input_map("F"), rnn.state("h", initial=1)
    rnn.update(h, tanh(W @ h + F @ rnn.x))
    rnn.output(rnn.readout("C") @ h)
    found = Kernel(rnn, readout="last").nngp(np.ones((2, 1, 1)))
    assert found[0, 1] < 0.9 * found[0, 0]


@pytest.mark.parametrize("readout", ["all", "last"])
def test_overflow_is_refused_with_its_step(readout):
    X = np.array([1.0, -1.0])[:, None, None] * np.ones((2, 6, 1))
    grows = Kernel(models.elman("exp"), readout=readout, nu_W=1.0, nu_F=0.1, nu_b=0.1, nu_C=1.0)
    with pytest.raises(TooLarge, match=r"elman.*overflow from step 3 on.*smaller variances"):
        grows.nngp(X)
    assert np.isfinite(grows.nngp(X[:, :3])).all()
    with pytest.raises(TooLarge, match="step 0"):
        Kernel(models.elman("erf"), **NU).nngp(1e200 * X)
    error = TooLarge("here", " from step 2 on")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("phi", ["tanh", "softplus"])
def test_inputs_of_any_size_have_a_kernel(phi):
    """Far out, tanh is the sign and softplus a ramp."""
    X, step = 1e5 * RNG.standard_normal((3, 2, 3)), {"tanh": "sign"}.get(phi, "relu")
    nu = {"nu_W": 0.5, "nu_F": 1.0, "nu_b": 0.1, "nu_C": 1.0}
    found, limit = (Kernel(models.elman(name), readout="last", **nu).nngp(X) for name in (phi, step))
    np.testing.assert_allclose(found, limit, rtol=0, atol=3e-5 * limit.max())
    assert np.abs(found - limit).max() > 0
