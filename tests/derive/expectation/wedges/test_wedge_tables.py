"""Tables by wedges: within their error of the wedges themselves, refused where they are wrong, and taken by kernels."""

from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from wideproof.derive.expectation import pair_integrals
from wideproof.derive.expectation.pair_integrals import SEVERAL, Variables, expectation, steep
from wideproof.derive.expectation.wedges import wedge_tables
from wideproof.derive.expectation.wedges.wedge_quadrature import pair
from wideproof.derive.expectation.wedges.wedge_tables import build, span
from wideproof.derive.language.activations import define

define("bent_elu", "max(z, 0) + exp(min(z, 0)) - 1")
RNG = np.random.default_rng(3)
ANGLE = np.append(np.pi * RNG.uniform(0.0, 1.0, 28) ** 3, [0.0, np.pi]).reshape(5, 6)


@cache
def made():
    phi = steep("bent_elu", 0, "numpy")
    return build(phi, phi, (span(np.array([0.5])),) * 2)


def test_a_table_is_its_wedges_within_its_error():
    table = made()
    phi, p, q = steep("bent_elu", 0, "numpy"), RNG.uniform(0.0625, 1.0, (5, 1)), RNG.uniform(0.0625, 1.0, (1, 6))
    found, error = table.at((p, q), ANGLE)
    want, doubt = pair(np, phi, phi, (p, q), ANGLE)
    assert np.all(np.abs(found - want) <= error + doubt)
    assert np.max(error) <= 2e-11 * np.max(want)
    alone, _ = table.at((p + 0.0 * q, q + 0.0 * p), ANGLE)
    np.testing.assert_allclose(alone, found, rtol=0, atol=1e-15)


def test_a_table_of_other_numbers_is_refused():
    table, phi = made(), steep("bent_elu", 0, "numpy")
    core = table.core.copy()
    core[1, 0, 0, 0] += 1e-9
    assert wedge_tables._checked(table, phi, phi) is not None
    assert wedge_tables._checked(replace(table, core=core), phi, phi) is None


def test_ranges_are_few():
    assert span(np.array([300.0, 1000.0])) == (2.0, 32.0)
    assert span(np.array([0.0, 1000.0])) == (0.0, 32.0)
    assert span(np.array([1e-9])) == (0.0, 0.125)


@pytest.mark.parametrize("wanted", [1.0, 1e4], ids=["few", "several"])
def test_it_is_taken_where_several_are_wanted(monkeypatch, wanted):
    taken = []
    monkeypatch.setattr(pair_integrals, "wedge_table", lambda *key: taken.append(key))
    law = Variables("numpy", (np.full((2, 1), 2.0), np.full((1, 2), 1.0)), np.full((2, 2), 0.3), wanted=wanted)
    expectation((("bent_elu", 0),) * 2, law)
    assert len(taken) == (wanted > SEVERAL)


def test_other_functions_have_it_at_large_variances(monkeypatch):
    taken = []
    fake = SimpleNamespace(at=lambda *_: ("a table", 0.0))
    monkeypatch.setattr(pair_integrals, "wedge_table", lambda *key: taken.append(key) or fake)
    for largest in (2.0, 200.0):
        variances = np.full((2, 1), largest), np.full((1, 2), 1.0)
        expectation((("tanh", 0),) * 2, Variables("numpy", variances, np.full((2, 2), 0.3), wanted=1e4))
    assert taken == [((("tanh", 0),) * 2, ((1.0, 16.0), (0.0625, 1.0)))]
