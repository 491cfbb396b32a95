"""The Krylov gradient against back-propagation through time, complex steps, and its own mutants."""

import array_api_strict
import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.linear_rnn import krylov
from wideproof.numeric.linear_rnn.krylov import KrylovDescent, LinearRNN, draw_rnn, impulse_response, rnn_curvature
from wideproof.numeric.linear_rnn.quadratic_loss import loss, loss_and_slope, quadratic, to_taps

# n, T, n_x, n_y, N, S: both orientations, one lag, one unit, long sequences
SIZES = [(9, 6, 1, 1, 4, 6), (7, 5, 3, 2, 4, 5), (6, 5, 2, 4, 3, 8), (5, 1, 2, 1, 3, 4), (1, 4, 1, 2, 3, 4)]


def example(n, lags, n_x, n_y, count, length, seed=1):
    rng = np.random.default_rng(seed)
    rnn = draw_rnn(n, n_x, n_y, nu_W=0.7, nu_F=1.1, nu_C=0.9, rng=rng)
    return rnn, rng.standard_normal((count, length, n_x)), rng.standard_normal((count, length, n_y))


def powers(W, F, C, lags):
    n = W.shape[0]
    return np.array([n ** (-(j + 1) / 2) * C @ np.linalg.matrix_power(W, j) @ F for j in range(lags)])


def bptt(rnn, x, y):
    """Naive back-propagation through time of the mean square error, sequences of full length."""
    n, root = rnn.width, rnn.width**-0.5
    count, length, _ = x.shape
    h = np.zeros((length + 1, count, n))
    for t in range(length):
        h[t + 1] = root * h[t] @ rnn.W.T + x[:, t] @ rnn.F.T
    error = 2.0 / y.size * (root * np.swapaxes(h[1:], 0, 1) @ rnn.C.T - y)
    dW, dF, dC = np.zeros_like(rnn.W), np.zeros_like(rnn.F), np.zeros_like(rnn.C)
    delta = np.zeros((count, n))
    for t in reversed(range(length)):
        dC += root * error[:, t].T @ h[t + 1]
        delta = root * error[:, t] @ rnn.C + root * delta @ rnn.W
        dW += root * delta.T @ h[t]
        dF += delta.T @ x[:, t]
    return dW, dF, dC


def moved(rnn, data, step=1.0):
    descent = KrylovDescent(rnn, data.lags)
    _, slope = loss_and_slope(data, descent.taps())
    descent.move(slope, step)
    return descent.model()


def gradients(rnn, data):
    after = moved(rnn, data)
    return rnn.W - after.W, rnn.F - after.F, rnn.C - after.C


def check_gradient(rnn, data):
    """Every partial derivative, by a complex step through the definition of L_j."""
    for k, (name, got) in enumerate(zip("WFC", gradients(rnn, data), strict=True)):
        parts = [rnn.W, rnn.F, rnn.C]
        scale = np.abs(got).max()
        for index in np.ndindex(got.shape):
            nudged = parts[k].astype(complex)
            nudged[index] += 1e-30j
            taps = to_taps(powers(*[nudged if i == k else p for i, p in enumerate(parts)], data.lags))
            want = loss(data, taps).imag / 1e-30
            assert got[index] == pytest.approx(want, rel=1e-9, abs=1e-12 * (1 + scale)), name


