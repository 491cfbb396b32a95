"""Kernels of sequences against the double sum over lags, and what they refuse."""

from __future__ import annotations

import sys
from dataclasses import FrozenInstanceError

import mpmath
import numpy as np
import pytest

from wideproof.derive import ParameterError, models, relu
from wideproof.derive.emit import formula, kernel_stepper
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.expectation.pair_integrals import value as pair_value
from wideproof.derive.language.errors import DeriveError, ShapeError, TooSmall
from wideproof.derive.language.recursion import Recursion
from wideproof.numeric import Kernel
from wideproof.numeric.kernels import kernel as kernel_module, sequence_batches
from wideproof.numeric.process.quasi_monte_carlo import replicated

NU = {"nu_W": 0.4, "nu_F": 1.3, "nu_C": 0.7}


def double_sum(X1, X2, weight):
    """sum_j weight_j <x_{t-j}, x'_{s-j}>, one entry at a time."""
    (N1, T, _), N2 = X1.shape, len(X2)
    found = np.zeros((N1, T, N2, T))
    for a, t, b, s in np.ndindex(found.shape):
        found[a, t, b, s] = sum(weight[j] * X1[a, t - j] @ X2[b, s - j] for j in range(min(t, s) + 1))
    return found


def weights(T, nu_W=0.4, nu_F=1.3, nu_C=0.7):
    """(nngp, ntk with trainable entries, ntk with unit entries), as in Theorem 3.3 of the paper."""
    lags = np.arange(T)
    slope = np.array([0.0] + [j * nu_W ** (j - 1) for j in range(1, T)])
    power = nu_W**lags
    transition, inputs, readout = nu_C * nu_F * slope, nu_C * power, nu_F * power
    return nu_C * nu_F * power, transition + inputs + readout, nu_W * transition + nu_F * inputs + nu_C * readout


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.standard_normal((3, 5, 2)), rng.standard_normal((2, 5, 2))


@pytest.mark.parametrize("nu_W", [0.0, 0.4, 1.0, 1.2])
def test_kernels_are_the_double_sum_over_lags(X, nu_W):
    nu = NU | {"nu_W": nu_W}
    nngp, entries, unit = weights(5, nu_W)
    found = Kernel(models.linear_rnn(), **nu)
    assert found.ntk(*X).shape == (3, 5, 2, 5)
    np.testing.assert_allclose(found.nngp(*X), double_sum(*X, nngp), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.ntk(*X), double_sum(*X, entries), rtol=1e-12, atol=1e-12)
    other = Kernel(models.linear_rnn(), "ntk", **nu).ntk(*X)
    np.testing.assert_allclose(other, double_sum(*X, unit), rtol=1e-12, atol=1e-12)


def test_the_oracle_itself_sees_two_percent(X):
    _, entries, _ = weights(5)
    entries[2] *= 1.02
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(Kernel(models.linear_rnn(), **NU).ntk(*X), double_sum(*X, entries), rtol=1e-3)


@pytest.mark.parametrize("name", ["nngp", "ntk"])
def test_kernels_are_symmetric_positive_and_of_the_order_given(X, name):
    function = getattr(Kernel(models.linear_rnn(), **NU), name)
    square = function(X[0], X[0]).reshape(15, 15)
    np.testing.assert_allclose(square, square.T, atol=1e-13)
    assert np.linalg.eigvalsh(square).min() > -1e-12
    np.testing.assert_allclose(function(*X), np.transpose(function(X[1], X[0]), (2, 3, 0, 1)), atol=1e-13)


