"""Training in law against training the dense matrix: an exact twin of one draw, and the law of many."""

import functools

import numpy as np
import pytest
from scipy.stats import ks_2samp

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.linear_rnn import subspace
from wideproof.numeric.linear_rnn.compressed import SKETCH, Sketch
from wideproof.numeric.linear_rnn.krylov import LinearRNN, draw_rnn
from wideproof.numeric.linear_rnn.quadratic_loss import loss_and_slope, quadratic
from wideproof.numeric.linear_rnn.subspace import LazyDescent, LazyGaussian, RandomRNN, SubspaceDescent
from wideproof.numeric.linear_rnn.training import impulse_of, train

STEPS = 12


def example(n_x=1, n_y=1, length=5, seed=4):
    rng = np.random.default_rng(seed)
    return quadratic(rng.standard_normal((8, length, n_x)), rng.standard_normal((8, length, n_y)))


def lazy_losses(descent, data, step):
    losses = []
    for _ in range(STEPS + 1):
        value, slope = loss_and_slope(data, descent.taps())
        losses.append(float(value))
        descent.move(slope, step)
    return np.array(losses)


@pytest.mark.parametrize(("n_x", "n_y", "width"), [(1, 1, 9), (2, 3, 20), (1, 2, 4)])
def test_the_matrix_it_has_drawn_trains_the_same_way(n_x, n_y, width):
    """Once the queries span R^n, the drawn matrix is known entirely: train it densely and compare."""
    data, start = example(n_x, n_y), RandomRNN(width, n_x, n_y, nu_W=0.6, seed=11)
    descent = LazyDescent(start, data.lags)
    F, C = descent._start
    losses = lazy_losses(descent, data, 0.05)
    matrix = descent._matrix
    assert matrix.size == width
    W = width**0.5 * np.column_stack([matrix.apply(unit) for unit in np.eye(width)])
    F, C = matrix.pad(F.T), matrix.pad(C.T)
    want = train(LinearRNN(W, F, C.T), data, steps=STEPS, step_size=0.05).train_loss
    assert np.allclose(losses, want, rtol=1e-7)


def test_left_and_right_answers_are_those_of_one_matrix():
    rng = np.random.default_rng(1)
    matrix = LazyGaussian(30, 0.5, 1e-9, rng)
    vectors = [matrix.fresh() for _ in range(6)]
    pairs = []
    for u, v in zip(vectors[:3], vectors[3:], strict=True):
        pairs.append((u, v, matrix.apply(v), matrix.apply_transpose(u)))
    for u, v, Av, Atu in pairs:
        assert matrix.pad(u) @ matrix.pad(Av) == pytest.approx(matrix.pad(v) @ matrix.pad(Atu), rel=1e-10)
    again = [matrix.apply(v) for _, v, _, _ in pairs]
    assert all(np.allclose(a, matrix.pad(Av)) for a, (_, _, Av, _) in zip(again, pairs, strict=True))


def final_losses(width, trials, lazy, data, nu_W=0.3):
    losses = []
    for k in range(trials):
        if lazy:
            start = RandomRNN(width, data.n_x, data.n_y, nu_W=nu_W, seed=k)
        else:
            rng = np.random.default_rng([77, k])
            start = draw_rnn(width, data.n_x, data.n_y, nu_W=nu_W, nu_F=1.0, nu_C=1.0, rng=rng)
        result = train(start, data, steps=STEPS, step_size=0.05)
        losses.append(result.train_loss[[0, STEPS]])
    return np.array(losses).T


@functools.cache
def dense_losses(width):
    return final_losses(width, 200, False, example())


def check_law(width, lazy_nu=0.3):
    lazy = final_losses(width, 200, True, example(), lazy_nu)
    for a, b in zip(lazy, dense_losses(width), strict=True):
        assert ks_2samp(a, b).pvalue > 1e-4  # four tests: a false alarm in 2 500


@pytest.mark.parametrize("width", [3, 12])
def test_losses_have_the_dense_law(width):
    check_law(width)


def test_another_variance_is_caught():
    with pytest.raises(AssertionError):
        check_law(12, lazy_nu=0.9)


def test_chi_replaced_by_its_limit_is_caught(monkeypatch):
    """At n = 3 a new direction of length √(n − d) instead of chi is not the law."""

    def limit(self):
        self.reserve()
        vector = np.zeros(self.room)
        vector[: self.size] = self.rng.standard_normal(self.size)
        if self.size < self.width:
            vector[self.size] = (self.width - self.size) ** 0.5
            self.size += 1
        return vector

    monkeypatch.setattr(subspace.LazyGaussian, "fresh", limit)
    with pytest.raises(AssertionError):
        check_law(3)


