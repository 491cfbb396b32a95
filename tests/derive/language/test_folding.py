"""Products of functions of one argument are one function: the same values, derivatives that exist, one name."""

import pytest
import sympy as sp

from wideproof.derive import Recursion, leaky_relu, sigmoid, step, tanh
from wideproof.derive.language.activations import Phi, definition, family_of, is_lipschitz, product_name
from wideproof.derive.language.folding import folded

R = Recursion("r")
W, V, F, h = R.matrix("W"), R.matrix("V"), R.input_map("F"), R.state("h")
Z1 = W @ h + F @ R.x
A, Y = sp.Symbol("a"), V @ h
FOLDS = {
    "z tanh": (Z1 * tanh(Z1), 1),
    "written out": (sp.expand(Z1 * step(Z1)), 1),
    "twice": (2 * Z1 * tanh(Z1), 1),
    "half": ((W @ h / 2 + F @ R.x / 2) * tanh(Z1), 1),
    "square": (tanh(Z1) ** 2, 1),
    "cube": (tanh(Z1) ** 3, 1),
    "power of z": (Z1**2 * tanh(Z1), 1),
    "two activations": (tanh(Z1) * sigmoid(Z1), 1),
    "gate of itself": ((1 - sigmoid(Z1)) * sigmoid(Z1), 2),
    "affine": ((1 - A * Z1) * tanh(Z1), 2),
    "square of a sum": ((Z1 + tanh(Z1)) ** 2, 2),
    "family": (leaky_relu(Z1) * Z1, 1),
    "beside a state": (A * h * tanh(Z1) ** 2, 1),
    "beside a gate": (tanh(Z1) ** 2 * sigmoid(Y), 2),
    "in a sum": (h / 2 + Z1 * tanh(Z1) - 3 * Z1 * sigmoid(Z1), 2),
    "inside": (tanh(h * tanh(h)), 2),
}
KEPT = [tanh(Z1), Z1**2, Z1 * tanh(Y), tanh(Z1) * tanh(Z1 + 1), sigmoid(Y) * h + (1 - sigmoid(Y)) * tanh(Z1),
        tanh(Z1) + tanh(Y) * h, (h + tanh(Z1)) * sigmoid(Z1), Z1, sp.S.Zero]  # fmt: skip


def plainly(expr):
    """Activations replaced by their definitions."""
    while expr.has(Phi):
        expr = expr.replace(
            Phi, lambda name, order, at: definition(str(name), int(order)).subs(sp.Symbol("z", real=True), at)
        )
    return expr


@pytest.mark.parametrize("case", FOLDS)
def test_a_product_of_functions_of_one_argument_is_one_function(case):
    expr, count = FOLDS[case]
    found = folded(expr)
    assert len(found.atoms(Phi)) == count
    assert not any(p.is_Pow and p.base.has(Phi) for p in sp.preorder_traversal(found))
    for x, y, s in ((1.3, 0.4, 0.7), (0.2, 2.0, -0.5)):
        at = {W @ h: sp.Float(x), F @ R.x: sp.Float(y), V @ h: sp.Float(s), h: sp.Float(s), A: sp.Float(0.3)}
        left, right = (sp.N(plainly(e).subs(at)) for e in (expr, found))
        assert abs(left - right) < 1e-12
        assert abs(1.001 * left - right) > 1e-12


@pytest.mark.parametrize("expr", KEPT, ids=str)
def test_other_expressions_are_kept(expr):
    assert folded(expr) == expr


def test_the_order_of_factors_has_no_say():
    assert folded(Z1 * tanh(Z1) * sigmoid(Z1)) == folded(sigmoid(Z1) * folded(tanh(Z1) * Z1))
    assert product_name([("tanh", 1), ("z", 2)]) == product_name([("z^2*tanh", 1)]) == "z^2*tanh"
    assert str(folded(Z1**2 * tanh(Z1))) == "(z^2*tanh)(F@x + W@h)"


def test_a_product_is_as_tame_as_it_is():
    z = sp.Symbol("z", real=True)
    assert definition("z*leaky_relu(1/5)^2") == z * definition("leaky_relu(1/5)") ** 2
    assert family_of("z*leaky_relu(1/5)") == ("z*leaky_relu(1/5)", ())
    tame = {"z*tanh": True, "z*step": True, "tanh^2": True, "sign*tanh": True}
    tame |= {"z^2*tanh": False, "z*sin": False, "step*sign": False}
    assert {name: is_lipschitz(name) for name in tame} == tame
    assert definition("z*step", 1) == sp.Heaviside(z)


@pytest.mark.parametrize(
    "expr", [Z1 / tanh(sp.pi), Z1 / tanh(sp.Integer(2)) + Y, tanh(sp.pi) ** -2 * tanh(Z1), 1 / tanh(sp.pi)]
)
def test_an_activation_of_a_number_is_a_number(expr):
    """Its reciprocal was folded for ever."""
    assert sp.simplify(folded(expr) - expr) == 0
