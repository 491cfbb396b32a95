"""Identities in a symbolic lag: what is proved zero is zero, and a coefficient wrong by 0.1 % is not."""

from __future__ import annotations

import pytest
import sympy as sp

from wideproof.derive.algebra.lag_identities import never_negative, vanishes
from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.language.notation import T, j, parameter

a, b, c = map(parameter, ("a", "b", "c"))
i, k = (sp.Symbol(name, integer=True, nonnegative=True) for name in "ik")
half = sp.Rational(1, 2)
TRUE = {
    "one node twice": (PowerDD(j, a, a), j * a ** (j - 1)),
    "two nodes": (PowerDD(j + 1, a, b), (a ** (j + 1) - b ** (j + 1)) / (a - b)),
    "a convolution": (PowerDD(j, a, b), sp.Sum(a**i * b ** (j - 1 - i), (i, 0, j - 1))),
    "a geometric sum": (sp.Sum(a**i, (i, 0, j)), (1 - a ** (j + 1)) / (1 - a)),
    "with a weight": (sp.Sum(i * a**i, (i, 0, j)), a * (1 - (j + 1) * a**j + j * a ** (j + 1)) / (1 - a) ** 2),
    "of cubes": (sp.Sum(i**3, (i, 0, j)), j**2 * (j + 1) ** 2 / 4),
    "a sum of sums": (sp.Sum(sp.Sum(a**k, (k, 0, i)), (i, 0, j)), sp.Sum((j - i + 1) * a**i, (i, 0, j))),
    "an empty sum at lag 0": (sp.Sum(1, (i, 1, j)), j),
    "a root": (sp.sqrt(a**j * b + j * c * a ** (j - 1)), a ** (j / 2) * sp.sqrt(b + j * c / a)),
    "roots of numbers": (sp.sqrt(8 * a), 2 * sp.sqrt(2) * sp.sqrt(a)),
    "logarithms": (1 / sp.log(1 / a**2), -1 / (2 * sp.log(a))),
    "powers of sums": (((a - b) * (a + b)) ** j, (a**2 - b**2) ** j),
    "powers of numbers": (sp.Integer(6) ** j, 2**j * 3**j),
    "halves": (half**j * a, a * 2 ** (-j)),
    "signs": ((-a) ** j * (-1) ** j, a**j),
    "a node of zero": (PowerDD(j, 0, a), a ** (j - 1) - 0**j / a),
    "a delta": (0**j * a, a * sp.KroneckerDelta(j, 0)),
    "two letters": (sp.Sum(a**i, (i, 0, T - 1 + j)), (1 - a ** (T + j)) / (1 - a)),
    "in a ceiling": (sp.ceiling((a**2 - b**2) / (a - b)), sp.ceiling(a + b)),
}


@pytest.mark.parametrize("name", TRUE)
def test_an_identity_vanishes_and_one_wrong_by_a_thousandth_does_not(name):
    left, right = TRUE[name]
    assert vanishes(left - right)
    assert vanishes(3 * left - 2 * right - left)
    assert not vanishes(left - right * sp.Rational(1001, 1000))
    assert not left.has(j) or not vanishes(left.xreplace({j: j + 1}) - right)
    assert not vanishes(left - right - 0**j)


@pytest.mark.parametrize("expr", [
    0**a,  # 1 where a is 0
    PowerDD(j, 0, a) - a ** (j - 1),  # right from lag 1 on
    sp.Sum(1, (i, 2, j)) - j + 1,  # empty at lags 0 and 1
    sp.expand((a**j - 1) * (a + 1)) / (a**j - 1) - a - 1,  # no value at lag 0
    (j**2 - 9) / (j - 3) - j - 3,  # no value at lag 3
    sp.Function("f")(j),
    ((a + b + c + 1) ** 64 + 1) ** 64,  # too long to be multiplied out
    sp.Sum(sp.Integer(1) / (i + 1), (i, 0, j)),
])  # fmt: skip
def test_what_is_not_proved_does_not_vanish(expr):
    assert not vanishes(expr)


def test_signs_are_proved_by_coefficients():
    assert never_negative(a**j * (b + j * c) / (1 + a))
    assert not never_negative(a**j * (b - c))
    assert not never_negative((1 - a) ** 2)  # true, and not seen
