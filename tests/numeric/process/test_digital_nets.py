"""Scrambled nets against SciPy's, and what their signs are for."""

import numpy as np
import pytest
from scipy import special
from scipy.stats import qmc

from wideproof.numeric.process import digital_nets
from wideproof.numeric.process.digital_nets import Net, coordinates


def test_the_points_are_those_of_sobol():
    found = coordinates(digital_nets._directions(40, 6), np.zeros(40, np.uint32)) * 2.0**-32
    want = qmc.Sobol(40, scramble=False, bits=30).random(64)
    assert sorted(map(tuple, found.T)) == sorted(map(tuple, want))


def test_a_scrambled_coordinate_has_one_point_in_each_interval_and_is_uniform_in_it():
    def ranks(seed):
        from scipy.special import ndtr

        return 64 * ndtr(Net(12, 0, 64, seed).normals(np.empty((12, 64))))

    for seed in range(3):
        assert np.array_equal(np.sort(np.floor(ranks(seed))), np.broadcast_to(np.arange(64), (12, 64)))
    inside = np.concatenate([ranks(seed)[:, 0] % 1.0 for seed in range(40)])
    assert abs(inside.mean() - 0.5) < 4 / np.sqrt(12 * inside.size)
    assert abs(inside.var() - 1 / 12) < 0.02


def test_signs_are_even_and_have_no_mean_product_over_nets():
    nets = [Net(6, 6, 64, seed) for seed in range(200)]
    drawn = np.stack([np.concatenate([net.normals(np.empty((6, 64))), net.signs(np.empty((6, 64)))]) for net in nets])
    assert set(np.unique(drawn[:, 6:])) == {-1.0, 1.0}
    assert np.abs(drawn[:, 6:].sum(-1)).max() == 0
    products = drawn @ np.swapaxes(drawn, 1, 2) / 64
    mean, error = products.mean(0), products.std(0, ddof=1) / 200**0.5
    off = ~np.eye(12, dtype=bool)
    assert np.abs(mean[off] / np.maximum(error[off], 1e-3)).max() < 4.5
    np.testing.assert_allclose(np.diag(mean)[6:], 1.0, rtol=0, atol=0)


def test_where_coordinates_end_signs_are_walsh_functions_at_random(monkeypatch):
    monkeypatch.setattr(digital_nets, "MOST", 8)
    net = Net(5, 9, 16, 0)
    first, normals, rest = net.signs(np.empty((2, 16))), net.normals(np.empty((5, 16))), net.signs(np.empty((7, 16)))
    assert first.shape == (2, 16)
    assert normals.shape == (5, 16)
    assert set(np.unique(rest)) == {-1.0, 1.0}
    spectrum = np.abs(rest @ (1.0 - 2.0 * (np.bitwise_count(np.arange(16)[:, None] & np.arange(16)) % 2)))
    assert np.array_equal(np.sort(spectrum, axis=1)[:, -2:], np.broadcast_to([0.0, 16.0], (7, 2)))
    with pytest.raises(ValueError, match="at most 8 Gaussian variables"):
        Net(9, 0, 16, 0)


def test_normal_variables_are_the_quantiles_of_their_digits_with_and_without_the_loop(monkeypatch):
    digits = np.concatenate([[0, 1, 2**31 - 1, 2**31, 2**32 - 1], np.random.default_rng(0).integers(0, 2**32, 4000)])
    want = special.ndtri((digits + 0.5) * 2.0**-32)
    np.testing.assert_allclose(digital_nets.normal(digits.astype(np.uint32)), want, rtol=0, atol=1e-7)
    looped = [Net(5, 3, 16, 0).normals(np.empty((5, 16))), Net(5, 3, 16, 0).signs(np.empty((3, 16)))]
    monkeypatch.setattr(digital_nets, "loop_of", lambda loop: None)
    plain = [Net(5, 3, 16, 0).normals(np.empty((5, 16))), Net(5, 3, 16, 0).signs(np.empty((3, 16)))]
    assert np.abs(looped[0] - plain[0]).max() < 1e-12
    assert np.array_equal(looped[1], plain[1])
    digital_nets._cells.cache_clear()
    monkeypatch.setattr(digital_nets, "SHIFT", 22)  # two parts of an octave are too few
    monkeypatch.setattr(digital_nets, "FIRST", 126 << 1)
    assert np.abs(digital_nets.normal(digits.astype(np.uint32)) - want).max() > 1e-5
    digital_nets._cells.cache_clear()
