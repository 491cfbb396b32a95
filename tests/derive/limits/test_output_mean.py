"""The mean of the outputs, derived: its value, its audit, and networks that have it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import ProofError, Recursion, erf, models, output_mean
from wideproof.derive.audit.auditor import audit_step, worlds
from wideproof.numeric.networks.simulation import simulate


def shifted(mean="mu"):
    r = Recursion("shifted")
    h, b, c = r.state("h"), r.bias("b", 1, mean=2), r.bias("c", "nu_c", mean=mean)
    r.update(h, erf(r.input_map("F") @ r.x + b))
    r.output(r.readout("C") @ h + 3 * c + sp.Rational(1, 3))
    return r


def test_biases_and_constants_of_the_output_have_its_mean_and_nothing_else_does():
    found = output_mean(shifted())
    assert found.formula.expr == 3 * found.formula.symbols["mu"] + sp.Rational(1, 3)
    found.proof.verify()
    for made in (models.elman(), models.gru(), models.bidirectional(), models.linear_rnn()):
        centred = output_mean(made)
        assert centred.formula.expr == 0
        centred.proof.verify()


@pytest.mark.parametrize("factor", [sp.Rational(1001, 1000), sp.Rational(999, 1000), 0])
def test_another_mean_is_refused_by_replay_and_by_the_audit(factor):
    proof = output_mean(shifted()).proof
    wrong = replace(proof.steps[-1], claim=replace(proof.goal, right=factor * proof.goal.right))
    with pytest.raises(ProofError):
        replace(proof, goal=wrong.claim, steps=(*proof.steps[:-1], wrong)).verify()
    with pytest.raises(ProofError):
        audit_step(wrong, worlds(proof.program))


def test_networks_have_this_mean():
    X = np.random.default_rng(0).standard_normal((1, 3, 2))
    y = simulate(shifted(), X, 50, trials=4000, seed=1, nu_c=0.5, mu=0.75).outputs[:, 0, :, 0]
    want = float(output_mean(shifted()).formula.compile()(nu_c=0.5, mu=0.75))
    assert want == pytest.approx(3 * 0.75 + 1 / 3)
    assert np.abs((y.mean(0) - want) / (y.std(0) / 4000**0.5)).max() < 4
