"""The coefficient of 1/n^2 in the second moment against erratum E2, and where no polynomial fits."""

import pytest
import sympy as sp

from wideproof.derive import NotClosed, Recursion, models, moments, width_correction
from wideproof.derive.language.notation import n


def test_it_is_a_quartic_for_even_and_one_for_odd_lags():
    found = width_correction(models.linear_rnn())
    assert [found.at(lag) for lag in range(6)] == [0, 0, 2, 10, 28, 62]
    assert sp.expand(found.odd - found.even) == sp.Rational(1, 8)
    assert sp.degree(found.even) == 4
    moment = sp.expand(moments(models.linear_rnn(), lag=16).formula.expr)
    assert sp.cancel(moment.coeff(n, -2) / moment.coeff(n, 0)) == found.at(16)  # neither fitted nor verified there


def test_what_no_quartic_fits_is_refused(monkeypatch):
    r = Recursion("skip")
    W, F, C, h = r.matrix("W"), r.input_map("F"), r.readout("C"), r.state("h")
    r.update(h, h / 2 + W @ h + F @ r.x)
    r.output(C @ h)
    with pytest.raises(NotClosed, match="degree 4"):
        width_correction(r)
    monkeypatch.setattr("wideproof.derive.linear.width_correction.DEGREE", 3)
    with pytest.raises(NotClosed, match="degree 3"):
        width_correction(models.linear_rnn())
