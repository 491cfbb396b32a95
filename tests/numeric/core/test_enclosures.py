"""Balls as floats: rounded outward, wide ones refused."""

import math

import pytest
from flint import arb, ctx

from wideproof.derive.language.errors import NotAccurate
from wideproof.numeric.core.enclosures import Enclosure, enclosure_of, is_narrow, narrow


def test_both_floats_are_rounded_outward():
    with ctx.workprec(160):
        third = arb(1) / 3
        found = enclosure_of(third, 160)
        assert arb(found.lower) < third < arb(found.upper)
        assert math.nextafter(found.lower, 1) == found.upper
        assert 1 / 3 in found
        assert 0.334 not in found
        assert "x" not in found
        assert abs(arb(found.midpoint) - third) <= arb(found.radius)
    assert enclosure_of(arb(0.5), 160) == Enclosure(0.5, 0.5, "0.5000000000000000000000000000000000000000", 160)
    minus = enclosure_of(arb(-0.1, 1e-3), 160)
    assert minus.lower <= -0.101
    assert minus.upper >= -0.099
    assert str(minus).startswith("[-0.10 +/- ")


def test_a_ball_that_is_too_wide_or_not_finite_is_refused():
    assert narrow("it", arb(1, 4e-11), 160, 1e-10).upper < 1.0000000001
    for ball in (arb(1, 6e-11), arb(10, 6e-10), arb.pos_inf(), arb("nan")):
        assert not is_narrow(ball, 1e-10)
        with pytest.raises(NotAccurate, match="it: expected an enclosure whose width is at most 1e-10"):
            narrow("it", ball, 160, 1e-10)
    assert is_narrow(arb(10, 4e-10), 1e-10)
    assert enclosure_of(arb.pos_inf(), 160).upper == math.inf
