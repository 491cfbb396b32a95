"""Certificates as coqc reads them: each kind of step is accepted, and one that is altered is refused."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace

import pytest
import sympy as sp

from wideproof.derive import (
    Recursion,
    adjoint,
    impulse_response,
    memory,
    models,
    moments,
    nngp,
    ntk,
    realization,
    refuted_bounds,
    scale_factor_bound,
    scale_factor_peak,
    scale_factors,
    stability,
    tanh,
    training_bound,
)
from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.calculus import tangent
from wideproof.derive.certificate.certificate import certify
from wideproof.derive.certificate.coqc import check
from wideproof.derive.certificate.lemmas import Exporter
from wideproof.derive.language.errors import NotCertified
from wideproof.derive.language.notation import T, j, n, parameter
from wideproof.derive.linear.gradient_descent import ETA
from wideproof.derive.proof.rules import Rule

NU_W = parameter("nu_W")
coqc = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed: the file cannot be checked")


def with_claim(proof, rule, change, which=-1):
    """The proof with the claim of one step by a rule altered, and nothing else."""
    index = [i for i, step in enumerate(proof.steps) if step.rule == rule][which]
    claim = change(proof.steps[index].claim)
    assert claim != proof.steps[index].claim
    steps = tuple(replace(step, claim=claim) if i == index else step for i, step in enumerate(proof.steps))
    return replace(proof, goal=steps[-1].claim, steps=steps)


def right(change):
    return lambda claim: replace(claim, right=change(claim.right))


@coqc
@pytest.mark.parametrize(
    ("model", "quantity"),
    [("linear_rnn", "ntk"), ("stacked", "equivalent_convolution"), ("skip", "impulse_response"), ("untied", "ntk")],
)
def test_coqc_accepts_what_is_derived(model, quantity, derived):
    found = check(certify(derived(model, quantity).proof))
    assert (found.verdict, found.reason) == ("holds", "")
    assert "emami2021implicit_lemma_C1" in found.assumed
    assert {axiom.split(".")[0] for axiom in found.axioms} <= {"ClassicalDedekindReals", "FunctionalExtensionality"}


@coqc
@pytest.mark.parametrize(
    "make",
    [scale_factor_bound, scale_factor_peak, lambda rnn: refuted_bounds(rnn)[1]],
    ids=["bound", "peak", "refuted"],
)
def test_coqc_accepts_bounds_peaks_and_counter_examples(make):
    assert check(certify(make(models.linear_rnn()).proof)).verdict == "holds"


def at_equal_lags(member):
    return (*member[:2], "=", member[3])


MUTANTS = {
    "coefficient": ("covariance", right(lambda side: side * sp.Rational(1001, 1000))),
    "index": ("induction", right(lambda side: side.subs(j, j + 1))),
    "sign": ("weight", right(lambda side: side - 2 * side.args[0])),
    "dropped": ("no-coupling", right(lambda side: sp.expand(side) - sp.expand(side).args[0])),
    "node": ("induction", right(lambda side: side.replace(PowerDD, lambda lag, a, b: PowerDD(lag, a, b, a)))),
    "zero": ("zero-moments", lambda claim: replace(claim, members=(*claim.members, at_equal_lags(claim.members[0])))),
    "bound": ("bound-sharp", right(lambda side: side.subs(T, T - 1))),
    "tight": ("bound-sharp", right(lambda side: side * sp.Rational(999, 1000))),
}  # fmt: skip


@coqc
@pytest.mark.parametrize("name", MUTANTS)
def test_coqc_refuses_an_altered_step(name):
    rule, change = MUTANTS[name]
    proof = scale_factor_bound(models.linear_rnn()).proof
    found = check(certify(with_claim(proof, rule, change)))
    assert found.verdict == "refuted"
    lemma = found.reason.partition(":")[0]
    assert lemma.startswith(rule.replace("-", "_")), found.reason


@coqc
def test_every_parameter_may_be_drawn_afresh_at_each_step():
    rnn = models.elman("identity", bias=False, tied=False)
    assert check(certify(impulse_response(rnn).proof)).verdict == "holds"


@coqc
def test_an_altered_covariance_of_activations_is_refused():
    proof = nngp(models.elman("erf")).proof
    assert check(certify(proof)).verdict == "holds"
    altered = with_claim(proof, "covariance", right(lambda side: side.subs(NU_W, NU_W * sp.Rational(1001, 1000))))
    assert check(certify(altered)).reason.startswith("covariance_h_h")


@coqc
def test_an_altered_mean_of_derivatives_of_activations_is_refused():
    proof = ntk(models.elman("erf", bias=False)).proof
    found = check(certify(proof))
    assert (found.verdict, found.reason) == ("holds", "")
    assert {"stein1981estimation_twice", "emami2021implicit_lemma_B1_chain"} <= set(found.assumed)
    altered = with_claim(proof, "covariance", right(lambda side: side - side.args[0] / 1000), which=1)
    assert check(certify(altered)).reason.startswith("covariance_δh_h")


@coqc
def test_activations_of_one_argument_are_added_and_multiplied_by_numbers():
    rnn = Recursion("sum")
    W, F, C, h = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C"), rnn.state("h")
    z = W @ h + F @ rnn.x
    rnn.update(h, z + 2 * tanh(z))
    rnn.output(C @ h)
    assert check(certify(nngp(rnn).proof)).verdict == "holds"


@coqc
def test_moments_at_finite_width_are_counted_in_the_file():
    assert check(certify(moments(models.linear_rnn(), lags=(0, 1, 1, 2)).proof)).verdict == "holds"
    proof = moments(models.linear_rnn(), lag=2).proof
    found = check(certify(proof))
    assert (found.verdict, found.lemmas) == ("holds", 2)
    assert {"isserlis1918formula", "stein1981estimation"} <= set(found.assumed)
    for rule in ("loop-equations", "readout-pairings"):
        altered = with_claim(proof, rule, right(lambda side: side + side.subs(n, 1) / 1000))
        assert check(certify(altered)).reason.startswith(rule.replace("-", "_"))


TRAINING = {
    "residual-step": right(lambda side: side.subs(ETA, ETA * sp.Rational(1001, 1000))),
    "blocks": right(lambda side: side * sp.Rational(1001, 1000)),
    "contraction": right(lambda side: side * sp.Rational(999, 1000)),
    "step-bound": right(lambda side: side * sp.Rational(999, 1000)),
    "movement": right(lambda side: side * sp.Rational(999, 1000)),
    "slow-lags": lambda claim: replace(claim, left=claim.left * sp.Rational(1001, 1000)),
}  # fmt: skip


@coqc
def test_the_inequalities_of_gradient_descent_hold():
    bound = training_bound(models.linear_rnn())
    assert check(certify(bound.steps.proof)).verdict == "holds"
    assert check(certify(bound.trajectory.proof)).verdict == "holds"


@coqc
@pytest.mark.parametrize("rule", ["residual-step", "movement"])
def test_an_altered_step_of_gradient_descent_is_refused(rule):
    proof = training_bound(models.linear_rnn()).steps.proof
    assert check(certify(with_claim(proof, rule, TRAINING[rule]))).reason.startswith(rule.replace("-", "_"))


@coqc
def test_every_convolution_is_a_recursion_by_the_standard_library_alone():
    proof = realization([1, 2, 3]).proof
    found = check(certify(proof))
    assert found.verdict == "holds"
    assert set(found.assumed) == {"node", "nodes_differ", "target"}
    for rule in ("interpolation", "vandermonde"):
        altered = with_claim(proof, rule, right(lambda side: side * sp.Rational(1001, 1000)))
        assert check(certify(altered)).reason.startswith(rule)


@coqc
def test_gradients_by_the_adjoint_are_the_change_of_the_cost():
    proof = adjoint(models.elman("erf")).proof
    found = check(certify(proof))
    assert (found.verdict, found.reason) == ("holds", "")
    assert {"transposed", "emami2021implicit_lemma_B1_chain"} <= set(found.assumed)
    for rule in ("cotangent", "gradient"):
        altered = with_claim(proof, rule, right(lambda side: side * sp.Rational(1001, 1000)))
        assert check(certify(altered)).reason.startswith("adjoint")


@coqc
def test_the_maps_of_memory_and_their_slope_hold():
    found = check(certify(memory(models.elman("erf")).proof))
    assert (found.verdict, found.reason) == ("holds", "")
    assert {"price1958useful", "dual_activation"} <= set(found.assumed)
    assert check(certify(memory(models.linear_rnn()).proof)).verdict == "holds"


@coqc
@pytest.mark.parametrize("rule", ["correlation-slope", "memory-horizon"])
def test_an_altered_map_of_memory_is_refused(rule):
    altered = with_claim(memory(models.linear_rnn()).proof, rule, right(lambda side: side * sp.Rational(1001, 1000)), 0)
    assert check(certify(altered)).reason.startswith(rule.replace("-", "_"))


@coqc
def test_the_law_of_the_perturbation_is_not_read_from_the_engine(monkeypatch):
    made = tangent._Perturbation._delta
    rnn = Recursion("doubled")
    W, F, C, h = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C"), rnn.state("h")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    monkeypatch.setattr(tangent._Perturbation, "_delta", _doubled(made))
    assert check(certify(scale_factors(rnn).proof)).verdict == "refuted"


def _doubled(made):
    def delta(self, parameter):
        if parameter not in self.parameters:
            plain = made(self, parameter)
            self.parameters[parameter] = replace(plain, variance=2 * plain.variance)
        return self.parameters[parameter]

    return delta


def test_the_text_is_readable_and_complete(derived):
    proof = derived("linear_rnn", "scale_factors").proof
    text = proof.coq()
    assert text == certify(proof).text
    for index, step in enumerate(proof.steps):
        assert (f"(* Step {index}, {step.rule} [" in text) == (step.rule in Exporter.registry), step.rule
    assert not re.search(r"\b(admit|Admitted|Axiom|Parameter)\b", text)
    assert "Print Assumptions" in text


def test_letters_of_a_user_do_not_meet_words_of_coq():
    rnn = Recursion("words")
    W, F, C = rnn.matrix("S", "E"), rnn.input_map("O", "forall"), rnn.readout("delta", "rho")
    h = rnn.state("before")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    text = scale_factors(rnn).proof.coq()
    assert "Variable forall_ : R." in text
    assert "Inductive parameter := S_ | O_ | delta_" in text


@coqc
def test_letters_of_a_user_do_not_meet_facts_inside_proofs():
    rnn = Recursion("facts")
    W, F, C, h = rnn.matrix("A0", "known"), rnn.input_map("F", "first"), rnn.readout("C", "power"), rnn.state("h")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    assert check(certify(scale_factors(rnn).proof)).verdict == "holds"


def test_a_step_that_is_not_covered_is_named():
    with pytest.raises(NotCertified, match=r"step \d+ \(transition\)"):
        stability(models.leaky("identity")).proof.coq()
    rnn = Recursion("off-centre")
    h = rnn.state("h")
    rnn.update(h, rnn.matrix("W", "nu_W") @ h + rnn.bias("b", "nu_b", mean="mu"))
    rnn.output(rnn.readout("C", "nu_C") @ h)
    proof = nngp(rnn).proof
    with pytest.raises(NotCertified, match="biases of mean zero"):
        proof.coq()


def test_every_exporter_is_of_a_rule():
    assert set(Exporter.registry) <= set(Rule.registry)