def test_a_recursion_that_couples_lags_has_its_kernels_too(X):
    """h_t = sum_k 2^{k-t} g_k with E g_k g_l = nu_W E h_{k-1} h_{l-1} + nu_F <x_k, x_l>."""
    rnn = Recursion("skip")
    W, F, C = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
    h = rnn.state("h")
    rnn.update(h, h / 2 + W @ h + F @ rnn.x)
    rnn.output(C @ h)
    (N1, T, _), N2 = X[0].shape, len(X[1])
    powers = np.array([[0.5 ** (t - k) if k <= t else 0.0 for k in range(T)] for t in range(T)])
    g, states = np.zeros((N1, T, N2, T)), np.zeros((N1, T + 1, N2, T + 1))
    for t, s in np.ndindex(T, T):
        g[:, t, :, s] = NU["nu_W"] * states[:, t, :, s] + NU["nu_F"] * X[0][:, t] @ X[1][:, s].T
        states[:, t + 1, :, s + 1] = np.einsum("k,akbl,l->ab", powers[t], g, powers[s])
    found = Kernel(rnn, **NU).nngp(*X)
    np.testing.assert_allclose(found, NU["nu_C"] * states[:, 1:, :, 1:], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shapes", [((3, 5, 2), (2, 4, 2)), ((3, 5, 2), (2, 5, 1)), ((3, 5), (2, 5)), ((5, 2), (5, 2))])
def test_shapes_that_cannot_meet_are_refused(shapes):
    with pytest.raises(ShapeError) as error:
        Kernel(models.linear_rnn(), **NU).ntk(*(np.zeros(shape) for shape in shapes))
    assert error.value.where == "Kernel"
    assert all(str(shape) in error.value.got for shape in shapes)


@pytest.mark.parametrize(
    "change", [{"nu_W": -1.0}, {"nu_X": 1.0}, {"backend": "torch"}, {"parameterization": "mean-field"}]
)
def test_parameters_that_mean_nothing_are_refused(X, change):
    with pytest.raises(DeriveError):
        Kernel(models.linear_rnn(), **(NU | change)).ntk(*X)


def test_a_missing_variance_is_named(X):
    with pytest.raises(DeriveError, match="nu_C"):
        Kernel(models.linear_rnn(), nu_W=0.3, nu_F=1.0).ntk(*X)


def test_without_cupy_the_line_to_run_is_named(X, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(sys.modules, "array_api_compat.cupy", raising=False)
    with pytest.raises(DeriveError, match="cuda12"):
        Kernel(models.linear_rnn(), backend="cupy", **NU).ntk(*X)


def test_a_kernel_without_numbers_yet_says_so_instead_of_guessing(X):
    rnn = Recursion("relu")
    W, F, C = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
    h = rnn.state("h")
    rnn.update(h, relu(W @ h + F @ rnn.x))
    rnn.output(C @ h)
    try:
        found = Kernel(rnn, **NU).nngp(*X)
    except DeriveError:
        return
    assert np.all(np.isfinite(found))  # once activations are evaluated: E relu^2 is half the variance
    start = NU["nu_C"] * NU["nu_F"] * (X[0][:, 0] ** 2).sum(axis=1) / 2
    same = np.diagonal(Kernel(rnn, **NU).nngp(X[0], X[0])[:, 0, :, 0])
    np.testing.assert_allclose(same, start, rtol=1e-9)


# ---- kernels as values ---------------------------------------------------------------------------------------
ELMAN = {"nu_W": 1.4, "nu_F": 0.8, "nu_b": 0.1, "nu_C": 1.0}
SHORT = np.random.default_rng(6).standard_normal((4, 4, 2))


@pytest.mark.parametrize("readout", ["all", "last", "average"])
@pytest.mark.parametrize("model", [models.elman("tanh"), models.elman("relu"), models.mgu("tanh")], ids=str)
def test_a_kernel_is_a_value_and_leaves_nothing_behind(model, readout):
    kernel = Kernel(model, readout=readout, points=64, **ELMAN)
    before = {name: value for name, value in vars(kernel).items() if name != "_functions"}
    for quantity in ("ntk", "nngp"):
        found = kernel.evaluate(quantity, SHORT, SHORT[:2])
        np.testing.assert_array_equal(found.value, getattr(kernel, quantity)(SHORT, SHORT[:2]))
        assert found.error.shape == found.value.shape
        assert (found.error > 0).all()
        assert (found.stderr is not None) == found.method.startswith("randomised")
        with pytest.raises(FrozenInstanceError):
            found.error = 0.0
    assert {name: value for name, value in vars(kernel).items() if name != "_functions"} == before
    assert not any(hasattr(kernel, name) for name in ("error", "stderr", "method"))


def test_a_kernel_at_other_variances_compiles_no_equation_again(monkeypatch):
    first = Kernel(models.leaky("erf"), **ELMAN, alpha=0.3).ntk(SHORT)
    monkeypatch.setattr(kernel_stepper, "emitted", None)
    assert not np.array_equal(Kernel(models.leaky("erf"), **ELMAN, alpha=0.4).ntk(SHORT), first)
    with pytest.raises(TypeError):
        Kernel(models.leaky("leaky_relu(3/7)"), **ELMAN, alpha=0.4).ntk(SHORT)


def test_parts_have_errors_too():
    kernel = Kernel(models.elman("tanh"), readout="last", **ELMAN)
    part = kernel.evaluate("ntk", SHORT, parameters="W")
    np.testing.assert_array_equal(part.value, kernel.ntk(SHORT, None, "W"))
    with pytest.raises(ParameterError, match="parameters"):
        kernel.evaluate("nngp", SHORT, parameters="W")


@pytest.mark.parametrize("wave", [3.0, 17.0, 101.0])
@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
def test_errors_of_expectations_are_carried_to_the_entries(monkeypatch, quantity, wave):
    """Every expectation is put off by up to 1e-7, one way here and the other there: each entry says how far it is."""
    kernel = Kernel(models.elman("tanh"), **ELMAN)
    right, off = getattr(kernel, quantity)(SHORT), 1e-7

    def wrong(factors, variables, doubted):
        found, error = pair_value(factors, variables, doubted)
        return found + off * np.sin(wave * found), error + off

    monkeypatch.setattr(kernel_stepper, "value", wrong)
    found = kernel.evaluate(quantity, SHORT)
    gap = np.abs(found.value - right)
    assert gap.max() > off / 10
    assert (gap <= found.error).all()
    assert found.error.max() < 100 * off
    monkeypatch.setattr(formula, "MOVES", (kernel_stepper.STILL,))
    assert not (gap <= kernel.evaluate(quantity, SHORT).error).all()


@pytest.mark.parametrize("angle", [1.0, 1e-3, 1e-6])
def test_rounding_between_close_sequences_is_in_the_error(angle):
    """The slope of relu' is steep at coincidence: its kernel by mpmath, of the inputs as they are in doubles."""
    x = 3.0 * np.array(
        [[[1.0, 0.5]], [[1.0 * np.cos(angle) - 0.5 * np.sin(angle), np.sin(angle) + 0.5 * np.cos(angle)]]]
    )
    found = Kernel(models.feed_forward(1, "relu", bias=False), readout="last", nu_F=1.0, nu_C=1.0).evaluate("ntk", x)
    with mpmath.workdps(40):
        (a, b), (c, d) = ([mpmath.mpf(float(v)) for v in row[0]] for row in x)
        dot, size = a * c + b * d, mpmath.sqrt((a * a + b * b) * (c * c + d * d))
        theta = mpmath.acos(dot / size)
        want = (2 * dot * (mpmath.pi - theta) + size * mpmath.sin(theta)) / (2 * mpmath.pi)
        gap = abs(found.value[0, 1] - want)
    assert gap <= found.error[0, 1] < 1e-6


@pytest.mark.parametrize("nu_W", [0.4, 1e-120], ids=["in range", "beyond"])
@pytest.mark.parametrize("readout", ["last", "all"])
@pytest.mark.parametrize("model", [models.elman("erf"), models.linear_rnn()], ids=["erf", "linear"])
@pytest.mark.parametrize(("bad", "told"), [(np.nan, "finite"), (1e-170, "step 2 of sequence 3")])
def test_inputs_are_refused_by_whoever_looks_at_them_first(monkeypatch, model, readout, nu_W, bad, told):
    monkeypatch.setattr(kernel_module, "LEAST_WORK", 1)
    X = np.random.default_rng(1).standard_normal((5, 3, 2))
    nu = {x: nu_W if x == "nu_W" else 0.3 for x in model.program().symbols}
    kernel, looked = Kernel(model, readout=readout, **nu), sequence_batches.input_array
    calls = []
    monkeypatch.setattr(sequence_batches, "input_array", lambda *given: [calls.append(1), looked(*given)][1])
    kernel.ntk(X, X[:4])
    assert calls == [1, 1]
    X[3, 2] = bad
    with pytest.raises(ParameterError, match=told):
        kernel.ntk(X)


@pytest.mark.parametrize("scale", [1e-155, 1e-165, 5e-324])
def test_inputs_whose_squares_underflow_are_told_with_their_step(scale):
    """The tangent kernel of ReLU units does not depend on the size of the inputs; at 1e-165 it came out halved."""
    X = np.random.default_rng(0).standard_normal((2, 4, 2))
    kernel = Kernel(models.elman(activation="relu"), nu_W=0.5, nu_F=1.0, nu_b=0.0, nu_C=1.0)
    np.testing.assert_allclose(kernel.ntk(1e-150 * X), kernel.ntk(1e-140 * X), rtol=1e-12)
    X[1, 2:] *= scale
    for inputs in (X, list(X)):
        with pytest.raises(ParameterError, match="an underflow at step 2"):
            kernel.ntk(inputs)
    X[1, 2:] = 0.0
    assert np.isfinite(kernel.ntk(X)).all()


EXTREME = (-1022, -664, -540, -500, -270, 0, 258, 498, 660, 1019)
"""Powers of two by which inputs are multiplied: 1e-308 to 1e307."""


@pytest.mark.parametrize("activation", ["identity", "relu", "abs", "leaky_relu(0.1)"])
def test_kernels_of_homogeneous_functions_grow_as_the_square_of_the_inputs_or_are_refused(activation):
    """ReLU at 1e-80 was wrong by 41 % and refused from 1e78 on: ab - c^2 underflows, or overflows, before its root."""
    X = np.random.default_rng(0).standard_normal((2, 3, 2))
    kernel = Kernel(models.elman(activation, bias=False), readout="last", nu_W=0.5, nu_F=1.0, nu_C=1.0)
    for quantity in ("nngp", "ntk"):
        want = kernel.evaluate(quantity, X).value
        for power in EXTREME:
            if not -520 < power < 510:
                with pytest.raises(ParameterError, match=r"(underflow|overflow).*step 0"):
                    kernel.evaluate(quantity, np.ldexp(X, power))
                continue
            found = kernel.evaluate(quantity, np.ldexp(X, power)).value
            np.testing.assert_allclose(np.ldexp(np.ldexp(found, -power), -power), want, rtol=1e-14)


@pytest.mark.parametrize(("activation", "middle", "height"), [("erf", 0.0, 1.0), ("erf_sigmoid", 0.25, 0.25)])
def test_bounded_functions_of_huge_inputs_are_their_signs(activation, middle, height):
    """erf of inputs of 1e150 was refused as an overflow of the determinant."""
    X = np.random.default_rng(0).standard_normal((2, 3, 2))
    kernel = Kernel(models.elman(activation, bias=False), readout="last", nu_W=4.0, nu_F=1.0, nu_C=1.0)
    sizes = np.linalg.norm(X[:, -1], axis=-1)
    correlation = np.clip(X[:, -1] @ X[:, -1].T / np.outer(sizes, sizes), -1.0, 1.0)
    want = middle + height * 2 / np.pi * np.arcsin(correlation)
    np.fill_diagonal(want, middle + height)
    for power in (66, 258, 498):
        np.testing.assert_allclose(kernel.nngp(np.ldexp(X, power)), want, rtol=1e-14)


def test_a_moment_that_decays_below_the_doubles_is_told_with_its_step():
    """An impulse, then zeros: what is left of it after step t is 1e-100^t, which came out as 0 from step 4 on."""
    kernel = Kernel(models.linear_rnn(), readout="last", nu_W=1e-100, nu_F=1.0, nu_C=1.0)
    X = np.zeros((1, 5, 1))
    X[0, 0] = 1.0
    assert kernel.nngp(X[:, :4]) == pytest.approx(1e-300, rel=1e-12)
    with pytest.raises(TooSmall, match=r"linear-rnn.*underflow at step 4"):
        kernel.nngp(X)
    X[0, 4] = 1e-3  # outweighs it
    assert kernel.nngp(X) == pytest.approx(1e-6, rel=1e-12)
    assert kernel.nngp(0 * X) == 0.0


def test_zero_inputs_have_a_kernel_and_an_error_at_small_variances():
    """Zeros were moved by the smallest double, and what the next step left of it was refused as an underflow."""
    kernel = Kernel(models.feed_forward(2, "gelu", bias=False), readout="last", nu_W=0.9, nu_F=0.7, nu_C=0.9)
    found = kernel.evaluate("nngp", [[[1e-3]], [[0.0]]])
    assert found.value[0, 0] > 0.0
    np.testing.assert_array_equal(found.value[1], 0.0)
    assert (found.error[1] < 1e-300).all()


@pytest.mark.parametrize("recursion", [models.linear_rnn(), models.elman("erf", bias=False), models.gru()])
def test_inputs_in_single_precision_carry_its_rounding(recursion):
    """Its error holds the gap to the inputs that were rounded; that of the same numbers as doubles does not."""
    X = np.random.default_rng(0).standard_normal((2, 1, 3))
    kernel = Kernel(recursion, readout="last", **{name: 0.5 for name in as_program(recursion).symbols})
    single = X.astype(np.float32)
    exact, rounded, double = (kernel.evaluate("nngp", x) for x in (X, single, single.astype(float)))
    gap = abs(exact.value - rounded.value)
    np.testing.assert_array_equal(rounded.value, double.value)
    assert (gap <= rounded.error).all()
    assert (gap > double.error).any()
    assert (rounded.error < 1e-5 * abs(rounded.value).max()).all()
    lists = kernel.evaluate("nngp", [*map(np.asarray, single)])
    np.testing.assert_array_equal(lists.error, rounded.error)


def test_inner_products_that_cancel_carry_the_rounding_of_their_terms():
    """1e16 + 1 - 1e16 came out as 0 with an error of 2e-38."""
    x, y = np.array([[[1e8, 1.0, -1e8]]]), np.array([[[1e8, 1.0, 1e8]]])
    kernel = Kernel(models.linear_rnn(), readout="last", nu_W=0.0, nu_F=1.0, nu_C=1.0)
    found = kernel.evaluate("nngp", x, y)
    assert abs(found.value - 1.0) <= found.error
    assert found.error < 100.0


@pytest.mark.parametrize("recursion", [models.linear_rnn(), models.elman("sin"), models.elman("tanh"), models.gru()])
def test_small_numbers_have_small_errors(recursion):
    """Every error was at least 2e-38, that of sin at 1e-75 was 4e-15, and sampled gates at 1e-120 had none at all."""
    X = np.random.default_rng(0).standard_normal((2, 2, 2))
    nu = {name: 0.0 if name.startswith("nu_b") else 0.7 for name in as_program(recursion).symbols}
    kernel, found = Kernel(recursion, readout="last", **nu), []
    for power in (-100, -250, -498):
        value = kernel.evaluate("nngp", np.ldexp(X, power))
        found.append([np.ldexp(np.ldexp(x, -power), -power) for x in (value.value, value.error)])
        assert (value.error > 0).all()
        assert value.error.max() < 2e-12 * value.value.max() if power > -300 else 1e-5 * value.value.max()
    for value, error in found[1:]:
        assert (abs(value - found[0][0]) <= error + found[0][1]).all()


def test_a_standard_error_of_small_numbers_is_not_zero():
    """The squares of deviations below 1e-162 are."""
    kernels = [np.full((1, 1, 1, 1), 1e-240 * (1 + k / 100)) for k in range(16)]
    found = replicated(np, kernels, "")
    np.testing.assert_allclose(found.error, 1e-242 * np.std(range(16), ddof=1) / 4, rtol=0.1)


def test_a_table_is_not_taken_where_its_error_would_show(monkeypatch):
    """Its error is one number for all pairs: kernels of inputs of 1e-75 were those of its rounding, 1e-31."""
    X = 1e-75 * np.random.default_rng(3).standard_normal((4, 3, 2))
    kernel = Kernel(models.elman("silu", bias=False), nu_W=0.7, nu_F=0.7, nu_C=1.0, readout="last")
    plain = kernel.nngp(X)
    monkeypatch.setattr("wideproof.derive.expectation.pair_integrals.MANY", 1)
    np.testing.assert_allclose(kernel.nngp(X), plain, rtol=1e-12)


def test_tables_change_a_kernel_by_less_than_its_error(monkeypatch):
    X = np.random.default_rng(3).standard_normal((5, 4, 3))
    kernel = Kernel(models.elman(activation="tanh"), nu_W=0.5, nu_F=0.6, nu_b=0.1, nu_C=1.0, readout="last")
    plain = kernel.ntk(X)
    monkeypatch.setattr("wideproof.derive.expectation.pair_integrals.MANY", 1)
    found = kernel.evaluate("ntk", X)
    assert 0 < np.max(np.abs(found.value - plain)) <= np.max(found.error) < 1e-9
