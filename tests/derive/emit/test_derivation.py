"""What is computed is what was proved: a formula is read off the goal, and any other in its place is refused."""

from dataclasses import replace

import pytest
import sympy as sp

from wideproof import derive
from wideproof.derive import Derivation, ProofError, models, nngp, ntk
from wideproof.derive.emit.derivation import read_off
from wideproof.derive.language.notation import j as J
from wideproof.derive.proof.claims import Definition, Equation, Limit, ProcessForm, Recurrence

CASES = {
    "impulse response": lambda: derive.impulse_response(models.linear_rnn()),
    "scale factors": lambda: derive.scale_factors(models.linear_rnn()),
    "gain": lambda: derive.equivalent_convolution(models.linear_rnn()),
    "linear ntk": lambda: derive.ntk(models.linear_rnn()),
    "elman ntk": lambda: derive.ntk(models.elman("erf")),
    "gated nngp": lambda: derive.nngp(models.mgu()),
    "state evolution": lambda: derive.state_evolution(models.elman("relu")),
    "bound": lambda: derive.scale_factor_bound(models.linear_rnn()),
    "peak": lambda: derive.scale_factor_peak(models.linear_rnn()),
    "training": lambda: derive.training_bound(models.linear_rnn()),
    "trajectory": lambda: derive.training_bound(models.linear_rnn()).trajectory,
    "stability": lambda: derive.stability(models.linear_rnn()),
    "moments": lambda: derive.moments(models.linear_rnn(), lag=2),
    "memory": lambda: derive.memory(models.elman("relu")),
    "momentum": lambda: derive.momentum_gain(models.linear_rnn()),
    "adjoint": lambda: derive.adjoint(models.linear_rnn()),
    "amp": lambda: derive.corrections(models.amp(2)),
}


@pytest.fixture(scope="module", params=CASES, ids=str)
def derivation(request):
    return CASES[request.param]()


def refused(derivation):
    with pytest.raises(ProofError):
        derivation.verify()
    with pytest.raises(ProofError):
        derivation.proof.verify()


def test_the_chain_holds_from_the_definition_to_the_formula(derivation):
    derivation.verify()
    assert derivation.formula == read_off(derivation.quantity, derivation.proof)


def test_a_formula_wrong_by_a_thousandth_is_refused(derivation):
    formula = derivation.formula
    if formula.expr is not None:
        refused(replace(derivation, formula=replace(formula, expr=sp.Rational(1001, 1000) * formula.expr)))
    refused(replace(derivation, formula=replace(formula, symbols={**formula.symbols, "z": sp.Symbol("z")})))


def altered(form):
    """A recurrence or a process with one equation tripled, and without one."""
    parts = "covariances" if isinstance(form, ProcessForm) else "equations"
    first, *rest = getattr(form, parts)
    tripled = replace(first, right=3 * first.right) if first.right != 0 else replace(first, right=sp.S.One)
    yield replace(form, **{parts: (tripled, *rest)})
    yield replace(form, **{parts: tuple(rest)})


def test_a_formula_with_another_recurrence_is_refused(derivation):
    formula = derivation.formula
    for name in ("recurrence", "process"):
        if (form := getattr(formula, name)) is not None:
            for other in altered(form):
                refused(replace(derivation, formula=replace(formula, **{name: other})))


def test_a_goal_with_another_recurrence_is_refused(derivation):
    """The recurrence that is evaluated stands in the goal, so an altered one is an altered proof."""
    goal = derivation.proof.goal
    form = goal.form if isinstance(goal, Limit) else goal
    if not isinstance(form, Recurrence | ProcessForm):
        return
    for other in altered(form):
        changed = replace(goal, form=other) if isinstance(goal, Limit) else other
        steps = (*derivation.proof.steps[:-1], replace(derivation.proof.steps[-1], claim=changed))
        refused(replace(derivation, proof=replace(derivation.proof, goal=changed, steps=steps), formula=None))


def test_the_proof_begins_with_the_users_recursion(derivation):
    proof = derivation.proof
    defined = [step.claim for step in proof.steps if isinstance(step.claim, Definition)]
    if not defined:  # facts about numbers and matrices of any recursion
        assert derivation.quantity in ("momentum-gain", "trajectory")
        return
    assert defined[0].program == (proof.program.base or proof.program)
    assert [step.status for step in proof.steps].count("assumed") == len(
        [step for step in proof.steps if step.rule in ("given", "definition", "queries")]
    )
    first = defined[0].program.parameters[0]
    other = replace(defined[0].program, parameters=(replace(first, tied=not first.tied),))
    changed = tuple(
        replace(step, claim=replace(step.claim, program=other)) if step.rule == "given" else step
        for step in proof.steps
    )
    refused(replace(derivation, proof=replace(proof, steps=changed)))


def test_a_goal_about_another_lag_is_no_goal_of_the_quantity():
    rho = derive.scale_factors(models.linear_rnn())
    goal = rho.proof.goal
    moved = replace(goal, left=goal.left.subs(J, J + 1))
    with pytest.raises(ProofError, match="another index"):
        replace(rho, proof=replace(rho.proof, goal=moved), formula=None)


def test_the_closed_form_and_the_recurrence_of_a_kernel_are_one_goal():
    goal = derive.ntk(models.linear_rnn()).proof.goal
    assert isinstance(goal, Limit)
    assert isinstance(goal.form, Recurrence)
    assert goal.right != goal.form.right
    assert all(isinstance(e, Equation) for e in goal.form.equations)


def test_a_kernel_is_read_off_a_goal_about_itself():
    """A tangent whose goal is about the outputs instead of their responses would show the NNGP kernel as the NTK."""
    with pytest.raises(ProofError, match="another kernel"):
        Derivation("ntk", nngp(models.elman("tanh")).proof)
    with pytest.raises(ProofError, match="another kernel"):
        Derivation("nngp", ntk(models.elman("tanh")).proof)
