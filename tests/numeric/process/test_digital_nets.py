"""Scrambled nets against SciPy's, and what their signs are for."""

import numpy as np
import pytest
from scipy import special
from scipy.stats import qmc

from wideproof.numeric.process import digital_nets
from wideproof.numeric.process.digital_nets import Nets, Walsh, coordinates, walsh_sums, walsh_values


def test_the_points_are_those_of_sobol():
    found = coordinates(digital_nets._directions(40, 6), np.zeros(40, np.uint32)) * 2.0**-32
    want = qmc.Sobol(40, scramble=False, bits=30).random(64)
    assert sorted(map(tuple, found.T)) == sorted(map(tuple, want))


@pytest.mark.parametrize(("dimension", "digits"), [(1, 1), (2, 3), (40, 6), (21201, 12), (3, 0)])
def test_the_vectors_of_the_table_are_those_of_the_sequence(dimension, digits, monkeypatch):
    found = digital_nets._directions.__wrapped__(dimension, digits)
    want = digital_nets._differences(dimension, digits)
    assert np.array_equal(found, want)
    monkeypatch.setattr(digital_nets, "TABLE", ("stats", "no_such_table.npz"))
    assert np.array_equal(digital_nets._directions.__wrapped__(dimension, digits), want)


def test_a_scrambled_coordinate_has_one_point_in_each_interval_and_is_uniform_in_it():
    def ranks(seed):
        from scipy.special import ndtr

        return 64 * ndtr(Nets(12, 0, 64, seed, [()]).normals(np.empty((1, 12, 64)))[0])

    for seed in range(3):
        assert np.array_equal(np.sort(np.floor(ranks(seed))), np.broadcast_to(np.arange(64), (12, 64)))
    inside = np.concatenate([ranks(seed)[:, 0] % 1.0 for seed in range(40)])
    assert abs(inside.mean() - 0.5) < 4 / np.sqrt(12 * inside.size)
    assert abs(inside.var() - 1 / 12) < 0.02


def test_signs_are_even_and_have_no_mean_product_over_nets():
    nets = Nets(6, 6, 64, 0, [(key,) for key in range(200)])
    drawn = np.concatenate([nets.normals(np.empty((200, 6, 64))), walsh_values(nets.signs(6), 64)], axis=1)
    assert set(np.unique(drawn[:, 6:])) == {-1.0, 1.0}
    assert np.abs(drawn[:, 6:].sum(-1)).max() == 0
    products = drawn @ np.swapaxes(drawn, 1, 2) / 64
    mean, error = products.mean(0), products.std(0, ddof=1) / 200**0.5
    off = ~np.eye(12, dtype=bool)
    assert np.abs(mean[off] / np.maximum(error[off], 1e-3)).max() < 4.5
    np.testing.assert_allclose(np.diag(mean)[6:], 1.0, rtol=0, atol=0)


def test_where_coordinates_end_signs_are_walsh_functions_at_random(monkeypatch):
    monkeypatch.setattr(digital_nets, "MOST", 8)
    nets = Nets(5, 9, 16, 0, [(), (1,)])
    first, normals, rest = nets.signs(2), nets.normals(np.empty((2, 5, 16))), walsh_values(nets.signs(7), 16)
    assert first.functions.shape == first.signs.shape == (2, 2)
    assert np.abs(normals[0] - normals[1]).max() > 0.1
    assert not np.array_equal(rest[0], rest[1])
    assert set(np.unique(rest)) == {-1.0, 1.0}
    spectrum = np.abs(rest @ (1.0 - 2.0 * (np.bitwise_count(np.arange(16)[:, None] & np.arange(16)) % 2)))
    assert np.array_equal(np.sort(spectrum, axis=2)[:, :, -2:], np.broadcast_to([0.0, 16.0], (2, 7, 2)))
    with pytest.raises(ValueError, match="at most 8 Gaussian variables"):
        Nets(9, 0, 16, 0, [()])


def test_normal_variables_are_the_quantiles_of_their_digits_with_and_without_the_loop(monkeypatch):
    digits = np.concatenate([[0, 1, 2**31 - 1, 2**31, 2**32 - 1], np.random.default_rng(0).integers(0, 2**32, 4000)])
    want = special.ndtri((digits + 0.5) * 2.0**-32)
    np.testing.assert_allclose(digital_nets.normal(digits.astype(np.uint32)), want, rtol=0, atol=1e-7)
    looped = Nets(5, 3, 16, 0, [(), (1,)]).normals(np.empty((2, 5, 16)))
    monkeypatch.setattr(digital_nets, "loop_of", lambda loop: None)
    plain = Nets(5, 3, 16, 0, [(), (1,)]).normals(np.empty((2, 5, 16)))
    assert np.abs(looped - plain).max() < 1e-12
    digital_nets._cells.cache_clear()
    monkeypatch.setattr(digital_nets, "SHIFT", 22)  # two parts of an octave are too few
    monkeypatch.setattr(digital_nets, "FIRST", 126 << 1)
    assert np.abs(digital_nets.normal(digits.astype(np.uint32)) - want).max() > 1e-5
    digital_nets._cells.cache_clear()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_sums_of_signs_are_products_with_their_values(kind):
    rng = np.random.default_rng(1)
    walsh = Walsh(rng.integers(0, 16, (2, 30), np.uint32), rng.choice([-1.0, 1.0], (2, 30)))  # some functions twice
    rows, out = rng.standard_normal((2, 3, 25)).astype(kind), np.empty((2, 3, 16), kind)
    walsh_sums(rows, *walsh, out)
    values = walsh_values(walsh, 16)
    assert np.array_equal(values[:, :, 0], walsh.signs)
    np.testing.assert_allclose(out, rows @ values[:, :25], rtol=0, atol=64 * np.finfo(kind).eps)
    assert np.abs(out - rows @ np.roll(values, 1, axis=1)[:, :25]).max() > 1


def test_signs_are_the_first_digits_of_their_coordinates():
    nets = Nets(2, 3, 32, 5, [(0,), (1,)])
    found = walsh_values(nets.signs(3), 32)
    for net in range(2):
        digits = coordinates(nets.directions[net, :3], nets.shifts[net, :3])
        assert np.array_equal(found[net], 1.0 - 2.0 * (digits >> np.uint32(31)))
