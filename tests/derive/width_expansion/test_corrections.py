"""Corrections of order 1/n against exact means at every width, networks that are drawn, and mistakes of 0.1 %."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy as sp

from tests import width_corrections
from tests.width_corrections import INPUTS, LAYERED, NU as CASE_NU, Case
from wideproof.derive import (
    KernelEntry,
    NotAccurate,
    NotClosed,
    ParameterError,
    ProofError,
    Recursion,
    ShapeError,
    activation,
    models,
    moments,
    nngp_correction,
    ntk_correction,
    ntk_mean,
    relu,
)
from wideproof.derive.audit.auditor import audit_step, highest_order, worlds
from wideproof.derive.language.notation import n, parameter
from wideproof.derive.proof.claims import Equation
from wideproof.derive.width_expansion import corrections

NU = {"nu_W": 1.5, "nu_F": 1.25, "nu_C": 0.75}


def square(z):
    return z**2


def layered(*functions):
    """A net without biases of these activations, variances nu_W and nu_F."""
    net = Recursion("layered")
    vector = net.input_map("F", "nu_F") @ net.x
    for i, phi in enumerate(functions):
        h = net.state(f"h_{i}")
        net.update(h, phi(vector))
        vector = net.matrix(f"W_{i}", "nu_W") @ h.next if i < len(functions) - 1 else net.readout("C", "nu_C") @ h
    net.output(vector)
    return net


def number(derivation, **values):
    value, error = derivation.formula.compile().with_error(**values)
    assert error < 1e-6 * (1 + abs(value))
    return value


def at_numbers(expr):
    return float(expr.subs({parameter(name): x for name, x in NU.items()}))


# ---- exact means at every width ----------------------------------------------------------------------
def test_squares_of_squares_have_the_moments_of_the_normal_law():
    G, W, C = NU["nu_F"], NU["nu_W"], NU["nu_C"]
    q, spread = 3 * G**2, 96 * G**4  # E z^4 and Var z^4
    two = number(nngp_correction(layered(square, square)), X=[[1.0]], **NU)
    three = number(nngp_correction(layered(square, square, square)), X=[[1.0]], **NU)
    assert two == pytest.approx(C * 3 * W**2 * spread, rel=1e-12)
    assert three == pytest.approx(C * 3 * W**6 * (96 * q**4 + 9 * 6 * q**2 * spread), rel=1e-12)


def test_the_tangent_kernel_of_squares_of_squares():
    G, W, C = NU["nu_F"], NU["nu_W"], NU["nu_C"]
    readout, second, first = 3 * W**2 * 96 * G**4, 4 * C * W * 96 * G**4, 4 * C * W**2 * (48 + 120) * G**3
    found = number(ntk_correction(layered(square, square)), X=[[1.0]], **NU)
    assert found == pytest.approx(readout + second + first, rel=1e-12)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_relu_layers_fluctuate_as_products_of_chi_squares(depth):
    """E Q^2 = q^2 (1 + 5/n)^depth of hanin2020finite, read by a square above the relus."""
    q = NU["nu_F"] / 2 * (NU["nu_W"] / 2) ** (depth - 1)
    found = number(nngp_correction(layered(*[relu] * depth, square)), X=[[1.0]], **NU)
    assert found == pytest.approx(NU["nu_C"] * 3 * NU["nu_W"] ** 2 * 5 * depth * q**2, rel=1e-9)
    if depth == 2:  # the mean of the tangent kernel is exact at every width
        assert abs(number(ntk_correction(layered(relu, relu)), X=[[1.0]], **NU)) < 1e-9


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_tied_linear_recursion_is_corrected_as_loop_equations_say(step):
    """W^2 does not vanish at finite width: E L_0 L_2 = nu_W nu_F nu_C / n."""
    rnn, total = models.linear_rnn(), sp.S.Zero
    for lag in range(step + 1):
        for other in range(step + 1):
            size = sp.Float(INPUTS[step - lag, step - other])
            total += size * sp.expand(moments(rnn, lags=(lag, other)).formula.expr).coeff(n, -1)
    assert number(nngp_correction(rnn, step), X=INPUTS, **NU) == pytest.approx(at_numbers(total), rel=1e-12)


def test_the_tangent_kernel_of_a_tied_linear_recursion_is_corrected_as_loop_equations_say():
    rnn, step, total = models.linear_rnn(), 2, sp.S.Zero
    for lag in range(step + 1):
        for other in range(step + 1):
            size = sp.Float(INPUTS[step - lag, step - other])
            total += size * sp.expand(ntk_mean(rnn, KernelEntry(lag, other)).formula.expr).coeff(n, -1)
    assert total != 0
    assert number(ntk_correction(rnn, step), X=INPUTS, **NU) == pytest.approx(at_numbers(total), rel=1e-12)


# ---- networks that are drawn -------------------------------------------------------------------------
@pytest.mark.parametrize("case", LAYERED, ids=str)
def test_layered_nets(case):
    found, stderr = case.measured(40_000)["nngp"]
    assert abs(found - case.derived("nngp")) < 3.5 * stderr
    if case == Case("tanh", 3):
        assert abs(found) > 5 * stderr  # a correction that leaves the curvature out, zero, is refuted


def test_a_tied_recursion_meets_its_own_past():
    """Where every step of a relu recursion draws its own weights, the NNGP variance has no correction."""
    case = Case("relu", step=2)
    value, stderr = case.measured(8_000)["nngp"]
    assert abs(value) > 4 * stderr
    assert abs(value - case.derived("nngp")) < 3.5 * stderr
    assert abs(number(nngp_correction(models.elman("relu", tied=False), 2), X=INPUTS, **CASE_NU)) < 1e-9


def test_the_tangent_kernel_of_a_tied_recursion():
    case = Case("tanh", step=1)
    value, stderr = case.measured(8_000)["ntk"]
    assert abs(value - case.derived("ntk")) < 3.5 * stderr


def test_the_table_of_the_documentation_is_printed(capsys, monkeypatch):
    monkeypatch.setattr(width_corrections, "LAYERED", [Case("tanh", 2)])
    monkeypatch.setattr(width_corrections, "TIED", [])
    assert width_corrections.main(["--trials", "2000"]) == 0
    assert "| tanh, depth 2 | ntk | 0.0141 |" in capsys.readouterr().out
    monkeypatch.setattr(Case, "derived", lambda case, quantity: 1e3)
    assert width_corrections.main(["--trials", "2000"]) == 1


# ---- proofs, and mistakes in them -----------------------------------------------------------------------
@cache
def proofs():
    return {
        "layers": nngp_correction(models.feed_forward(3, "tanh")),
        "tied": nngp_correction(models.elman("tanh"), 2),
        "kernel": ntk_correction(models.feed_forward(2, "tanh")),
    }


@pytest.mark.parametrize("name", ["layers", "tied", "kernel"])
def test_proofs_are_replayed_and_audited_and_a_mistake_of_a_tenth_of_a_percent_is_refused(name):
    proof = proofs()[name].proof
    proof.verify()
    drawn = worlds(proof.program, 1, highest_order(proof))
    wrong = 0
    for step in proof.steps:
        claim = step.claim
        if isinstance(claim, Equation) and step.rule.startswith("overlap") and claim.right != 0:
            altered = replace(step, claim=replace(claim, right=claim.right * sp.Rational(1001, 1000)))
            with pytest.raises(ProofError):
                audit_step(altered, drawn[:1])
            wrong += 1
    assert wrong >= 4


def test_each_term_of_the_shift_of_a_tied_recursion_is_needed():
    derivation = proofs()["tied"]
    steps = [x for x in derivation.proof.steps if x.rule == "overlap-shift" and isinstance(x.claim.right, sp.Add)]
    drawn = worlds(derivation.program, 1, highest_order(derivation.proof))
    for step in steps:
        for term in step.claim.right.args:
            with pytest.raises(ProofError):
                audit_step(replace(step, claim=replace(step.claim, right=step.claim.right - term)), drawn[:1])
    assert steps


def test_what_an_equation_leaves_out_is_missed():
    proof = proofs()["tied"].proof
    goal = replace(proof.goal, equations=proof.goal.equations[1:])
    with pytest.raises(ProofError):
        audit_step(replace(proof.steps[-1], claim=goal), worlds(proof.program, 1))


# ---- what is refused -----------------------------------------------------------------------------------
def test_recursions_without_a_correction_say_why():
    started = Recursion("started")
    h = started.state("h", initial="nu_0")
    started.update(h, activation("tanh")(started.matrix("W", "nu_W") @ h + started.input_map("F", "nu_F") @ started.x))
    started.output(started.readout("C", "nu_C") @ h)
    for make, what in (
        (lambda: nngp_correction(models.gru()), "Gaussian variables"),
        (lambda: nngp_correction(started), "start at zero"),
        (lambda: nngp_correction(models.bidirectional()), "sequence forwards"),
        (lambda: ntk_correction(models.elman("step")), "derivative is a function"),
    ):
        with pytest.raises(NotClosed, match=what):
            make()


@pytest.mark.parametrize("step", [-1, 1.5, True, "2"])
def test_a_step_is_a_whole_number(step):
    with pytest.raises(ParameterError, match="whole number"):
        nngp_correction(models.elman(), step)


def test_what_is_given_to_the_compiled_function_is_checked():
    derivation = nngp_correction(models.elman("tanh"), 1)
    nu = {**NU, "nu_b": 0.1}
    with pytest.raises(ParameterError, match="numpy"):
        derivation.formula.compile("cupy")
    call = derivation.formula.compile()
    with pytest.raises(ParameterError, match="Gram"):
        call(**nu)
    with pytest.raises(ShapeError, match="T >= 2"):
        call(X=[[1.0]], **nu)
    with pytest.raises(ShapeError, match="one number nu_W"):
        call(X=INPUTS, **nu | {"nu_W": [1.0, 2.0]})
    with pytest.raises(ParameterError, match="missing: nu_b"):
        call(X=INPUTS, **NU)
    assert call(X=INPUTS, **nu | {"nu_W": 0.0}) == 0.0  # nothing that is random is read again
    with pytest.raises(NotAccurate, match="singular"):
        call(X=np.zeros((2, 2)), **nu | {"nu_b": 0.0})


def test_progress_ends_at_the_number_of_steps_that_was_extrapolated(monkeypatch):
    monkeypatch.setattr(corrections, "SMALL", (1, 2, 3, 4))
    told = []
    found = nngp_correction(models.elman("erf", bias=False), step=5, progress=lambda *x: told.append(x))
    assert told[-1] == (len(found.proof.steps),) * 2
    assert abs(told[0][1] - told[-1][1]) <= 2
