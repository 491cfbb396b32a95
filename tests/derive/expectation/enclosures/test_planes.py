"""Integrals over two variables by rectangles, where series are slow."""

import numpy as np
import pytest
from flint import arb, ctx

from tests.gaussian_means import gaussian_mean
from wideproof.derive.expectation.enclosures import planes
from wideproof.derive.expectation.enclosures.functions import ball_function
from wideproof.derive.expectation.enclosures.integrals import Mapped, mean_of
from wideproof.derive.expectation.enclosures.planes import plane_mean
from wideproof.derive.language.activations import define
from wideproof.derive.language.errors import NotAccurate

define("enclosed_elu", "max(z, 0) + min(exp(z) - 1, 0)")


def by_rectangles(name, mean, correlation):
    one = Mapped(ball_function(name, 0), arb(mean), arb(1))
    energy = mean_of((one, one))
    return plane_mean((one, one), (energy, energy), arb(correlation))


@pytest.mark.parametrize(("name", "mean", "correlation"), [("erf", 0.25, 0.75), ("enclosed_elu", 0.0, 0.96875)])
def test_it_is_the_number_of_the_other_methods(name, mean, correlation):
    with ctx.workprec(160):
        found = by_rectangles(name, mean, correlation)
    want, doubt = gaussian_mean(name, name, (1.0, 1.0), correlation, (mean, mean))
    assert found.rad() < 1e-15
    assert abs(float(found.mid()) - want) <= doubt + 1e-15
    assert not found.overlaps(found.mid() * 1.001)


def test_too_many_rectangles_are_refused(monkeypatch):
    monkeypatch.setattr(planes, "MOST", 50)
    with ctx.workprec(160), pytest.raises(NotAccurate, match="50 rectangles"):
        by_rectangles("erf", 0.0, 0.5)


def test_the_bound_of_a_rectangle_holds_where_nodes_are_few(monkeypatch):
    with ctx.workprec(160):
        one = Mapped(ball_function("tanh", 0), arb(0.5), arb(1))
        panel, r = (arb(0), arb(0.5)), arb(0.75)

        def values(count):
            monkeypatch.setattr(planes, "NODES", count)
            sides = [planes._Side(one, [panel]) for _ in range(2)]
            return planes._sum(sides, panel, panel, r), planes._bound(sides, panel, panel, r, True)

        (coarse, error), (fine, _) = values(3), values(24)
        assert 0 < abs(coarse - fine) <= error
        size = planes._bound([planes._Side(one, [panel])] * 2, panel, panel, r, False)
        assert abs(fine) <= size


def test_the_density_is_that_of_two_normal_variables():
    cov = np.array([[1.0, 0.6], [0.6, 1.0]])
    point = np.array([0.3, -1.1])
    want = np.exp(-0.5 * point @ np.linalg.solve(cov, point)) / (2 * np.pi * np.sqrt(np.linalg.det(cov)))
    assert float(planes._density(arb(0.3), arb(-1.1), arb(0.6))) == pytest.approx(want, rel=1e-12)
