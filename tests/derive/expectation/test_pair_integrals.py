"""Expectations whose estimate is too large are enclosed, and refused by the width of that enclosure."""

import numpy as np
import pytest
import sympy as sp

from wideproof.derive.algebra import ball_code
from wideproof.derive.expectation import pair_integrals
from wideproof.derive.expectation.enclosures import pairs
from wideproof.derive.expectation.pair_integrals import Variables, expectation, value
from wideproof.derive.language.activations import Z, define
from wideproof.derive.language.errors import NotAccurate, SlowExpectations

define("enclosed_chirp", sp.sin(30 * Z**2))
TWO = (("enclosed_chirp", 0),) * 2
LAW = Variables("numpy", (np.ones(2), np.ones(2)), np.array([0.1, -0.3]))


def exact(c):
    """E[sin(30 u^2) sin(30 v^2)] of unit variables of covariance c, by the characteristic function of squares."""
    opposite, alike = (((1 - 60j) * (1 - 60j * s) + 3600 * s * c * c) for s in (-1, 1))
    return 0.5 * (opposite**-0.5 - 1 / _root(alike)).real


def _root(z):
    """The branch near 1 - 60i, since z is close to its square."""
    root = z**0.5
    return root if root.imag < 0 else -root


def test_what_the_grids_leave_open_is_enclosed():
    estimate, doubt = expectation(TWO, LAW)
    want = [exact(0.1), exact(-0.3)]
    assert max(doubt) > 1e-6
    found, error = value(TWO, LAW)
    assert max(error) < 1e-12
    np.testing.assert_allclose(found, want, rtol=0, atol=1e-13)
    assert np.max(np.abs(estimate - want)) > 1e-6


def test_equal_laws_are_enclosed_once_and_many_are_no_reason_to_refuse(monkeypatch):
    asked = []
    monkeypatch.setattr(pairs, "enclosed_value", lambda factors, law: asked.append(law) or (sum(law), 1e-15))
    law = Variables("numpy", (np.ones(200), np.ones(200)), np.repeat([0.1, -0.3], 100))
    found, error = pair_integrals._by_enclosures(TWO, law, np.zeros(200), np.ones(200))
    assert len(asked) == 2
    assert (error == 1e-15).all()
    np.testing.assert_array_equal(found, np.repeat([2.1, 1.7], 100))


def test_without_an_enclosure_the_reason_is_told(monkeypatch):
    monkeypatch.setattr(pair_integrals, "PATIENCE", 0.0)
    with pytest.raises(NotAccurate, match="0 of 2 enclosures in 0 s, and estimates of up to"):
        value(TWO, LAW)
    monkeypatch.undo()
    pairs.enclosed_value.cache_clear()
    monkeypatch.setattr(ball_code.importlib, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(NotAccurate, match="no enclosure, an environment without it"):
        value(TWO, LAW)


@pytest.mark.parametrize("wanted", [1.0, 1e5], ids=["few", "many"])
def test_integrals_that_will_take_long_say_so_once_the_first_are_timed(wanted, recwarn):
    define("bent_beside_zero", "z * max(z - 1, 0)")
    law = Variables("numpy", (np.ones(9), np.ones(9)), np.linspace(0.1, 0.5, 9), wanted=wanted)
    expectation((("bent_beside_zero", 0),) * 2, law)
    told = [str(x.message) for x in recwarn if issubclass(x.category, SlowExpectations)]
    assert len(told) == (wanted > 1)
    assert all("100,000 pairs and steps" in text for text in told)