@pytest.mark.parametrize("size", SIZES)
def test_impulse_response_is_its_definition(size):
    rnn, *_ = example(*size)
    want = powers(rnn.W, rnn.F, rnn.C, size[1])
    assert np.allclose(impulse_response(rnn, size[1]), want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("size", SIZES)
def test_gradient_is_the_complex_step_derivative(size):
    rnn, x, y = example(*size)
    check_gradient(rnn, quadratic(x, y, size[1]))


@pytest.mark.parametrize("size", [s for s in SIZES if s[1] == s[5]])
def test_gradient_is_back_propagation_through_time(size):
    rnn, x, y = example(*size)
    for got, want in zip(gradients(rnn, quadratic(x, y)), bptt(rnn, x, y), strict=True):
        assert np.allclose(got, want, rtol=1e-11, atol=1e-13)


def mutate_product(target, left, right, factor):
    krylov_add(target, left, right, 1.001 * factor)


def mutate_horner(self, terms):
    return horner(self, terms * 1.001)


krylov_add, horner = krylov.add_product, KrylovDescent._horner


@pytest.mark.parametrize(
    ("owner", "name", "mutant"), [(krylov, "add_product", mutate_product), (KrylovDescent, "_horner", mutate_horner)]
)
def test_a_term_wrong_by_a_thousandth_is_caught(monkeypatch, owner, name, mutant):
    rnn, x, y = example(*SIZES[1])
    monkeypatch.setattr(owner, name, mutant)
    with pytest.raises(AssertionError):
        check_gradient(rnn, quadratic(x, y))


def test_a_dropped_lag_of_the_sum_over_W_is_caught(monkeypatch):
    rnn, x, y = example(*SIZES[1])
    monkeypatch.setattr(krylov, "add_product", lambda t, a, b, f: krylov_add(t, a[:-1], b[:-1], f))
    with pytest.raises(AssertionError):
        check_gradient(rnn, quadratic(x, y))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_strict_namespace_and_both_memory_orders_agree(size, order):
    rnn, x, y = example(*size)
    data = quadratic(x, y, size[1])
    strict = LinearRNN(*(array_api_strict.asarray(a) for a in (rnn.W, rnn.F, rnn.C)))
    strict_data = quadratic(array_api_strict.asarray(x), array_api_strict.asarray(y), size[1])
    want = moved(LinearRNN(np.array(rnn.W, order=order), rnn.F, rnn.C), data)
    got = moved(strict, strict_data)
    for name in "WFC":
        assert np.allclose(np.asarray(getattr(got, name)), getattr(want, name), rtol=1e-12, atol=1e-13)


def test_start_is_left_unchanged_and_float32_stays_float32():
    rnn, x, y = example(*SIZES[1])
    before = rnn.W.copy()
    moved(rnn, quadratic(x, y))
    assert np.array_equal(before, rnn.W)
    single = LinearRNN(*(a.astype(np.float32) for a in (rnn.W, rnn.F, rnn.C)))
    after = moved(single, quadratic(x.astype(np.float32), y.astype(np.float32)))
    assert after.W.dtype == np.float32
    assert np.allclose(after.W, moved(rnn, quadratic(x, y)).W, atol=1e-4)


@pytest.mark.parametrize("size", SIZES[:3])
def test_curvature_is_the_top_eigenvalue_of_the_jacobian_gram(size):
    rnn, x, y = example(*size)
    data, parts = quadratic(x, y, size[1]), [rnn.W, rnn.F, rnn.C]
    columns = []
    for k, part in enumerate(parts):
        for index in np.ndindex(part.shape):
            nudged = part.astype(complex)
            nudged[index] += 1e-30j
            lags = powers(*[nudged if i == k else p for i, p in enumerate(parts)], data.lags)
            columns.append(to_taps(lags).imag / 1e-30)
    jacobian = np.array(columns).transpose(1, 2, 0)  # (T n_x, n_y, parameters)
    hessian = np.einsum("akp,ab,bkq->pq", jacobian, data.sxx, jacobian) * 2.0 / data.count
    want = np.linalg.eigvalsh(hessian)[-1]
    assert rnn_curvature(rnn, data, tolerance=1e-9, rounds=2000) == pytest.approx(want, rel=1e-5)
    assert rnn_curvature(rnn, data) == pytest.approx(want, rel=0.05)


def test_variances_are_the_stated_ones_and_errors_speak():
    rng = np.random.default_rng(0)
    rnn = draw_rnn(400, 30, 30, nu_W=0.3, nu_F=2.0, nu_C=0.5, rng=rng)
    for part, nu in ((rnn.W, 0.3), (rnn.F, 2.0), (rnn.C, 0.5)):
        assert np.mean(part**2) == pytest.approx(nu, rel=5 * (2 / part.size) ** 0.5)  # five standard errors
    with pytest.raises(ParameterError):
        draw_rnn(4, 1, 1, nu_W=-0.1, nu_F=1.0, nu_C=1.0, rng=rng)
    with pytest.raises(ShapeError):
        LinearRNN(rnn.W, rnn.F[:-1], rnn.C)
