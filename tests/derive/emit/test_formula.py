"""Emitted functions: values at the edges, broadcasting, errors by field, printed source, CuPy without CuPy."""

import importlib.util
import inspect
import itertools

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import models, ntk
from wideproof.derive.emit.formula import _Emitted
from wideproof.derive.language.errors import ParameterError, TooLarge

VALUES = {"nu_W": 0.3, "nu_F": 1.0, "nu_C": 0.5}


@pytest.fixture
def rho(derived):
    return derived("linear_rnn", "scale_factors").formula


def naive(j, nu_W, nu_F, nu_C):
    slope = 0.0 if j == 0 else j * (1.0 if j == 1 else nu_W ** (j - 1))
    power = 1.0 if j == 0 else nu_W**j
    return nu_C * (nu_F * slope + power) + nu_F * power


@pytest.mark.parametrize("nu_W", [0, 0.0, 1, 1.0, 0.3, 1.7, 1e-12])
def test_edges_in_numbers(rho, nu_W):
    found = rho.compile()(j=np.arange(12), nu_W=nu_W, nu_F=1, nu_C=0.5)
    assert found == pytest.approx([naive(int(j), nu_W, 1.0, 0.5) for j in range(12)], rel=1e-13)
    assert found.dtype == np.float64
    assert np.isfinite(found).all()


@pytest.mark.parametrize("nu_W", [0, 1, sp.Rational(1, 3)])
@pytest.mark.parametrize("lag", [0, 1, 2, 5])
def test_edges_in_symbols(rho, nu_W, lag):
    s = rho.symbols
    values = {s["nu_W"]: nu_W, s["nu_F"]: 2, s["nu_C"]: 3}
    for found in (rho.expr.subs(values).subs(s["j"], lag), rho.expr.subs(s["j"], lag).subs(values)):
        assert sp.nsimplify(found.doit()) == sp.nsimplify(naive(lag, sp.sympify(nu_W), 2, 3))


def test_arguments_broadcast(rho):
    f = rho.compile()
    found = f(j=np.arange(4)[:, None], nu_W=np.array([0.0, 0.5, 1.0]), nu_F=1.0, nu_C=1.0)
    assert found.shape == (4, 3)
    for j in range(4):
        for i, nu in enumerate((0.0, 0.5, 1.0)):
            assert found[j, i] == pytest.approx(float(f(j=j, nu_W=nu, nu_F=1.0, nu_C=1.0)))
    assert f(j=3, **VALUES).shape == ()
    assert f(j=np.arange(0), **VALUES).shape == (0,)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({**VALUES}, "missing: j"),
        ({"j": 1, **VALUES, "nu_V": 1}, "unknown: nu_V"),
        ({"j": -1, **VALUES}, "j >= 0"),
        ({"j": 0.5, **VALUES}, "whole numbers j"),
        ({"j": 1, **VALUES, "nu_W": -0.1}, "nu_W >= 0"),
    ],
)
def test_wrong_arguments_are_named(rho, values, text):
    with pytest.raises(ParameterError) as error:
        rho.compile()(**values)
    assert text in str(error.value)
    assert error.value.where == "scale-factors(j, nu_C, nu_F, nu_W)" or "scale_factors" in error.value.where


def test_beyond_the_range_values_are_infinite_or_refused(rho, derived):
    """Neither a warning nor NaN; NaN that comes in goes out."""
    impulse = derived("linear_rnn", "impulse_response").formula.compile()
    np.testing.assert_array_equal(impulse(j=np.arange(3), nu_W=1e200, nu_F=1.0, nu_C=1.0), [1.0, 1e200, np.inf])
    with pytest.raises(TooLarge, match=r"scale_factors\(j.*overflow"):
        rho.compile()(j=np.arange(3), nu_W=1e300, nu_F=1e300, nu_C=1e300)
    with pytest.raises(TooLarge, match="an overflow from lag 31 on"):
        rho.compile()(j=np.arange(40), nu_W=1e10, nu_F=1.0, nu_C=1.0)
    assert np.isnan(rho.compile()(j=1, nu_W=np.nan, nu_F=1.0, nu_C=1.0))


def test_an_unknown_backend_is_named(rho):
    with pytest.raises(ParameterError) as error:
        rho.compile("torch")
    assert "'numpy' or 'cupy'" in error.value.expected


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="CuPy is installed")
def test_missing_cupy_names_the_extra(rho):
    with pytest.raises(ParameterError, match=r"wideproof\[cuda12\]"):
        rho.compile("cupy")(j=1, **VALUES)


def test_cupy_source_calls_cupy_alone(derived, monkeypatch):
    """Printed and run with NumPy standing in for the array library."""
    for module in ("emit.compiled", "emit.formula", "algebra.array_code"):
        monkeypatch.setattr(f"wideproof.derive.{module}.namespace", lambda backend: np)
    for model, quantity in (
        ("linear_rnn", "scale_factors"),
        ("linear_rnn", "equivalent_convolution"),
        ("two_tied", "scale_factors"),
        ("linear_rnn", "impulse_response"),
    ):
        formula = derived(model, quantity).formula
        f = formula.compile("cupy")
        assert isinstance(f, _Emitted)
        assert "math." not in f.source
        assert "numpy" not in f.source
        values = {name: 2 if name == "j" else 0.4 for name in formula.arguments}
        assert float(f(**values)) == pytest.approx(float(formula.compile()(**values)))


def test_numpy_source_shares_subexpressions(derived):
    source = derived("two_tied", "scale_factors").formula.compile().source
    assert "math." not in source
    assert source.count("**2") + source.count("power(") <= 4  # a^2 and each power once
    assert "x0" in source


def test_signature_and_docstring_say_how(derived):
    f = derived("linear_rnn", "scale_factors").formula.compile()
    assert f.__name__ == "scale_factors"
    assert "closed form" in f.__doc__
    assert "recurrence" in derived("coupled", "scale_factors").formula.compile().__doc__
    assert inspect.signature(f)


def test_the_grid_needs_a_gram(derived):
    f = derived("linear_rnn", "ntk").formula.compile()
    for values in (VALUES, {**VALUES, "X": np.ones(3)}):
        with pytest.raises(ParameterError, match="Gram"):
            f(**values)


def test_integer_lags_and_floats_agree(rho):
    f = rho.compile()
    assert float(f(j=3.0, **VALUES)) == float(f(j=3, **VALUES)) == float(f(j=np.int32(3), **VALUES))


def test_a_kernel_at_two_times_is_that_of_the_sequences_up_to_them():
    """Rows are times of the first sequence: lengths differ, and every entry is the last of the shorter sequences."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 2)), rng.standard_normal((2, 2))
    f = ntk(models.elman("erf")).formula.compile()
    values = {"nu_W": 0.7, "nu_F": 1.1, "nu_b": 0.2, "nu_C": 0.9}
    whole = f(X=x @ y.T, X1=x @ x.T, X2=y @ y.T, **values)
    assert whole.shape == (3, 2)
    for i, k in itertools.product(range(3), range(2)):
        a, b = x[: i + 1], y[: k + 1]
        last = f(X=a @ b.T, X1=a @ a.T, X2=b @ b.T, readout="last", **values)
        np.testing.assert_allclose(whole[i, k], last, rtol=1e-12)
