"""Second moments and the tangent kernel at narrow widths: what is exact holds, and what is off is refuted."""

import sys
from types import SimpleNamespace

import pytest

from wideproof.derive import models, ntk_variance
from wideproof.numeric.validation.linear_rnn import KERNEL_LAGS, finite_width

module = sys.modules["wideproof.numeric.validation.linear_rnn.finite_width"]
PROGRAM, VALUES = models.linear_rnn().program(), {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 1.0}


@pytest.fixture(scope="module")
def found():
    return finite_width(PROGRAM, VALUES, widths=(8, 16), trials=4000, seed=3)


def test_mean_and_variance_of_the_kernel_are_judged_by_their_exact_values(found):
    assert {c.verdict for c in found.checks} <= {"holds", "undecided"}
    for lag in KERNEL_LAGS:
        for quantity, limit in (("ntk-mean", (2.0, 2.0, 1.5)[lag]), ("ntk-variance", 0.0)):
            narrow, wide = found.of(lag, quantity)
            assert narrow.limit == pytest.approx(limit)
            assert (narrow.width, wide.width) == (8, 16)
        assert narrow.limit_verdict == "refuted"  # the limit of the variance, taken for the variance at n = 8
        assert wide.verdict == "holds"
    assert found.of(0, "ntk-variance")[0].prediction == 0.5


def test_a_variance_that_is_off_is_refuted(monkeypatch):
    class Off:
        def __init__(self, formula):
            self.formula, self.symbols = formula, formula.symbols

        def compile(self, backend):
            call = self.formula.compile(backend)
            return lambda **at: 1.5 * call(**at)

    def off(program, lag):
        return SimpleNamespace(formula=Off(ntk_variance(program, lag).formula))

    monkeypatch.setattr(module, "ntk_variance", off)
    wrong = finite_width(PROGRAM, VALUES, widths=(8, 16), trials=4000, seed=3)
    assert {c.verdict for lag in KERNEL_LAGS for c in wrong.of(lag, "ntk-variance") if c.width == 16} == {"refuted"}
