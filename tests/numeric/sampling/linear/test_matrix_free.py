"""The matrix-free samplers have the law of the dense one, and a wrong law is noticed."""

from __future__ import annotations

import itertools
import math

import array_api_strict
import numpy as np
import pytest
from scipy import stats

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Stream, backend, seed_sequence, stream, to_host
from wideproof.numeric.sampling.linear import (
    LinearSetting,
    choose,
    dense,
    diagonal_weights,
    draw,
    kernel_weights,
    linear_empirical_ntk,
    one_sided,
    two_sided,
)

NUMPY = backend("numpy")
WIDTHS = (1, 2, 3, 5, 10, 50)
SIZES = ((1, 1), (2, 1), (1, 2))
LEVEL = 1e-4  # false alarms of one comparison of two samplers, over all its statistics


def features(drawn):
    """All numbers of a draw, their pair products, and non-linear functions of random combinations of them."""
    parts = [part for part in (drawn.response, drawn.right, drawn.left) if part is not None]
    flat = np.concatenate([part.reshape(part.shape[0], -1) for part in parts], axis=1)
    rows, columns = np.triu_indices(flat.shape[1])
    directions = np.random.default_rng(0).normal(size=(flat.shape[1], 8)) / math.sqrt(flat.shape[1])
    mixed = flat @ directions
    return np.concatenate([flat, flat[:, rows] * flat[:, columns], np.tanh(mixed), np.cos(3 * mixed)], axis=1)


def smallest_p(first, second):
    """Bonferroni over Welch's tests of equal means of every statistic."""
    spread = np.sqrt(first.var(axis=0) / len(first) + second.var(axis=0) / len(second))
    seen = spread > 1e-12
    score = np.abs(first.mean(axis=0) - second.mean(axis=0))[seen] / spread[seen]
    return min(1.0, 2 * stats.norm.sf(score.max()) * seen.sum())


def compare(setting, sampler, grams, trials, seed=0):
    one = dense(setting, trials, stream(NUMPY, seed_sequence(seed, 1)), grams)
    two = sampler(setting, trials, stream(NUMPY, seed_sequence(seed, 2)))
    return smallest_p(features(one), features(two))


@pytest.mark.parametrize(("width", "sizes"), list(itertools.product(WIDTHS, SIZES)))
def test_two_sided_has_the_joint_law_of_dense(width, sizes):
    setting = LinearSetting(width, 3, *sizes, nu_W=0.7, nu_F=1.2, nu_C=0.8)
    assert compare(setting, two_sided, True, 8000) > LEVEL


@pytest.mark.parametrize(("width", "sizes"), list(itertools.product(WIDTHS, (*SIZES, (3, 2)))))
def test_one_sided_has_the_law_of_dense(width, sizes):
    setting = LinearSetting(width, 4, *sizes, nu_W=0.7, nu_F=1.2, nu_C=0.8)
    assert compare(setting, one_sided, False, 10_000) > LEVEL


class Wrong(Stream):
    """A stream whose chi numbers are made wrong on purpose: negative controls."""

    def chi(self, freedom, trials):
        if self.generator_mode == "constant":
            return NUMPY.full((trials,), math.sqrt(freedom))
        return super().chi(freedom + 1, trials)


@pytest.mark.parametrize("mode", ["constant", "one more"])
@pytest.mark.parametrize("sampler", [one_sided, two_sided])
@pytest.mark.parametrize("width", [2, 5, 10])
def test_a_wrong_chi_is_noticed(mode, sampler, width):
    setting = LinearSetting(width, 3, nu_W=0.7)
    grams = sampler is two_sided

    def broken(setting, trials, source):
        wrong = Wrong(source.xp, source.generator)
        object.__setattr__(wrong, "generator_mode", mode)
        return sampler(setting, trials, wrong)

    assert compare(setting, broken, grams, 40_000) < LEVEL