def test_loose_tolerance_changes_little_and_dimension_does_not_grow_with_the_width():
    data = example(length=8)
    sizes = []
    for width in (10**6, 10**12):
        descent = LazyDescent(RandomRNN(width, seed=5), 8)
        lazy_losses(descent, data, 0.1)
        sizes.append(descent.dimension)
    assert sizes[1] <= sizes[0] <= 200
    both = (RandomRNN(10**6, seed=5, tolerance=tolerance) for tolerance in (1e-8, 1e-5))
    tight, loose = (lazy_losses(LazyDescent(start, 8), data, 0.1) for start in both)
    assert 0 < np.abs(loose / tight - 1).max() < 1e-4
    small = RandomRNN(50, seed=5)
    impulse = train(small, data, steps=0, step_size=1.0, record=(0,)).impulses[0]
    assert np.allclose(impulse_of(small, 8), impulse, rtol=1e-12)


def test_the_error_in_law_is_reported_and_follows_the_tolerance():
    data = example(length=8)
    rough, fine = (
        train(RandomRNN(10**6, seed=5, tolerance=tolerance), data, steps=STEPS, step_size=0.1).error
        for tolerance in (1e-4, 1e-7)
    )
    assert 0 < 100 * fine < rough < 1e-2


def test_a_network_asked_again_is_the_same_network():
    data = example(length=8)
    descent = LazyDescent(RandomRNN(10**9, seed=2), 8, 1e-4)
    rough = lazy_losses(descent, data, 0.1)
    fine = lazy_losses(descent.again(1e-8), data, 0.1)
    finest = lazy_losses(descent.again(1e-9), data, 0.1)
    errors = np.abs(rough / finest - 1).max(), np.abs(fine / finest - 1).max()
    assert 0 < 100 * errors[1] < errors[0] < 1e-3


def test_small_matrices_are_those_of_the_vectors():
    """Every product that the small algebra keeps, from the long vectors themselves, after steps with momentum."""
    rnn = draw_rnn(40, 2, 1, nu_W=0.6, nu_F=1.0, nu_C=1.0, rng=np.random.default_rng(0))
    descent = SubspaceDescent(rnn, 5, 1e-6)
    data = example(2, 1)
    for _ in range(20):
        descent.move(loss_and_slope(data, descent.taps())[1], 0.05, 0.5)
    A, sides = descent.model().W / 40**0.5, {False: descent._first, True: descent._second}
    for right, side in sides.items():
        Q, others, B = side.own.queries, side.other.queries, A if right else A.T
        rows, k, r = slice(SKETCH, SKETCH + len(Q)), len(Q), len(others)
        x = (descent.model().F if right else descent.model().C.T).T
        for got, want in (
            (side.action[rows, :k], Q @ B @ Q.T),
            (side.overlap[rows, :r], Q @ others.T),
            (side.first[:, rows], x @ Q.T),
        ):  # fmt: skip
            assert np.allclose(got, want, atol=1e-9)
            assert not np.allclose(got, 1.001 * want, atol=1e-9)
        gaps = (
            (side.action[:SKETCH, :k], descent._sketch.of(Q @ B.T).T), (side.first[:, :SKETCH], descent._sketch.of(x)),
            (side.shadow[:, :k], descent._sketch.of(Q).T), (side.overlap[:SKETCH, :r], descent._sketch.of(others).T),
        )  # fmt: skip
        assert all(np.allclose(*pair, atol=1e-9) for pair in gaps)


def test_a_sketch_tells_a_length_within_a_factor_of_two():
    lengths = np.linalg.norm(np.stack([Sketch().of(unit) for unit in np.eye(400)]), axis=1)
    assert 0.4 < lengths.min() < lengths.max() < 2
    assert np.mean(lengths**2) == pytest.approx(1, abs=5 * (2 / SKETCH / 400) ** 0.5)


def test_errors_name_the_field():
    with pytest.raises(ParameterError) as caught:
        RandomRNN(10**16)
    assert caught.value.expected == "a tolerance of at least 1e-06"
    with pytest.raises(ParameterError):
        RandomRNN(0)
    with pytest.raises(ParameterError) as caught:
        train(RandomRNN(10**6), example(), steps=2)
    assert caught.value.expected == "a step size for a network known in law"
    with pytest.raises(ParameterError):
        train(RandomRNN(10**6), example(), steps=200, step_size=50.0)
