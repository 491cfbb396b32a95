"""A narrowed table says what the whole one says, with fewer terms."""

import numpy as np
import pytest

from wideproof.derive.expectation.pair_integrals import steep
from wideproof.derive.expectation.tables import narrowing, table_building
from wideproof.derive.expectation.tables.covariance_slopes import ErrorScales, slope
from wideproof.derive.expectation.tables.pair_tables import evaluate

SIGMOID = steep("sigmoid", 0, "numpy")
TABLE = table_building.build(SIGMOID, SIGMOID, ((0.25, 4.0),) * 2)
RNG = np.random.default_rng(1)
A, B = RNG.uniform(0.5, 1.0, 400), RNG.uniform(1.0, 2.0, 400)
C = np.cos(np.pi * RNG.uniform(0.0, 1.0, 400)) * np.sqrt(A * B)
SPANS = {"alike": ((0.5, 2.0), (0.5, 2.0)), "two spans": ((0.5, 1.0), (1.0, 2.0))}


def moved(spans):
    table = narrowing.narrowed(TABLE, spans, ErrorScales(1.0))
    return table, float(np.max(np.abs(evaluate(table, (A, B), C) - evaluate(TABLE, (A, B), C))))


@pytest.mark.parametrize("name", list(SPANS))
def test_values_move_by_no_more_than_it_says_and_terms_are_fewer(name):
    table, by = moved(SPANS[name])
    assert by <= table.error - TABLE.error < 2e-11
    assert all(x.size < y.size for x, y in zip(table.cores, TABLE.cores, strict=True) if y.size)


def test_more_left_out_than_it_says_is_seen(monkeypatch):
    kept = narrowing._frame
    monkeypatch.setattr(narrowing, "_frame", lambda x, axis, tolerance, held: kept(x, axis, 1e4 * tolerance, held))
    table, by = moved(SPANS["alike"])
    assert by > table.error - TABLE.error


@pytest.mark.parametrize("near", [0.5, 0.9, 0.99], ids=str)
def test_a_table_in_two_pieces_says_the_same(monkeypatch, near):
    monkeypatch.setattr(narrowing, "pays", lambda first, whole: True)
    table = narrowing.narrowed(TABLE, SPANS["alike"], ErrorScales(1.0, 1.0), near)
    first, second = table.pieces
    assert -1.0 < first.high == second.low == table.cut < 1.0
    assert 0 < sum(map(len, first.cores)) <= sum(map(len, TABLE.cores))
    for found in (evaluate, slope):
        assert np.max(np.abs(found(table, (A, B), C) - found(TABLE, (A, B), C))) <= table.error - TABLE.error


def test_few_directions_are_nearer_than_the_spread_of_lengths_lets_expect():
    rng, ends = np.random.default_rng(2), []
    for size in (3, 4, 6, 10, 40):
        vectors = rng.standard_normal((800, size))
        squares = np.sum(vectors**2, axis=1)
        ends.append(narrowing.near(float(np.std(np.log(squares)))))
        cosines = np.abs(vectors @ vectors.T / np.sqrt(np.outer(squares, squares)))[np.triu_indices(800, 1)]
        assert np.mean(cosines > ends[-1]) < 0.02
    assert ends == sorted(ends, reverse=True)
    assert len(set(ends)) > 3


def test_the_nearer_a_piece_ends_the_more_orders_it_has():
    phi = steep("tanh", 0, "numpy")
    table = table_building.build(phi, phi, ((1.0, 64.0),) * 2)
    found = [narrowing.narrowed(table, ((2.0, 40.0),) * 2, ErrorScales(1.0), end).pieces for end in (0.6, 0.75, 0.9)]
    first, second = zip(*([sum(map(len, piece.cores)) for piece in pieces] for pieces in found), strict=True)
    assert first[0] < first[1] < first[2]
    assert second[0] > second[1] > second[2]


def test_a_side_tells_what_the_table_says_where_both_variables_are_one():
    table = narrowing.narrowed(TABLE, SPANS["alike"], ErrorScales(1.0, 1.0))
    want = np.stack([evaluate(table, (A, A), A), slope(table, (A, A), A)])
    assert np.max(np.abs(table.sides[0].at(A)[0][2:] - want)) < 1e-14
    assert len(narrowing.narrowed(TABLE, SPANS["two spans"], ErrorScales(1.0)).sides[0].means) == 2


def test_rounding_of_large_values_asks_for_no_orders(monkeypatch):
    phi, turned = (steep("softplus", order, "numpy") for order in (0, 1))
    table = table_building.build(phi, phi, ((16.0, 4096.0),) * 2, (turned, turned))
    first, second = narrowing.narrowed(table, ((300.0, 3000.0),) * 2, ErrorScales(1000.0, 0.5)).pieces
    assert sum(map(len, first.cores)) <= 16
    assert sum(map(len, second.cores)) <= 32
    monkeypatch.setattr(np, "triu", lambda matrix: matrix)
    assert sum(len(x) for x in narrowing.narrowed(table, ((300.0, 3000.0),) * 2, ErrorScales(1000.0, 0.5)).cores) > 40