@pytest.mark.parametrize("width", [4, 10**3, 10**12])
def test_second_moments_at_lag_two_are_exact_at_any_width(width):
    """Erratum E2 as an oracle: E L_2^2 = nu_C nu_F nu_W^2 (1 + 2/n^2)."""
    setting = LinearSetting(width, 3, nu_W=0.5)
    squares = one_sided(setting, 100_000, stream(NUMPY, seed_sequence(3, width))).response[:, 2, 0, 0] ** 2
    score = (squares.mean() - 0.25 * (1 + 2 / width**2)) / (squares.std() / math.sqrt(len(squares)))
    assert abs(score) < 4


@pytest.mark.parametrize("sampler", [one_sided, two_sided])
def test_the_transposed_problem_is_the_transposed_draw(sampler):
    tall, flat = (LinearSetting(9, 3, *sizes, nu_F=2.0, nu_C=2.0) for sizes in ((3, 1), (1, 3)))
    first, second = (sampler(s, 2, stream(NUMPY, seed_sequence(0))) for s in (tall, flat))
    assert np.allclose(first.response, np.swapaxes(second.response, 2, 3), rtol=1e-14)
    if first.right is not None:
        assert np.allclose(first.right, second.left, rtol=1e-14)


@pytest.mark.parametrize("sampler", [dense, one_sided, two_sided])
@pytest.mark.parametrize("zero", ["nu_W", "nu_F", "nu_C"])
def test_a_zero_variance_gives_zeros_and_no_nan(sampler, zero):
    drawn = sampler(LinearSetting(6, 3, 2, 1, **{zero: 0.0}), 3, stream(NUMPY, seed_sequence(0)))
    assert np.all(drawn.response[:, 1:] == 0)
    assert np.all(np.isfinite(drawn.response))


@pytest.mark.parametrize("sampler", [dense, one_sided, two_sided])
def test_samplers_run_in_the_strict_namespace_with_the_same_numbers(sampler):
    setting = LinearSetting(7, 3, 2, 2, nu_W=0.4)
    strict = sampler(setting, 4, stream(array_api_strict, seed_sequence(5)))
    plain = sampler(setting, 4, stream(NUMPY, seed_sequence(5)))
    assert np.allclose(to_host(strict.response), plain.response, rtol=1e-12)


def test_kernels_run_in_the_strict_namespace():
    drawn = two_sided(LinearSetting(7, 3, 2, 2), 4, stream(array_api_strict, seed_sequence(5)))
    inputs = array_api_strict.ones((2, 3, 2))
    assert linear_empirical_ntk(drawn, inputs, inputs).shape == (4, 2, 3, 2, 2, 3, 2)
    assert diagonal_weights(drawn).shape == (4, 3)


def outputs_of(flat, X, sizes):
    """y of the definition (1) for one parameter vector."""
    n, n_x, n_y = sizes
    W, F, C = np.split(flat, [n * n, n * n + n * n_x])
    W, F, C = W.reshape(n, n), F.reshape(n, n_x), C.reshape(n_y, n)
    h, ys = np.zeros(n), []
    for x in X:
        h = W @ h / math.sqrt(n) + F @ x
        ys.append(C @ h / math.sqrt(n))
    return np.array(ys)  # (T, n_y)


class Fixed(Stream):
    """A stream that hands out given normal arrays."""

    def normal(self, *shape, dtype="float64"):
        return self.generator.pop(0).reshape(shape)


def test_the_empirical_kernel_is_the_gradient_of_the_definition():
    n, T, n_x, n_y = sizes = (5, 4, 2, 3)
    rng = np.random.default_rng(2)
    W, F, C = (rng.normal(size=shape) for shape in ((1, n, n), (1, n, n_x), (1, n_y, n)))
    drawn = dense(LinearSetting(n, T, n_x, n_y), 1, Fixed(NUMPY, [W, F, C]), grams=True)
    X = rng.normal(size=(2, T, n_x))
    flat, step = np.concatenate([part.ravel() for part in (W, F, C)]), 1e-4
    moves = step * np.eye(len(flat))
    jacobian = np.array([[(outputs_of(flat + e, x, sizes[:1] + sizes[2:]) -
                           outputs_of(flat - e, x, sizes[:1] + sizes[2:])) / (2 * step)
                          for e in moves] for x in X])  # fmt: skip  # (N, P, T, n_y)
    want = np.einsum("apti,bpsj->atibsj", jacobian, jacobian)
    assert np.allclose(linear_empirical_ntk(drawn, X, X)[0], want, atol=1e-6)
    groups = sum(linear_empirical_ntk(drawn, X, X, (group,)) for group in ("C", "F", "W"))
    assert np.allclose(groups[0], want, atol=1e-6)


