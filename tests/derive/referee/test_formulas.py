"""Texts that are put to the referee: read in the model's symbols, refused with a way out, and never slow."""

from __future__ import annotations

import time

import pytest
import sympy as sp

from wideproof.derive import LanguageError
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram
from wideproof.derive.language.notation import j, parameter, s, t
from wideproof.derive.referee.formulas import read

SYMBOLS = {"j": j, "nu_W": parameter("nu_W"), "nu_F": parameter("nu_F")}
TIMES = {"t": t, "s": s, "nu_W": parameter("nu_W")}


@pytest.mark.parametrize(("text", "hint"), [
    ("nu_W^j", r"Write nu_W\*\*j"),
    ("ν_W**j·2", r"Write nu_W\*\*j\*2"),
    (r"\nu_W^{j}", "LaTeX"),
    (r"\frac{1}{2}", "Write .frac"),
    ("rho_j = nu_W**j", "right side"),
    ("rho_j <= nu_W**j", "right side"),
    ("nu_X", "one of the names j, nu_W, nu_F"),
    ("nu_W*i", "outside of a sum"),
    ("sum(nu_W**i, j, 0, i)", "outside of a sum|write sum"),
    ("sum(nu_W, nu_W, 0, j)", "write sum"),
    ("sum(nu_W, i, 0, i)", "bounds"),
    ("sum(1, i, 0, 10**9)", "at most 64"),
    ("X(t, s)", "functions"),
    ("nu_W @ nu_F", "value"),
    ("nu_W.next", "state"),
    ("nu_W j", "operator"),
    ("1/0", "finite"),
    ("1/(nu_W - nu_W)", "finite"),
    ("nu_W**(2**j)", "exponents"),
    ("2**(9**(9**j))", "exponents"),
    ("exp(exp(nu_W))", "exponents"),
    ("nu_W**(65*j)", "exponents"),
    ("(" * 60 + "j" + ")" * 60, "at most 40"),
    ("j" * 1001, "at most 1000"),
    ("", "a number, a name"),
    (7, "text"),
])  # fmt: skip
def test_what_is_no_formula_is_refused_with_a_way_out(text, hint):
    before = time.process_time()
    with pytest.raises(LanguageError, match=hint) as caught:
        read(text, SYMBOLS, "check")
    assert caught.value.hint
    assert time.process_time() - before < 5


def test_sums_and_inputs():
    i = sp.Symbol("i", integer=True, nonnegative=True)
    x = Gram(t - i, s - i, FIRST, SECOND)
    assert read("sum(i, i, 1, 3)", SYMBOLS, "check") == 6
    assert read("sum(nu_W**i, i, 0, j)", SYMBOLS, "check") == sp.Sum(SYMBOLS["nu_W"] ** i, (i, 0, j))
    ended = sp.Sum(x, (i, 0, sp.Min(t, s)))
    for high in ("t", "s", "min(t, s)"):  # there are no inputs before time 0
        assert read(f"sum(X(t - i, s - i), i, 0, {high})", TIMES, "check", inputs=True) == ended
    for other in ("X(t - i, s)", "X(t - i, s - i) + 1", "X(t - i, t - i)"):
        assert read(f"sum({other}, i, 0, t)", TIMES, "check", inputs=True).limits == ((i, 0, t),)
