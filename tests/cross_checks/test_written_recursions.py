"""Kernels of recursions that a user writes, against quadrature of what they mean, written out here."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf

from wideproof.derive import LanguageError, ParameterError, Recursion, models, nngp
from wideproof.derive.language import activations as phi
from wideproof.derive.language.notation import parameter
from wideproof.numeric import Kernel

NODES = np.arange(-9.0, 9.01, 0.1)
WEIGHTS = 0.1 * np.exp(-NODES * NODES / 2) / np.sqrt(2 * np.pi)
X = np.random.default_rng(11).standard_normal((3, 2, 2))

REFERENCE = json.loads((Path(__file__).parents[1] / "data" / "written_kernels.json").read_text())


def mean(f, g, a, c, b):
    """E[f(u) g(v)], centred."""
    r = c / np.sqrt(a * b)
    v = np.sqrt(b) * (r * NODES[:, None] + np.sqrt(1 - min(1, r * r)) * NODES)
    return float(WEIGHTS @ (f(np.sqrt(a) * NODES)[:, None] * g(v)) @ WEIGHTS)


def pairs(f, cov):
    """E[f(u_i) f(u_j)] for all pairs of a centred vector."""
    return np.array([[mean(f, f, cov[i, i], cov[i, j], cov[j, j]) for j in range(len(cov))] for i in range(len(cov))])


def test_a_product_inside_a_product_takes_its_law_from_an_expectation():
    rnn = Recursion("deep-step")
    W, V = rnn.matrix("W", variance="nu_W"), rnn.matrix("V", variance="nu_V")
    F, C, h = rnn.input_map("F", variance="nu_F"), rnn.readout("C", variance="nu_C"), rnn.state("h")
    rnn.update(h, phi.erf(V @ phi.tanh(W @ h) + F @ rnn.x))
    rnn.output(C @ h)
    kernel = Kernel(rnn, readout="last", nu_W=1.1, nu_V=0.8, nu_F=0.7, nu_C=1.3)
    grams = [0.7 * X[:, t] @ X[:, t].T for t in range(2)]
    first = pairs(erf, grams[0])
    inner = pairs(np.tanh, 1.1 * first)
    expected = 1.3 * pairs(erf, grams[1] + 0.8 * inner)
    np.testing.assert_allclose(kernel.nngp(X), expected, rtol=0, atol=1e-11)
    nngp(rnn).proof.verify()


def test_a_matrix_read_by_the_output_only_has_its_law():
    rnn = Recursion("gated-output")
    F, V, C = rnn.input_map("F", variance="nu_F"), rnn.matrix("V", variance="nu_V"), rnn.readout("C", variance="nu_C")
    h = rnn.state("h")
    rnn.update(h, phi.erf(F @ rnn.x))
    rnn.output(C @ (phi.tanh(V @ h) * h))
    kernel = Kernel(rnn, readout="last", nu_V=0.5, nu_F=0.7, nu_C=1.3)
    states = pairs(erf, 0.7 * X[:, -1] @ X[:, -1].T)
    gates = pairs(np.tanh, 0.5 * states)
    np.testing.assert_allclose(kernel.nngp(X[:, 1:]), 1.3 * gates * states, rtol=0, atol=1e-9)
    slopes = pairs(lambda z: 1 - np.tanh(z) ** 2, 0.5 * states)
    np.testing.assert_allclose(kernel.ntk(X[:, 1:], parameters="V"), 1.3 * states**2 * slopes, rtol=0, atol=1e-9)
    nngp(rnn).proof.verify()


@pytest.mark.parametrize("model", [models.elman, models.mgu])
def test_numbers_that_are_none_are_refused(model):
    nu = {"nu_W": 1.0, "nu_F": 1.0, "nu_b": 0.1, "nu_C": 1.0}
    for bad in (np.nan, np.inf, -1.0, "one", np.array([1.0, 2.0])):
        with pytest.raises(ParameterError, match="nu_W"):
            Kernel(model(), **{**nu, "nu_W": bad})
    for inputs in (X * np.nan, X * 1j, [["a"]], [[[1.0], [2.0, 3.0]]]):
        with pytest.raises(ParameterError, match="finite real"):
            Kernel(model(), **nu).nngp(inputs)
    with pytest.raises(ParameterError, match="unknown: nu_U"):
        Kernel(model(), **nu, nu_U=1.0)
    with pytest.raises(ParameterError, match="bytes"):
        Kernel(model(), **nu, memory=0)
    with pytest.raises(LanguageError, match="called"):
        Kernel(model, **nu)


def written(case):
    """The recursion of a reference case, in the words of the language."""
    rnn, tied = Recursion(case["kind"]), case.get("tied", True)
    W = rnn.matrix("W", variance="nu_W", tied=tied)
    F, C = rnn.input_map("F", variance="nu_F", tied=tied), rnn.readout("C", variance="nu_C")
    b = rnn.bias("b", variance="nu_b", mean=Fraction(case.get("mean", 0)).limit_denominator(100), tied=tied)
    start = {"initial": Fraction(case["h0"]).limit_denominator(10)} if "h0" in case else {}
    h = rnn.state("h", shared=case.get("shared", False), **start)
    alpha = parameter("alpha") if "alpha" in case["params"] else 1
    keep = 1 if case["kind"] == "residual" else 1 - alpha
    rnn.update(h, keep * h + alpha * phi.activation(case["phi"])(W @ h + F @ rnn.x + b))
    rnn.output(C @ h)
    return rnn


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda c: f"{c['kind']}-{c['phi']}")
def test_written_recursions_have_the_reference_kernels(case):
    kernel = Kernel(written(case), readout="last", **case["params"])
    sequences = [np.array(x) for x in REFERENCE["inputs"]]
    size = np.abs(case["nngp_last"]).max()
    np.testing.assert_allclose(kernel.nngp(sequences), case["nngp_last"], rtol=1e-11, atol=1e-12 * size)
    want = sum(np.array(case[f"ntk_{name}"]) for name in "CWFb")
    np.testing.assert_allclose(kernel.ntk(sequences), want, rtol=1e-11, atol=1e-12 * np.abs(want).max())


def test_a_reference_kernel_refuses_a_variance_that_is_off():
    case = REFERENCE["cases"][0]
    off = Kernel(written(case), readout="last", **{**case["params"], "nu_F": 1.001 * case["params"]["nu_F"]})
    found = off.nngp([np.array(x) for x in REFERENCE["inputs"]])
    assert np.abs(found / np.array(case["nngp_last"]) - 1).max() > 1e-5
