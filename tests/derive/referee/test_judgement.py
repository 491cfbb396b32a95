"""The referee: rewritten formulas hold, and every one wrong in a coefficient, a sign or an index is refuted."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
import sympy as sp

import wideproof as wp
from wideproof.derive import LanguageError, NotLinear, ParameterError, ProofError, models
from wideproof.derive.proof.claims import Agreement, Refutation

LINEAR = models.linear_rnn()
RHO = "nu_W**j*(nu_C + nu_F) + j*nu_C*nu_F*nu_W**(j - 1)"
KERNEL = "sum((nu_W**i*(nu_C + nu_F) + i*nu_C*nu_F*nu_W**(i - 1))*X(t - i, s - i), i, 0, min(t, s))"
SHARP = "nu_W**(j - 1)*(nu_W*(nu_C + nu_F) + (T - 1)*nu_C*nu_F)"
TRUE = {
    "scale-factors": (
        RHO,
        "nu_C*nu_W**j + nu_F*nu_W**j + nu_C*nu_F*j*nu_W**j/nu_W",
        "nu_W**(j - 1)*(nu_W*nu_C + nu_W*nu_F + j*nu_C*nu_F)",
        "nu_W**j*(nu_C + nu_F) + nu_C*nu_F*sum(nu_W**i*nu_W**(j - 1 - i), i, 0, j - 1)",
        "nu_W**j*(nu_C + nu_F) + nu_C*nu_F*sum(nu_W**(j - 1), m, 1, j)",
        "(nu_C*nu_F)*((nu_W**j)/nu_C + (nu_W**j)/nu_F + j*nu_W**j*nu_W**(-1))",
        "2*(0.5*nu_W**j*(nu_C + nu_F) + j*nu_C*nu_F*nu_W**(j - 1)/2)",
    ),
    "impulse-response": ("nu_C*nu_F*nu_W**j", "nu_C*nu_F*sqrt(nu_W)**(2*j)", "nu_F*nu_W**(j + 2)*nu_C/nu_W**2"),
    "equivalent-convolution": (f"sqrt({RHO})", "nu_W**(j/2)*sqrt(nu_C + nu_F + j*nu_C*nu_F/nu_W)"),
    "nngp": (
        "nu_C*nu_F*sum(nu_W**i*X(t - i, s - i), i, 0, min(t, s))",
        "sum(nu_C*nu_F*nu_W**k*X(t - k, s - k), k, 0, t)",
    ),
    "ntk": (
        KERNEL,
        "(nu_C + nu_F)*sum(nu_W**i*X(t - i, s - i), i, 0, s)"
        "+ nu_C*nu_F*sum(j*nu_W**(j - 1)*X(t - j, s - j), j, 0, min(s, t))",
    ),
    "stability": ("sqrt(nu_W)", "nu_W**(1/2)"),
    "memory": ("-1/log(nu_W)", "1/log(1/nu_W)"),
    "scale-factor-peak": ("max(0, ceiling(nu_W/(1 - nu_W) - nu_W/nu_C - nu_W/nu_F))",),
    "training-bound": (f"2*eta*l*norm_j*residual*({RHO})",),
    "scale-factor-bound": (
        SHARP,
        "nu_W**(j - 1)*(nu_C + nu_F + T*nu_C*nu_F)",
        "nu_C + nu_F + T*nu_C*nu_F",
        f"1.001*({SHARP})",
        "nu_C + nu_F + (T + 1)*nu_C*nu_F",
    ),
}


@pytest.mark.parametrize(("quantity", "formula"), [(q, text) for q, texts in TRUE.items() for text in texts])
def test_a_true_formula_holds_with_a_proof(quantity, formula):
    found = wp.check(LINEAR, quantity, formula)
    assert (found.verdict, found.point) == ("holds", None)
    found.verify()


@cache
def derived(quantity):
    """What is derived for a quantity of the linear RNN, once."""
    return getattr(wp, quantity.replace("-", "_"))(LINEAR)


def mutants(text):
    """Each coefficient a thousandth larger, each sign turned, each whole number one larger, each lag one later."""
    for symbol in re.finditer(r"nu_\w|\bj\b|\bi\b(?!,)", text):
        yield f"{text[: symbol.start()]}(1.001*{symbol[0]}){text[symbol.end() :]}"
    for sign in re.finditer(r" [+-] ", text):
        yield f"{text[: sign.start()]}{' - ' if '+' in sign[0] else ' + '}{text[sign.end() :]}"
    for number in re.finditer(r"(?<![\w.])\d+", text):
        yield f"{text[: number.start()]}{int(number[0]) + 1}{text[number.end() :]}"
    for lag in re.finditer(r"\b[ij]\b(?!,)", text):
        yield f"{text[: lag.start()]}({lag[0]} + 1){text[lag.end() :]}"
    for power in re.finditer(r"\*\*", text):
        yield f"{text[: power.start()]}*{text[power.end() :]}"


MUTATED = [("scale-factors", RHO), ("impulse-response", "nu_C*nu_F*nu_W**j"), ("stability", "sqrt(nu_W)"),
           ("equivalent-convolution", f"sqrt({RHO})"), ("memory", "-1/log(nu_W)"),
           ("nngp", "nu_C*nu_F*sum(nu_W**i*X(t - i, s - i), i, 0, min(t, s))")]  # fmt: skip


@pytest.mark.parametrize(("quantity", "mutant"), [(q, m) for q, text in MUTATED for m in mutants(text)])
def test_a_mutant_is_refuted_with_numbers(quantity, mutant):
    found = wp.check(derived(quantity), quantity, mutant)
    assert found.verdict == "refuted"
    assert found.values[0] is None or found.values[0] != found.values[1]
    assert isinstance(found.proof.goal, Refutation)


def test_there_are_dozens_of_mutants():
    assert len([m for _, text in MUTATED for m in mutants(text)]) > 50


@pytest.mark.parametrize(
    ("formula", "point", "sentence"),
    [
        (RHO.replace("j*nu_C", "(j + 1)*nu_C"), {"j": 0}, "Formula minus derived: nu_C*nu_F*nu_W**(j - 1)."),
        (f"2*({RHO})", {"j": 0}, "The formula is 2 times the derived one, everywhere."),
        (f"nu_W*({RHO})", {"j": 0}, "The formula is nu_W times the derived one, everywhere."),
        (RHO.replace("j", "(j + 1)"), {"j": 0}, "The formula at lag j is the derived one at lag j + 1."),
        (RHO.replace("j", "(j - 1)"), {"j": 0}, "The formula at lag j + 1 is the derived one at lag j."),
        (f"{RHO} + 0**j", {"j": 0}, "The two agree at every lag from 1 on."),
        (RHO.replace("- 1", ""), {"j": 1}, "The two agree at lag 0."),
        (RHO.replace("nu_C + nu_F", "2*nu_C"), {"j": 0}, "The two agree where nu_C = nu_F."),
        ("nu_W**j*nu_C + j*nu_C*nu_W**(j - 1)", {"j": 0}, "The formula does not contain nu_F."),
        (f"{RHO} + j*(j - 1)*(j - 2)*nu_C", {"j": 3}, "The two agree at lags 0 to 2."),
        (f"{RHO} + max(0, j - 20)", {"j": 35}, "Formula minus derived: Max(0, j - 20)."),
        (f"{RHO} + 10**(-60)", {"j": 0}, f"Formula minus derived: 1/{10**60}."),
    ],
)
def test_where_and_how_a_formula_differs(formula, point, sentence):
    found = wp.check(LINEAR, "scale-factors", formula)
    assert found.verdict == "refuted"
    assert {name: found.point[name] for name in point} == point
    assert sentence in found.findings
    found.verify()


def test_a_missing_value_at_a_lag_refutes_and_at_a_variance_of_zero_is_a_limit():
    found = wp.check(LINEAR, "scale-factors", RHO.replace("j*nu_C", "(j**3 - 3*j**2)/(j*(j - 3))*nu_C"))
    assert (found.verdict, found.values[0]) == ("refuted", None)
    found.verify()
    assert wp.check(LINEAR, "scale-factors", RHO).findings == (
        "At nu_W = 0, j = 0 the formula has no value of its own: read it as a limit.",
    )
    jump = wp.check(LINEAR, "scale-factors", f"{RHO} + 0**nu_W")  # right but at nu_W = 0
    assert (jump.verdict, jump.point["nu_W"]) == ("refuted", 0)


def test_numbers_for_symbols_are_exact():
    formula = "2*nu_W**j + j*nu_W**(j - 1)"
    assert wp.check(LINEAR, "scale-factors", formula).verdict == "refuted"
    found = wp.check(LINEAR, "scale-factors", formula, nu_F=1, nu_C=1)
    assert found.verdict == "holds"
    found.verify()
    wrong = wp.check(LINEAR, "scale-factors", formula, nu_F=1, nu_C=Fraction(1001, 1000))
    assert wrong.verdict == "refuted"
    wrong.verify()
    numbers = models.linear_rnn()
    assert (
        wp.check(numbers, "scale-factors", "2/2**j + j*2/2**j", nu_F=1, nu_C=1, nu_W=Fraction(1, 2)).verdict == "holds"
    )
    with pytest.raises(LanguageError, match="exact"):
        wp.check(LINEAR, "scale-factors", formula, nu_F=0.5)
    with pytest.raises(ParameterError, match="nu_X"):
        wp.check(LINEAR, "scale-factors", formula, nu_X=1)
    with pytest.raises(ParameterError, match="at least 0"):
        wp.check(LINEAR, "scale-factors", formula, nu_F=-1)


def test_readings_of_the_paper_s_bound():
    for text in ("nu_W**j*(nu_C + nu_F + T*nu_C*nu_F)", "nu_W**j*rho_max", "nu_W**(j - 1)*rho_max",
                 f"0.999*({SHARP})", "nu_C + nu_F + (T - 2)*nu_C*nu_F"):  # fmt: skip
        found = wp.check(LINEAR, "scale-factor-bound", text)
        assert (found.verdict, found.values[0] < found.values[1]) == ("refuted", True)
        assert found.point["j"] < found.point["T"]
        found.verify()


def test_a_bound_that_is_not_attained_refutes_nothing():
    found = wp.check(LINEAR, "training-bound", f"eta*l*norm_j*residual*({RHO})/2")
    assert (found.verdict, found.proof) == ("undecided", None)
    assert "may not be attained" in found.reason
    with pytest.raises(ProofError, match="undecided"):
        found.verify()


def delayed():
    """Two states that feed each other: lags have parities, and no closed form is derived."""
    rnn = wp.Recursion("delayed")
    W, V = rnn.matrix("W", "nu_W"), rnn.matrix("V", "nu_V")
    F, C = rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
    g, h = rnn.state("g"), rnn.state("h")
    rnn.update(g, W @ h + F @ rnn.x)
    rnn.update(h, V @ g)
    rnn.output(C @ h)
    return rnn


def test_a_closed_form_is_proved_where_only_a_recurrence_is_derived():
    power, odd = "(nu_V*nu_W)**((j - 1)/2)", "(1 - (-1)**j)/2"
    law = f"nu_C*nu_F*nu_V*{power}*{odd}"
    weights = "((j + 1)/2*nu_C*nu_F + (j - 1)/2*nu_C*nu_F*nu_V/nu_W + nu_C*nu_V + nu_F*nu_V)"
    for quantity, formula in (("impulse-response", law), ("scale-factors", f"{power}*{weights}*{odd}")):
        found = wp.check(delayed(), quantity, formula)
        assert (found.verdict, found.derived) == ("holds", None)
        found.verify()
        for wrong in (f"1.001*{formula}", formula.replace("1 - (", "1 + ("), formula.replace("j - 1", "j + 1")):
            refuted = wp.check(delayed(), quantity, wrong)
            assert refuted.verdict == "refuted"
            refuted.verify()


def test_other_models_and_parts():
    chi = "4*nu_W/(pi*sqrt(1 + 4*(X*nu_F + nu_W*q + nu_b)))"
    for of, quantity, formula in (
        (models.deep_linear(), "scale-factors", "0**j*(nu_C*nu_F + nu_C*nu_W + nu_F*nu_W)"),
        (models.elman(activation="erf"), "memory.chi", chi),
        (models.elman(activation="erf"), "memory", f"-1/log({chi})"),
        (wp.moments(LINEAR, lag=2), "moments", "nu_C*nu_F*nu_W**2*(1 + 2/n**2)"),
        (wp.trajectory_gain(LINEAR), "trajectory-gain", "(1 - (1 - eta*sigma)**l)/(eta*sigma)"),
        (models.elman("identity", bias=False, tied=False), "ntk", KERNEL.replace("X(", "delta(t, s)*X(")),
    ):
        found = wp.check(of, quantity, formula)
        assert found.verdict == "holds", formula
        found.verify()
    assert wp.check(wp.moments(LINEAR, lag=2), "moments", "nu_C*nu_F*nu_W**2").point["n"] == 1
    wrong = wp.check(models.elman(activation="erf"), "memory.chi", chi.replace("1 + 4", "1.001 + 4"))
    assert wrong.verdict == "refuted"
    wrong.verify()


def test_what_has_no_closed_form_is_undecided_with_a_way_out():
    found = wp.check(models.elman(activation="tanh"), "nngp", "nu_C")
    assert found.verdict == "undecided"
    assert "wideproof.Kernel" in found.reason
    assert wp.check(LINEAR, "adjoint", "nu_C").verdict == "undecided"
    assert "no difference at" in wp.check(LINEAR, "stability", "sqrt(nu_W) + min(0, 9 - nu_W)").reason
    with pytest.raises(NotLinear):
        wp.check(models.elman(), "scale-factors", "nu_C")


def test_names_of_quantities():
    assert wp.check(LINEAR, "scale_factors", RHO).verdict == "holds"
    assert wp.check(wp.scale_factors(LINEAR), "scale-factors", RHO).verdict == "holds"
    with pytest.raises(ParameterError, match="Did you mean scale-factors"):
        wp.check(LINEAR, "scale-factor", RHO)
    with pytest.raises(ParameterError, match="derivation's"):
        wp.check(wp.scale_factors(LINEAR), "nngp", RHO)
    with pytest.raises(ParameterError, match=r"memory\.chi"):
        wp.check(LINEAR, "memory.slop", "nu_W")


def test_a_verdict_that_was_altered_does_not_verify():
    """Each mutant of the goal is refused, by the replay of its rule and by the audit alone."""
    from wideproof.derive.audit import audit

    holds = wp.check(LINEAR, "scale-factors", RHO).proof
    refuted = wp.check(LINEAR, "scale-factors", f"1.001*({RHO})").proof
    bound = wp.check(LINEAR, "scale-factor-bound", f"1.001*({SHARP})").proof
    thousandth = sp.Rational(1001, 1000)
    for proof, formula in (
        (holds, holds.goal.question.formula * thousandth),
        (refuted, refuted.goal.question.formula / thousandth),
        (bound, bound.goal.question.formula / thousandth**2),
    ):
        goal = replace(proof.goal, question=replace(proof.goal.question, formula=formula))
        wrong = replace(proof, goal=goal, steps=(*proof.steps[:-1], replace(proof.steps[-1], claim=goal)))
        with pytest.raises(ProofError):
            wrong.verify()
        with pytest.raises(ProofError, match="audit"):
            audit(wrong)
    assert isinstance(holds.goal, Agreement)
