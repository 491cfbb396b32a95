"""Variances that are numbers: every quantity derives, verifies, and has the value that the symbol has there."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy as sp

from wideproof import derive
from wideproof.derive import (
    Equation,
    LanguageError,
    NotClosed,
    ParameterError,
    ProofError,
    Recursion,
    activation,
    memory,
    models,
    moments,
    nngp,
    ntk,
    refuted_bounds,
    scale_factor_bound,
    scale_factor_peak,
    scale_factors,
    training_bound,
)
from wideproof.derive.audit import audit_step, worlds
from wideproof.numeric import Kernel

NUMBERS = {
    "0": sp.S.Zero,
    "1/4": sp.Rational(1, 4),
    "1/3": sp.Rational(1, 3),
    "1/2": sp.S.Half,
    "1": sp.S.One,
    "2": sp.Integer(2),
    "sqrt(2)/2": sp.sqrt(2) / 2,
    "pi/4": sp.pi / 4,
}
APART = [name for name in NUMBERS if name != "1/3"]
"""Of the rationals below 1 whose root is irrational 1/2 alone."""
FORMS = ("sharp", "T-free", "paper", "uniform")
J = np.arange(9)
X = np.random.default_rng(5).standard_normal((2, 3, 2))


def linear(nu, others=1):
    r = Recursion("linear")
    W, F, C, h = r.matrix("W", nu), r.input_map("F", others), r.readout("C", others), r.state("h")
    r.update(h, W @ h + F @ r.x)
    r.output(C @ h)
    return r


def elman(name, nu, others=1):
    r = Recursion("elman")
    W, F, C, h = r.matrix("W", nu), r.input_map("F", others), r.readout("C", others), r.state("h")
    r.update(h, activation(name)(W @ h + F @ r.x + r.bias("b", nu)))
    r.output(C @ h)
    return r


@cache
def in_symbols(quantity):
    """A quantity of the linear recursion whose variances are symbols."""
    return getattr(derive, quantity)(linear("nu_W", "nu"))


@cache
def kernel_in_symbols(name):
    """The kernel of an Elman recursion whose variances are symbols; their numbers are given anew where it is used."""
    return Kernel(elman(name, "nu", "one"), nu=1.0, one=1.0)


@cache
def of_linear(quantity, nu, *options):
    """A quantity of the linear recursion whose variances are numbers; by many tests it is only read."""
    return getattr(derive, quantity)(linear(nu), *options)


def values(derivation, **at):
    return derivation.formula.compile()(**{k: v for k, v in at.items() if k in derivation.formula.symbols})


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("quantity", ["impulse_response", "scale_factors", "equivalent_convolution"])
@pytest.mark.parametrize("others", [1, sp.pi / 3])
def test_linear_quantities_have_the_value_of_the_symbol_there(number, quantity, others):
    nu = NUMBERS[number]
    found, symbolic = getattr(derive, quantity)(linear(nu, others)), in_symbols(quantity)
    found.proof.verify()
    assert list(found.formula.symbols) == ["j"]
    want = values(symbolic, j=J, nu_W=float(nu), nu=float(others))
    assert np.allclose(values(found, j=J), want, rtol=1e-13, atol=0)
    for lag in range(4):
        exact = symbolic.formula.expr.subs(symbolic.formula.symbols["j"], lag)
        exact = exact.subs({symbolic.formula.symbols["nu_W"]: nu, symbolic.formula.symbols["nu"]: others})
        here = found.formula.expr.subs(found.formula.symbols["j"], lag)
        assert abs(sp.N(here - exact, 30)) < 1e-25


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "quantity", ["nngp", "ntk", "state_evolution", "adjoint", "stability", "moments", "trajectory_gain"]
)
def test_every_other_linear_quantity_verifies(number, quantity):
    options = {"moments": {"lag": 2}}.get(quantity, {})
    getattr(derive, quantity)(linear(NUMBERS[number]), **options).proof.verify()


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("form", FORMS)
def test_bounds_verify_or_say_where_they_hold(number, form):
    nu = NUMBERS[number]
    outside = (nu == 0 and form != "uniform") or (nu > 1 and form != "sharp")
    if outside:
        with pytest.raises(ParameterError, match="factor per lag"):
            scale_factor_bound(linear(nu), form)
        return
    bound = scale_factor_bound(linear(nu), form)
    bound.proof.verify()
    rho = values(of_linear("scale_factors", nu), j=J)
    assert np.all(values(bound, j=J, T=10) >= rho * (1 - 1e-12))
    wrong = replace(bound.proof.goal, right=bound.proof.goal.right * sp.Rational(999, 1000))
    if form == "sharp":  # attained, so that 0.1 % less is false
        with pytest.raises(ProofError):
            audit_step(replace(bound.proof.steps[-1], claim=wrong), worlds(bound.program))


@pytest.mark.parametrize("number", APART)
def test_the_peak_the_refuted_readings_and_the_training_bound(number):
    nu = NUMBERS[number]
    if not 0 < nu < 1:
        with pytest.raises(ParameterError, match="factor per lag"):
            scale_factor_peak(linear(nu))
    else:
        found = scale_factor_peak(linear(nu))
        found.proof.verify()
        rho = values(of_linear("scale_factors", nu), j=J)
        peak = found.formula.expr.args[0] if found.formula.expr.func.__name__ == "Rho" else found.formula.expr
        assert rho[int(peak)] == pytest.approx(rho.max())
    if nu == 0 or nu > 1:
        with pytest.raises(ParameterError, match="factor per lag"):
            training_bound(linear(nu))
    else:
        training_bound(linear(nu)).proof.verify()
    if nu != 0:
        for refuted in refuted_bounds(linear(nu)):
            refuted.proof.verify()


@pytest.mark.parametrize("name", ["erf", "relu", "tanh"])
@pytest.mark.parametrize("number", APART)
def test_kernels_of_elman_have_the_value_of_the_symbol_there(number, name):
    nu = NUMBERS[number]
    ours, theirs = Kernel(elman(name, nu)), kernel_in_symbols(name)
    theirs.parameters = {"nu": float(nu), "one": 1.0}
    for quantity in (nngp, ntk):
        quantity(elman(name, nu)).proof.verify()
        found, want = (getattr(k, quantity.__name__)(X) for k in (ours, theirs))
        assert np.allclose(found, want, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("make", [linear, lambda nu: elman("erf", nu), lambda nu: elman("relu", nu)],
                         ids=["linear", "erf", "relu"])  # fmt: skip
def test_memory_verifies_or_says_why_there_is_none(number, make):
    nu, recursion = NUMBERS[number], make(NUMBERS[number])
    critical = (nu == 1 and recursion.name == "linear") or (nu == 2 and "relu" in str(recursion.program().updates))
    if nu == 0:
        with pytest.raises(NotClosed, match="feeds itself"):
            memory(recursion)
    elif critical:
        with pytest.raises(ParameterError, match="critical"):
            memory(recursion)
    else:
        memory(recursion).proof.verify()


def test_the_audit_tells_irrational_numbers_apart():
    """A claim that is wrong by 0.1 % is refused, also where its numbers are irrational."""
    for nu in (sp.sqrt(2) / 2, sp.pi / 4):
        proof = scale_factors(linear(nu)).proof
        drawn = worlds(proof.program)
        step = proof.steps[-1]
        assert isinstance(step.claim, Equation)
        audit_step(step, drawn)
        with pytest.raises(ProofError):
            audit_step(
                replace(step, claim=replace(step.claim, right=step.claim.right * sp.Rational(1001, 1000))), drawn
            )


def test_floats_stay_refused():
    for nu in (0.5, sp.Float(0.5), 0.5 * sp.pi):
        with pytest.raises(LanguageError, match=r"Rational|Fraction"):
            linear(nu)


def test_a_coefficient_beside_a_symbol_is_a_node_too():
    """W / 2 and a number beside a symbol: (nu_W/4)^j is not written in two ways."""
    r = Recursion("halved")
    W, F, C, h = r.matrix("W", "nu_W"), r.input_map("F"), r.readout("C"), r.state("h")
    r.update(h, W @ h / 2 + F @ r.x)
    r.output(C @ h)
    rho = scale_factors(r)
    rho.proof.verify()
    want = values(scale_factors(models.linear_rnn()), j=J, nu_W=0.3 / 4, nu_F=1.0, nu_C=1.0)
    frozen_part = np.where(J > 0, J * (0.3 / 4) ** np.maximum(J - 1, 0), 0.0)  # dW enters halved: a quarter
    assert np.allclose(values(rho, j=J, nu_W=0.3), want - 0.75 * frozen_part, rtol=1e-13)
    for form in FORMS:
        scale_factor_bound(r, form).proof.verify()


def test_moments_take_irrational_variances():
    exact = moments(linear(sp.sqrt(2) / 2), lag=2, order=2)
    exact.proof.verify()
    assert values(exact, n=10.0) == pytest.approx(values(moments(linear("nu_W"), lag=2, order=2), n=10.0, nu_W=2**-0.5))
