"""Products of functions of one argument are one function: the same values, derivatives that exist, one name."""

import pytest
import sympy as sp

from wideproof.derive import (
    Alternating,
    Recursion,
    define,
    leaky_relu,
    memory,
    relu,
    scale_factors,
    sigmoid,
    stability,
    state_evolution,
    step,
    tanh,
)
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


AFFINE = {
    "leaky_relu(1)": (lambda z: leaky_relu(z, 1), 1),
    "define z": (define("plain_z", "z"), 1),
    "define 2 z": (define("twice_z", "2*z"), 2),
    "define a sum": (define("half_and_more", "z/2 + z + abs(z) - abs(z)"), sp.Rational(3, 2)),
}


def with_activation(phi):
    r = Recursion("with-activation")
    w, f, c, state = r.matrix("W", "nu_W"), r.input_map("F", "nu_F"), r.readout("C", "nu_C"), r.state("h")
    r.update(state, phi(w @ state + f @ r.x))
    r.output(c @ state)
    return r


@pytest.mark.parametrize("name", AFFINE)
def test_an_activation_that_is_linear_makes_a_linear_recursion(name):
    phi, slope = AFFINE[name]
    found, plain = with_activation(phi), with_activation(lambda z: slope * z)
    assert found.program().updates == plain.program().updates
    nu = found.program().symbols["nu_W"]
    assert stability(found).formula.expr == slope * sp.sqrt(nu)
    assert memory(found).formula.expr == -1 / sp.log(slope**2 * nu)
    assert memory(found).critical["nu_W"].formula.expr == sp.Rational(1) / slope**2
    assert scale_factors(found).formula.expr == scale_factors(plain).formula.expr


@pytest.mark.parametrize("phi", [relu, lambda z: leaky_relu(z, sp.Rational(999, 1000)), tanh, define("bent", "abs(z)")])
def test_what_has_a_kink_or_bends_stays_an_activation(phi):
    assert with_activation(phi).program().updates[0][1].has(Phi)


def test_an_affine_function_keeps_its_offset_and_its_place_in_products():
    offset = define("z_and_one", "2*z + 1")
    assert folded(offset(Z1)) == 2 * Z1 + 1
    assert sp.expand(folded(h * leaky_relu(Y, 1))) == sp.expand(h * Y)
    assert folded(tanh(offset(Y))) == tanh(2 * Y + 1)


def test_alternating_programs_write_linear_activations_out_and_fold_products():
    run = Alternating("alternating")
    a, x = run.matrix("A", "nu_A"), run.source("x", "n")
    line = a @ leaky_relu(x, 1)
    run.keep("folded", tanh(line) * line)
    program = run.program()
    assert program.lines[0][1].vector == x
    assert len(dict(program.vectors)["folded"].atoms(Phi)) == 1
    assert isinstance(dict(program.vectors)["folded"], Phi)
    state_evolution(run).proof.verify()


@pytest.mark.parametrize(
    "expr", [Z1 / tanh(sp.pi), Z1 / tanh(sp.Integer(2)) + Y, tanh(sp.pi) ** -2 * tanh(Z1), 1 / tanh(sp.pi)]
)
def test_an_activation_of_a_number_is_a_number(expr):
    """Its reciprocal was folded for ever."""
    assert sp.simplify(folded(expr) - expr) == 0
