"""Compiled skinny products agree with plain ones, in gradients too, and the choice between them is explained."""

from __future__ import annotations

import importlib.util

import array_api_strict
import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.linear_rnn import thin_products
from wideproof.numeric.linear_rnn.krylov import draw_rnn
from wideproof.numeric.linear_rnn.quadratic_loss import quadratic
from wideproof.numeric.linear_rnn.thin_products import choose_products
from wideproof.numeric.linear_rnn.training import train

needs_numba = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="Numba is not installed")
RNG = np.random.default_rng(0)


@pytest.mark.parametrize("loops", ["interpreted", pytest.param("compiled", marks=needs_numba)])
@pytest.mark.parametrize("size", [1, 3, 4, 9, 30])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_compiled_products_are_the_plain_ones(loops, size, order, dtype, monkeypatch):
    if loops == "interpreted":  # the same loops, without a compiler
        monkeypatch.setattr(thin_products, "_kernels", lambda: (thin_products._left_loop, thin_products._right_loop))
    W = np.asarray(RNG.standard_normal((size, size)), dtype=dtype, order=order)
    tolerance = 1e-12 if dtype == np.float64 else 1e-4
    for m in (1, 2, 5):
        rows = np.asarray(RNG.standard_normal((m, size)), dtype=dtype)
        assert np.allclose(thin_products.compiled_left(rows, W), rows @ W, rtol=tolerance, atol=tolerance)
        assert np.allclose(thin_products.compiled_right(rows, W), rows @ W.T, rtol=tolerance, atol=tolerance)
        assert thin_products.compiled_right(rows[::-1], W).dtype == dtype


@needs_numba
@pytest.mark.parametrize(("n_x", "n_y"), [(2, 2), (5, 3), (3, 5)])
@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_training_is_the_same_with_and_without_a_compiler(n_x, n_y, momentum):
    rnn = draw_rnn(41, n_x, n_y, nu_W=0.5, nu_F=1.0, nu_C=1.0, rng=np.random.default_rng(1))
    data = quadratic(RNG.standard_normal((6, 5, n_x)), RNG.standard_normal((6, 5, n_y)))
    runs = [train(rnn, data, steps=20, momentum=momentum, kernels=kernels) for kernels in ("compiled", "plain")]
    assert np.allclose(runs[0].train_loss, runs[1].train_loss, rtol=1e-12)
    for name in ("W", "F", "C"):
        assert np.allclose(*(getattr(run.final, name) for run in runs), rtol=1e-12, atol=1e-12)


def test_the_choice_is_automatic_and_explained(monkeypatch):
    W = np.zeros((10, 10))
    assert "BLAS" in choose_products(W, 1).reason or "Numba" in choose_products(W, 1).reason
    assert choose_products(W, 3, "plain").name == "plain"
    assert "NumPy" in choose_products(array_api_strict.asarray(W), 3).reason
    assert "strided" in choose_products(W[::2, ::2], 3).reason
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "not installed" in choose_products(W, 3).reason
    with pytest.raises(ParameterError) as caught:
        choose_products(W, 3, "compiled")
    assert "[fast]" in caught.value.hint
    with pytest.raises(ParameterError):
        choose_products(W, 3, "fastest")


@needs_numba
def test_a_few_rows_are_compiled():
    chosen = choose_products(np.zeros((10, 10)), 3)
    assert (chosen.name, chosen.reason) == ("compiled", "3 rows in one sweep of the matrix")
