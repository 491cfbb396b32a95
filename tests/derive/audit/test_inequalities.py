"""The constants of training and of bounds: each term of each equation, each bound and each domain has a mutant."""

from dataclasses import replace
from functools import cache

import pytest
import sympy as sp

from wideproof.derive import (
    ProofError,
    flow_gain,
    models,
    momentum_flow_gain,
    momentum_gain,
    scale_factor_bound,
    stability,
    training_bound,
    trajectory_gain,
)
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.linear.momentum import ExpAtPair
from wideproof.derive.proof.claims import Equation, Inequality, MatrixEquation

THOUSANDTH = sp.Rational(1001, 1000)


@cache
def proofs():
    rnn = models.linear_rnn()
    bound = training_bound(rnn)
    found = {"movement": bound.proof, "trajectory": bound.trajectory.proof, "start": bound.start.proof}
    found |= {"steps": bound.steps.proof, "stability": stability(rnn).proof}
    found |= {f.__name__: f(rnn).proof for f in (trajectory_gain, momentum_gain, momentum_flow_gain, flow_gain)}
    return found | {form: scale_factor_bound(rnn, form).proof for form in ("sharp", "T-free", "paper", "uniform")}


NAMES = (
    "movement", "trajectory", "start", "steps", "stability", "trajectory_gain", "momentum_gain", "momentum_flow_gain",
    "flow_gain", "sharp", "T-free", "paper", "uniform",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_term_of_every_equation_matters(name):
    proof = proofs()[name]
    drawn = worlds(proof.program)
    for step in proof.steps:
        if isinstance(step.claim, Equation | MatrixEquation) and step.claim.right != 0:
            for term in sp.Add.make_args(step.claim.right):
                wrong = replace(step.claim, right=step.claim.right + term / 1000)
                with pytest.raises(ProofError):
                    audit_step(replace(step, claim=wrong), drawn, step.rule)


def bound_of(rule):
    """The first step by a rule, and worlds of its proof."""
    proof, step = next((p, s) for p in proofs().values() for s in p.steps if s.rule == rule)
    return step, worlds(proof.program)


@pytest.mark.parametrize("rule", ["contraction", "step-bound", "movement", "slow-lags", "bound-sharp", "bound-uniform"])
def test_a_bound_that_is_less_by_a_thousandth_is_refused(rule):
    step, drawn = bound_of(rule)
    assert isinstance(step.claim, Inequality)
    audit_step(step, drawn)
    with pytest.raises(ProofError):
        audit_step(replace(step, claim=replace(step.claim, right=step.claim.right / THOUSANDTH)), drawn)


@pytest.mark.parametrize("rule", ["contraction", "step-bound", "bound-uniform", "bound-paper", "bound-t-free"])
def test_a_domain_that_is_larger_by_a_thousandth_is_refused(rule):
    """The step size of the theorem and the largest variance: where the claim holds no longer."""
    step, drawn = bound_of(rule)
    wider = tuple(
        sp.Le(x.lhs, x.rhs * THOUSANDTH) if x.rhs.is_number and x.func == sp.Le else x for x in step.claim.domain
    )
    assert wider != step.claim.domain
    with pytest.raises(ProofError):
        audit_step(replace(step, claim=replace(step.claim, domain=wider)), drawn)


@pytest.mark.parametrize("rule", ["contraction", "step-bound", "movement", "slow-lags", "bound-uniform", "bound-sharp"])
def test_a_claim_without_its_domain_is_refused(rule):
    step, drawn = bound_of(rule)
    with pytest.raises(ProofError):
        audit_step(replace(step, claim=replace(step.claim, domain=())), drawn)


def test_an_empty_domain_is_refused():
    step, drawn = bound_of("bound-uniform")
    with pytest.raises(ProofError, match="empty"):
        audit_step(replace(step, claim=replace(step.claim, domain=(sp.false,))), drawn)


def test_a_gain_of_another_friction_is_refused():
    step = next(s for s in proofs()["momentum_flow_gain"].steps if s.rule == "momentum-flow-gain")
    wrong = step.claim.right.replace(ExpAtPair, lambda time, s, d: ExpAtPair(time, s * THOUSANDTH, d))
    with pytest.raises(ProofError):
        audit_step(
            replace(step, claim=replace(step.claim, right=wrong)), worlds(proofs()["momentum_flow_gain"].program)
        )
