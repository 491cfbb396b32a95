"""Blocks, single pairs, exchanged sides and the compiled sweep say the same, and ranges hold what they are of."""

import math

import numpy as np
import pytest

from wideproof.derive.expectation.pair_integrals import Variables, expectation, steep
from wideproof.derive.expectation.tables import compiled_sweep, table_building
from wideproof.derive.expectation.tables.pair_tables import evaluate, range_of, transposed

TABLE = table_building.build(steep("tanh", 1, "numpy"), steep("softplus", 0, "numpy"), ((0.25, 1.0), (1.0, 4.0)))
RNG = np.random.default_rng(5)
A, B = RNG.uniform(0.25, 1.0, (37, 1)), RNG.uniform(1.0, 4.0, (1, 23))
C = np.cos(np.pi * RNG.uniform(0, 1, (37, 23))) * np.sqrt(A * B)


def single():
    return evaluate(TABLE, tuple(np.broadcast_to(x, C.shape) for x in (A, B)), C)


def test_a_block_is_its_pairs(monkeypatch):
    monkeypatch.setattr(compiled_sweep, "sweep", lambda: None)
    np.testing.assert_allclose(evaluate(TABLE, (A, B), C), single(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(evaluate(transposed(TABLE), (B.T, A.T), C.T), single().T, rtol=0, atol=1e-14)
    np.testing.assert_allclose(evaluate(transposed(TABLE), (B, A), C), single(), rtol=0, atol=1e-14)


def test_it_is_the_series():
    want, error = expectation((("tanh", 1), ("softplus", 0)), Variables("numpy", (A, B), C))
    assert np.max(np.abs(single() - want) - error) <= TABLE.error


def test_the_compiled_sweep_is_the_array_text_with_the_same_bits_for_any_threads(monkeypatch):
    pytest.importorskip("numba")
    found = {}
    for count in (1, 2, 3):
        monkeypatch.setattr(compiled_sweep, "threads", lambda count=count: count)
        found[count] = evaluate(TABLE, (A, B), C)
    np.testing.assert_allclose(found[1], single(), rtol=0, atol=1e-12)
    assert found[1].tobytes() == found[2].tobytes() == found[3].tobytes()


def test_half_of_a_symmetric_block_is_mirrored(monkeypatch):
    table = table_building.build(*(steep("tanh", 0, "numpy"),) * 2, ((0.25, 1.0),) * 2)
    c = 0.5 * np.sqrt(A * A.T)
    np.fill_diagonal(c, A[:, 0])
    found = evaluate(table, (A, A.T), c)
    monkeypatch.setattr(compiled_sweep, "sweep", lambda: None)
    np.testing.assert_allclose(found, evaluate(table, (A, A.T), c), rtol=0, atol=1e-13)
    if compiled_sweep.importlib.util.find_spec("numba"):
        assert np.array_equal(found, found.T)


def test_ranges_hold_their_variances():
    for low, high in ((0.0, 0.0), (0.0, 3.0), (1e-3, 1e-3), (0.3, 0.9), (1.0, 1.0), (4.0, 4.1), (0.5, 900.0)):
        least, largest = range_of(np.array([low, high]))
        assert least <= low <= high <= largest
        assert least < largest
    for none in ([2.0**17], [np.inf], [np.nan], [-1.0]):
        assert range_of(np.array(none)) is None


def test_a_variable_that_vanishes_has_its_constant():
    table = table_building.build(*(steep("softplus", 0, "numpy"),) * 2, ((0.0, 1 / 64),) * 2)
    zero = np.zeros(1)
    np.testing.assert_allclose(evaluate(table, (zero, zero), zero), np.log(2.0) ** 2, rtol=0, atol=table.error)


def test_tables_are_taken_for_many_pairs_only():
    law = (A, B), C
    few, many = (
        expectation((("tanh", 1), ("softplus", 0)), Variables("numpy", *law, wanted=x)) for x in (1.0, math.inf)
    )
    assert np.ndim(few[1]) == 2
    assert isinstance(many[1], float)
    np.testing.assert_allclose(many[0], few[0], rtol=0, atol=many[1])


@pytest.mark.parametrize("means", [(0.7, 0.7), (-1.0, 0.0)], ids=str)
def test_a_mean_of_all_pairs_has_its_table_and_many_means_have_none(means):
    factors = (("sigmoid", 0), ("sigmoid", 1))
    few, many = (expectation(factors, Variables("numpy", (A, B), C, means, wanted=x)) for x in (1.0, math.inf))
    assert isinstance(many[1], float)
    np.testing.assert_allclose(many[0], few[0], rtol=0, atol=many[1] + np.max(few[1]))
    other = expectation(factors, Variables("numpy", (A, B), C, (means[0] + 1e-3, means[1]), wanted=math.inf))
    assert np.min(np.abs(other[0] - few[0])) > 100 * other[1]
    drawn = expectation(factors, Variables("numpy", (A, B), C, (0.1 * A, 0.0), wanted=math.inf))
    assert np.ndim(drawn[1]) == 2
