"""Divided differences of x^j and linear recurrences: against exact quotients, matrix powers and rsolve."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings, strategies as st

from wideproof.derive import ProofError
from wideproof.derive.algebra.array_code import power_dd
from wideproof.derive.algebra.linear_recurrences import LinearRecurrence, PowerDD
from wideproof.derive.language.notation import j

NODES = st.lists(st.fractions(0, 2, max_denominator=6), min_size=1, max_size=4)


def exact(lag, nodes):
    """The divided difference by its recursive definition, equal nodes by the complete homogeneous sum."""
    if len(set(nodes)) == 1:
        order = len(nodes) - 1
        return sp.binomial(lag, order) * sp.Rational(nodes[0]) ** (lag - order) if lag >= order else sp.S.Zero
    low, high = min(nodes), max(nodes)
    rest = sorted(nodes)
    return (exact(lag, rest[1:]) - exact(lag, rest[:-1])) / (sp.Rational(high) - sp.Rational(low))


@settings(deadline=None, max_examples=60)
@given(lag=st.integers(0, 9), nodes=NODES)
def test_values_are_divided_differences(lag, nodes):
    want = exact(lag, nodes)
    assert PowerDD(sp.Integer(lag), *map(sp.Rational, nodes)) == want
    assert float(power_dd(np, lag, *map(float, nodes))) == pytest.approx(float(want), rel=1e-13, abs=1e-300)


@settings(deadline=None, max_examples=40)
@given(lag=st.integers(0, 8), nodes=NODES, seed=st.randoms(use_true_random=False))
def test_one_step_identity_and_symmetry(lag, nodes, seed):
    """DD(j+1; n, l) = l DD(j; n, l) + DD(j; n), for any of the nodes."""
    exact_nodes = [sp.Rational(x) for x in nodes]
    index = seed.randrange(len(nodes))
    own, rest = exact_nodes[index], exact_nodes[:index] + exact_nodes[index + 1 :]
    lower = PowerDD(sp.Integer(lag), *rest) if rest else 0
    assert PowerDD(sp.Integer(lag + 1), *exact_nodes) == own * PowerDD(sp.Integer(lag), *exact_nodes) + lower
    seed.shuffle(exact_nodes)
    assert PowerDD(j, *exact_nodes) == PowerDD(j, *map(sp.Rational, nodes))


def test_special_nodes():
    a, b = sp.symbols("a b", nonnegative=True)
    assert PowerDD(j, a) == a**j
    assert PowerDD(j, a, b) == PowerDD(j, b, a)
    assert PowerDD(sp.S.Zero, a, a) == 0
    assert PowerDD(sp.S.One, a, a) == 1
    assert PowerDD(sp.Integer(3), a, a) == 3 * a**2
    assert PowerDD(j, 0, 0) == sp.KroneckerDelta(j, 1)
    assert PowerDD(j, a, a).subs(a, 0) == sp.KroneckerDelta(j, 1)
    assert PowerDD(j, a, a).doit() == j * a ** (j - 1)
    assert sp.simplify(PowerDD(j, a, b).doit() - (a**j - b**j) / (a - b)) == 0
    assert PowerDD(j, a, b).is_nonnegative


def test_derivative_repeats_a_node():
    a, b = sp.symbols("a b", positive=True)
    assert sp.diff(PowerDD(j, a, b), a) == PowerDD(j, a, a, b)
    for lag in range(6):
        assert sp.expand(sp.diff(PowerDD(sp.Integer(lag), a, b), a) - PowerDD(sp.Integer(lag), a, a, b)) == 0
    with pytest.raises(sp.core.function.ArgumentIndexError):
        PowerDD(j, a, b).fdiff(1)


def test_pickling():
    a, b = sp.symbols("a b", nonnegative=True)
    assert pickle.loads(pickle.dumps(PowerDD(j, a, b))) == PowerDD(j, a, b)


def test_no_cancellation_at_close_nodes():
    close = power_dd(np, 20, 0.3, 0.3 + 1e-9)
    want = float(exact(20, [Fraction(0.3), Fraction(0.3 + 1e-9)]))
    assert float(close) == pytest.approx(want, rel=1e-14)


TRIANGLES = {
    "resonant": [[2, 1], [0, 2]],
    "distinct": [["x", 1], [0, "y"]],
    "zero nodes": [[0, 3], [0, 0]],
    "three": [["x", 1, "y"], [0, "x", 2], [0, 0, "y"]],
    "sum of symbols": [["x/4+y", 1], [0, "x/4+y"]],
}


def recurrence(name):
    names = dict(zip("xy", sp.symbols("x y", nonnegative=True), strict=True))
    A = sp.Matrix([[sp.sympify(e, locals=names) for e in row] for row in TRIANGLES[name]])
    size = A.shape[0]
    return A, LinearRecurrence(
        {i: {k: A[i, k] for k in range(size)} for i in range(size)}, {i: sp.Integer(i + 1) for i in range(size)}
    )


@pytest.mark.parametrize("name", TRIANGLES)
def test_solutions_are_matrix_powers(name):
    A, solved = recurrence(name)
    closed = solved.solve(0)
    solved.prove(0)
    base = sp.Matrix([solved.base[i] for i in range(A.shape[0])])
    for lag in range(7):
        assert sp.expand(closed.subs(j, lag).doit() - (A**lag * base)[0]) == 0


def test_rsolve_agrees_on_the_resonant_case():
    """m+ = nu m + c nu^j: the engine's recurrence of the tangent; rsolve is only an oracle."""
    nu, c, m0 = sp.symbols("nu c m0", positive=True)
    solved = LinearRecurrence({"m": {"m": nu, "p": c}, "p": {"p": nu}}, {"m": m0, "p": sp.S.One})
    f = sp.Function("f")
    oracle = sp.rsolve(f(j + 1) - nu * f(j) - c * nu**j, f(j), {f(0): m0})
    assert sp.simplify(solved.solve("m").doit() - oracle) == 0


def test_a_circle_has_no_closed_form():
    solved = LinearRecurrence({0: {1: sp.S.One}, 1: {0: sp.S.One}}, {0: sp.S.One, 1: sp.S.Zero})
    assert solved.solve(0) is None
    with pytest.raises(ProofError):
        solved.prove(0)


@pytest.mark.parametrize("where", ["weight", "base"])
@pytest.mark.parametrize("name", TRIANGLES)
def test_induction_rejects_a_closed_form_wrong_by_a_thousandth(name, where, monkeypatch):
    A, solved = recurrence(name)
    right = solved.solve
    wrong = (
        (lambda i: right(i) * sp.Rational(1001, 1000))
        if where == "base"
        else (lambda i: right(i) + PowerDD(j, 1, 2) * A[0, 1] / 1000 if i == 0 else right(i) * sp.Rational(1001, 1000))
    )
    object.__setattr__(solved, "solve", wrong)
    with pytest.raises(ProofError):
        solved.prove(0)