def test_diagonal_weights_are_the_diagonal_of_the_whole_kernel():
    drawn = two_sided(LinearSetting(11, 4, 2, 3, nu_W=0.6), 5, stream(NUMPY, seed_sequence(0)))
    whole = kernel_weights(drawn)
    want = np.einsum("bjkmjkm->bj", whole) / 6
    assert np.allclose(diagonal_weights(drawn), want, rtol=1e-12)


def test_the_choice_is_explained_and_follows_the_width():
    assert choose(LinearSetting(10**12, 10)).name == "one-sided"
    assert choose(LinearSetting(10**12, 10), grams=True).name == "two-sided"
    small = choose(LinearSetting(5, 10), grams=True)
    assert small.name == "dense"
    assert "n = 5" in small.reason
    assert choose(LinearSetting(5, 10), method="matrix-free").name == "one-sided"
    assert draw(LinearSetting(3, 2), 1, stream(NUMPY, seed_sequence(0)), method="dense").method == "dense"


@pytest.mark.parametrize(
    ("change", "where"),
    [({"width": 0}, "width"), ({"horizon": 0}, "horizon"), ({"nu_W": -1.0}, "nu_W"),
     ({"nu_F": math.nan}, "nu_F"), ({"n_x": 1.5}, "n_x")],
)  # fmt: skip
def test_a_bad_setting_is_refused_by_field(change, where):
    with pytest.raises(ParameterError) as error:
        LinearSetting(**({"width": 5, "horizon": 3} | change))
    assert error.value.where == where


def test_errors_of_use_name_their_argument():
    source = stream(NUMPY, seed_sequence(0))
    with pytest.raises(ParameterError, match="Gram"):
        diagonal_weights(one_sided(LinearSetting(5, 2), 1, source))
    with pytest.raises(ParameterError, match="sampler"):
        choose(LinearSetting(5, 2), method="sparse")
    with pytest.raises(ParameterError, match="X2"):
        linear_empirical_ntk(two_sided(LinearSetting(5, 2), 1, source), np.ones((1, 2, 1)), np.ones((1, 3, 1)))
    with pytest.raises(ParameterError, match="trials"):
        draw(LinearSetting(5, 2), 0, source)


class Rounded:
    """The draws of a single-precision stream, in double precision."""

    def __init__(self, source):
        self.xp, self.source = source.xp, source

    def normal(self, *shape, dtype="float64"):
        return self.source.normal(*shape, dtype="float32").astype(np.float64)


@pytest.mark.parametrize("width", [30, 200])
def test_single_precision_errs_by_its_stated_rounding_and_no_more(width):
    setting = LinearSetting(width, 6, 2, 3, 0.9, 1.2, 0.8)
    pair = stream(NUMPY, seed_sequence(3)), Rounded(stream(NUMPY, seed_sequence(3)))
    single, double = dense(setting, 20, pair[0], True, "float32"), dense(setting, 20, pair[1], True)
    for name in ("response", "right", "left"):
        got, want = getattr(single, name), getattr(double, name)
        assert got.dtype == np.float64
        scale = np.sqrt(np.mean(want**2, axis=(0, 2, 3) if name == "response" else None))
        apart = np.abs(got - want).max(axis=(0, 2, 3) if name == "response" else None) / scale
        assert np.all(apart < 6 * 1e-6)
        assert np.all(apart > 1e-9)


def test_single_precision_without_whole_matrices_is_refused():
    with pytest.raises(ParameterError) as caught:
        draw(LinearSetting(100, 3), 2, stream(NUMPY, seed_sequence(0)), dtype="float32")
    assert caught.value.where == "dtype"
    with pytest.raises(ParameterError):
        draw(LinearSetting(100, 3), 2, stream(NUMPY, seed_sequence(0)), method="dense", dtype="float16")
