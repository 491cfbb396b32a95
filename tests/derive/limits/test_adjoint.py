"""The adjoint: every proof verifies, and the audit alone refuses equations that are wrong by a thousandth."""

from dataclasses import replace

import pytest
import sympy as sp

from wideproof.derive import ParameterError, ProofError, Recursion, adjoint, models
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.language.notation import t
from wideproof.derive.limits.adjoint import Cotangent, Gradient, Local
from wideproof.derive.proof.claims import Equation

GALLERY = {
    "linear": models.linear_rnn, "elman": lambda: models.elman("tanh"), "untied": lambda: models.elman(tied=False),
    "leaky": models.leaky, "residual": models.residual, "stacked": models.stacked, "net": models.feed_forward,
    "deep": models.deep_linear, "gru": models.gru, "lstm": models.lstm,
    "bidirectional": models.bidirectional,
}  # fmt: skip


@pytest.mark.parametrize("name", GALLERY)
def test_every_proof_verifies(name):
    adjoint(GALLERY[name]()).proof.verify()


@pytest.mark.parametrize("name", ["leaky", "stacked", "untied", "bidirectional"])
def test_the_audit_refuses_each_equation_wrong_by_a_thousandth(name):
    proof = adjoint(GALLERY[name]()).proof
    drawn = worlds(proof.program)
    steps = [step for step in proof.steps if step.rule in ("cotangent", "gradient")]
    assert len(steps) > 6
    for step in steps:
        right = step.claim.right
        wrong = [right * sp.Rational(1001, 1000)]
        wrong += [right - x for x in right.args] if right.is_Add else []
        wrong += [right.xreplace({x: 1}) for x in right.atoms(Local)]
        wrong += [right.xreplace({x: x.func(x.args[0], t + 1) for x in right.atoms(Cotangent)})]
        for other in wrong:
            if other != right:
                with pytest.raises(ProofError):
                    audit_step(replace(step, claim=Equation(step.claim.left, other)), drawn)


def test_a_state_read_twice_is_collected_twice():
    """h is read by its own update, by a second state in the same step, and by the output."""
    rnn = Recursion("read-thrice")
    W, V, F, C = rnn.matrix("W"), rnn.matrix("V"), rnn.input_map("F"), rnn.readout("C")
    h, g = rnn.state("h"), rnn.state("g")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.update(g, V @ h.next * g + h)
    rnn.output(C @ (g * h))
    derivation = adjoint(rnn)
    derivation.proof.verify()
    state = derivation.program.base.updates[0][0]
    equation = next(e for e in derivation.formula.recurrence.equations if e.left == Cotangent(state, t))
    assert len(equation.right.args) == 4


def test_frozen_parameters_have_no_gradient():
    derivation = adjoint(models.elman(), parameters="W")
    assert list(derivation.formula.recurrence.right) == [Gradient(sp.Symbol("W"), t)]
    with pytest.raises(ParameterError):
        adjoint(models.elman(), parameters="Q")
    rnn = Recursion("frozen")
    C, h = rnn.readout("C", trainable=False), rnn.state("h", initial=1)
    rnn.update(h, h)
    rnn.output(C @ h)
    with pytest.raises(ParameterError) as caught:
        adjoint(rnn)
    assert caught.value.where == "adjoint"


def test_the_formula_is_typeset_and_says_who_runs_it():
    formula = adjoint(models.elman()).formula
    assert r"W^{\mathsf{T}}" in formula.latex()
    with pytest.raises(ParameterError) as caught:
        formula.compile()
    assert "wideproof.gradients" in caught.value.hint
