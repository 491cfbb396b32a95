"""A narrowed table says what the whole one says, with fewer terms."""

import numpy as np
import pytest

from wideproof.derive.expectation.pair_integrals import steep
from wideproof.derive.expectation.tables import narrowing, table_building
from wideproof.derive.expectation.tables.covariance_slopes import ErrorScales
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
    assert by <= table.error - TABLE.error < 1e-11
    assert all(x.size < y.size for x, y in zip(table.cores, TABLE.cores, strict=True) if y.size)


def test_more_left_out_than_it_says_is_seen(monkeypatch):
    kept = narrowing._frame
    monkeypatch.setattr(narrowing, "_frame", lambda values, axis, tolerance: kept(values, axis, 1e4 * tolerance))
    table, by = moved(SPANS["alike"])
    assert by > table.error - TABLE.error
