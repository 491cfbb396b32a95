"""Expressions as functions of balls: they hold the exact value, say where they are not analytic, refuse the rest."""

import pytest
import sympy as sp
from flint import acb, arb, ctx

from wideproof.derive.algebra import ball_code
from wideproof.derive.algebra.ball_code import emitted
from wideproof.derive.language.activations import NAMES, Z, canonical, definition
from wideproof.derive.language.errors import NotClosed, ParameterError

MORE = (
    sp.log(1 + Z**2),
    sp.sqrt(2 + Z),
    (1 + Z**2) ** sp.Rational(1, 3),
    sp.atan(Z),
    2**Z,
    sp.E**Z * sp.pi,
    1 / (1 + Z**2),
)


@pytest.mark.parametrize("expr", [*(definition(canonical(name)) for name in NAMES), *MORE], ids=str)
def test_a_ball_holds_the_value_and_not_one_a_thousandth_off(expr):
    at = sp.Rational(13, 8)
    with ctx.workprec(120):
        found = acb(emitted([Z], expr)(acb(1.625), False)).real
        want = arb(str(sp.N(expr.subs(Z, at), 45)))
        assert found.overlaps(want)
        assert found.rad() < 1e-30
        assert want == 0 or not found.overlaps(want * 1.001)


@pytest.mark.parametrize(("expr", "box"), [
    (sp.log(Z), acb(arb(0, 1), 0)), (sp.sqrt(Z), acb(arb(0, 1), 0)), (sp.Max(Z, 0), acb(arb(0, 1), 0)),
    (sp.atan(Z), acb(arb(0, 1), arb(2, 1))), (sp.tanh(Z), acb(arb(0, 1), arb(1.5, 1))), (1 / Z, acb(arb(0, 1), 0)),
])  # fmt: skip
def test_what_is_not_analytic_on_the_ball_is_not_finite(expr, box):
    assert not acb(emitted([Z], expr)(box, True)).is_finite()
    assert acb(emitted([Z], expr)(acb(arb(3, 0.1), arb(0, 0.1)), True)).is_finite()


def test_dummies_and_lists_are_arguments_and_contents():
    x, y = sp.Dummy(real=True), sp.Symbol("nu_W")
    first, second = emitted([x, y], [sp.log(x * y), [x - y]])(acb(2), acb(3), False)
    assert first.real.contains(arb(6).log()) or first.real.overlaps(arb(6).log())
    assert second[0] == -1


def test_floats_are_the_exact_numbers_that_they_are():
    with ctx.workprec(120):
        assert acb(emitted([], sp.Float(0.1))(False)).real.overlaps(arb(0.1))
        assert not acb(emitted([], sp.Float(0.1))(False)).real.overlaps(arb(1) / 10)


@pytest.mark.parametrize("expr", [sp.gamma(Z), sp.DiracDelta(Z), sp.EulerGamma * Z])
def test_what_has_no_rule_is_refused(expr):
    with pytest.raises(NotClosed, match="ball arithmetic knows"):
        emitted([Z], expr)


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setattr(ball_code.importlib, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(ParameterError, match="pip install python-flint"):
        emitted([Z], Z)
