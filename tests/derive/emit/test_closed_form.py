"""Closed forms in letters are the expectations: by quadrature over two Gaussian variables, with no row of the table."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from scipy import integrate

from wideproof.derive import NotClosed, define, memory, models, nngp, ntk, scale_factors
from wideproof.derive.emit.closed_form import ClosedForm
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.activations import Z, definition

LAWS = ((1.3, 0.4, 0.8), (0.6, -0.5, 0.9))
"""Var u, Cov(u, v), Var v."""


def expectation(functions, law):
    """E[f(u) g(v)] by polar coordinates, in which kinks and jumps at zero are rays: split there, smooth between."""
    first, between, second = law
    root = np.linalg.cholesky([[first, between], [between, second]])
    f, g = (
        sp.lambdify(Z, sp.diff(definition(str(name)), Z, int(order)), ["scipy", "numpy"]) for name, order in functions
    )
    rays = sorted(
        {*(np.pi * np.arange(5) / 2), *(np.arctan2(-root[1, 0], root[1, 1]) % np.pi + np.pi * k for k in (0, 1))}
    )

    def along(r, angle):
        u, v = r * (root @ [np.cos(angle), np.sin(angle)])
        return f(u) * g(v) * r * np.exp(-r * r / 2) / (2 * np.pi)

    return sum(integrate.dblquad(along, low, high, 0, 14, epsabs=1e-7)[0] for low, high in pairwise(rays))


def value(closed, node, equation, law):
    """A right side with its other terms as they are: linear in its one mean, so the mean is a difference of two."""
    letters = dict(zip(sp.symbols("a c b", real=True), law, strict=True))
    angle = sp.acos(law[1] / np.sqrt(law[0] * law[2]))
    numbers = {
        x: 0 for x in equation.right.atoms(sp.Expr) if x.is_Function and type(x).__module__.startswith("wideproof")
    }
    return float(equation.right.xreplace(numbers).xreplace({sp.Symbol("theta", real=True): angle} | letters))


@pytest.mark.parametrize(
    "name", ["relu", "erf", "step", "abs", "exp", "sin", "sign", "cos", "gaussian", "leaky_relu(1/5)"]
)
def test_a_closed_form_is_the_expectation(name):
    formula = nngp(models.elman(name)).formula
    closed = formula.closed()
    assert not any(e.right.has(GaussianMean) for e in closed.equations)
    (node,) = formula.recurrence.equations[-1].right.atoms(GaussianMean)
    for law in LAWS:
        want = expectation(node.args[0], law)
        got = value(closed, node, closed.equations[-1], law)
        assert got == pytest.approx(want, rel=1e-5, abs=1e-6)
        assert 1.001 * got != pytest.approx(want, rel=1e-5, abs=1e-6) or abs(want) < 1e-3


@pytest.mark.parametrize("name", ["relu", "erf", "abs", "sin"])
def test_slopes_of_the_tangent_kernel_too(name):
    formula = ntk(models.elman(name)).formula
    closed = formula.closed()
    slope = next(x for x in formula.recurrence.equations[-1].right.atoms(GaussianMean) if int(x.args[0][0][1]) == 1)
    (kappa,) = [law for law in closed.laws if str(law.left) == "kappa"]
    assert closed.equations[-1].right.coeff(kappa.left) != 0
    assert value(closed, slope, kappa, LAWS[0]) == pytest.approx(expectation(slope.args[0], LAWS[0]), rel=1e-5)


def test_they_look_like_textbooks():
    a, b, c, theta = sp.symbols("a b c theta", real=True)
    right = {name: nngp(models.elman(name)).formula.closed().equations[-1].right for name in ("erf", "relu", "step")}
    assert right["erf"].atoms(sp.asin) == {sp.asin(2 * c / (sp.sqrt(2 * a + 1) * sp.sqrt(2 * b + 1)))}
    assert sp.expand(right["relu"] - (sp.sqrt(a * b - c**2) + (sp.pi - theta) * c) / (2 * sp.pi)) == 0
    assert str(right["step"]) == "(pi - theta)/(2*pi)"
    laws = {str(law.left): law.right for law in nngp(models.elman("relu")).formula.closed().laws}
    assert list(laws) == ["theta", "a", "c", "b"]
    assert laws["theta"] == sp.acos(c / sp.sqrt(a * b))


def test_written_out_has_no_letters_and_latex_has_them():
    closed = ntk(models.elman("relu")).formula.closed()
    assert isinstance(closed, ClosedForm)
    assert not any(e.right.free_symbols & {law.left for law in closed.laws} for e in closed.written_out)
    assert r"\arccos" in closed.latex()
    assert r"\arcsin" in nngp(models.elman("erf")).formula.closed()._repr_latex_()
    assert repr(closed).startswith("ClosedForm(ntk of elman: ")


def test_several_laws_have_numbered_letters():
    closed = nngp(models.stacked(2, "erf")).formula.closed()
    assert {"a_1", "a_2", "c_1", "c_2"} <= {str(law.left) for law in closed.laws}


def test_one_expression_is_itself():
    found = scale_factors(models.linear_rnn()).formula
    assert found.closed().expr == found.expr.doit()
    assert not memory(models.elman("erf")).formula.closed().expr.has(GaussianMean)


@pytest.mark.parametrize("name", ["tanh", "silu"])
def test_what_is_not_elementary_is_refused_by_name(name):
    with pytest.raises(NotClosed, match=name):
        nngp(models.elman(name)).formula.closed()
    with pytest.raises(NotClosed, match="process"):
        nngp(models.gru()).formula.closed()


def test_polynomials_of_a_user_are_closed():
    define("cubic_h3", "z**3 - 3*z")
    a, b, c = sp.symbols("a b c", real=True)
    right = nngp(models.elman("cubic_h3")).formula.closed().equations[-1].right
    assert sp.expand(right.subs({a: 1, b: 1}) - 6 * c**3) == 0
