"""The finite-width conditioning step: its proof holds, every altered step is caught, and the sampler computes it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import Equation, Recursion, models
from wideproof.derive.alternating.conditioning import GaussianLaw, U, Ut, Value, Zt, fresh_law, product_law, v, words
from wideproof.derive.audit import audit
from wideproof.derive.language.errors import ParameterError, ProofError
from wideproof.numeric.core.arrays import backend, seed_sequence, stream
from wideproof.numeric.sampling.revealed_matrices import ExplicitMatrix

NU = sp.Symbol("nu_W", nonnegative=True)
PROOF = product_law(models.linear_rnn()).proof


def test_the_law_is_the_one_of_the_paper_at_finite_width_and_its_proof_verifies():
    assert PROOF.goal.right == GaussianLaw(U * Zt * v, NU - NU * U * Ut)
    PROOF.verify()
    fresh_law(models.linear_rnn()).proof.verify()


@pytest.mark.parametrize("right", [
    GaussianLaw(U * Zt * v, NU - 2 * NU * U * Ut), GaussianLaw(sp.S.Zero, NU - NU * U * Ut),
    GaussianLaw(sp.Rational(1001, 1000) * U * Zt * v, NU - NU * U * Ut), GaussianLaw(U * Zt * v, NU * sp.S.One),
])  # fmt: skip
def test_an_altered_law_fails_replay_and_audit(right):
    false = Equation(PROOF.goal.left, right)
    altered = replace(PROOF, goal=false, steps=(*PROOF.steps[:-1], replace(PROOF.steps[-1], claim=false)))
    with pytest.raises(ProofError):
        altered.verify()
    with pytest.raises(ProofError):
        audit(altered)


@pytest.mark.parametrize("index", range(len(PROOF.steps) - 1))
def test_every_altered_premise_is_caught_by_the_audit_alone(index):
    step = PROOF.steps[index]
    right = step.claim.right
    wrong = Value(right.args[0] + NU * U * Ut) if isinstance(right, Value) else right + 1
    steps = list(PROOF.steps)
    steps[index] = replace(step, claim=Equation(step.claim.left, wrong))
    with pytest.raises(ProofError):
        audit(replace(PROOF, steps=tuple(steps)))


def test_a_wrong_number_of_degrees_of_freedom_is_caught():
    proof = fresh_law(models.linear_rnn()).proof
    false = Equation(proof.goal.left, proof.goal.right + 1)
    with pytest.raises(ProofError):
        replace(proof, goal=false, steps=(*proof.steps[:-1], replace(proof.steps[-1], claim=false))).verify()


def test_only_tied_square_matrices_have_a_law():
    rnn = Recursion("free")
    M, C, h = rnn.matrix("M", variance="nu_M", tied=False), rnn.readout("C"), rnn.state("h")
    rnn.update(h, M @ h)
    rnn.output(C @ h)
    with pytest.raises(ParameterError):
        product_law(rnn, "M")
    with pytest.raises(ParameterError):
        product_law(models.linear_rnn(), "Q")


def test_the_sampler_draws_from_the_derived_law():
    """Mean over many noises of the image of one new unit vector, and its covariance, at fixed known products."""
    n, count, nu = 4, 40_000, 0.8
    source = stream(backend("numpy"), seed_sequence(2))
    matrix = ExplicitMatrix(n, count, nu, source)
    first, query = (np.broadcast_to(x, (count, n)) for x in np.random.default_rng(0).normal(size=(2, n)))
    one = source.normal(1, n) * np.ones((count, 1))  # the same answer in every trial
    matrix.left.append(unit(first), one)
    images = matrix.image(unit(query), matrix.left)
    values = {U: sp.Matrix(unit(first)[0]), Zt: sp.Matrix(one[:1]), v: sp.Matrix(unit(query)[0]), NU: nu}
    mean, covariance = (evaluated(word, values | {Ut: values[U].T}, n) for word in PROOF.goal.right.args)
    assert np.all(np.abs(images.mean(axis=0) - mean[:, 0]) < 5 * math.sqrt(nu / count))
    assert np.allclose(np.cov(images.T), covariance, atol=6 * nu * math.sqrt(2 / count))


def evaluated(expr, values, n):
    """The derived words at given matrices."""
    total = 0
    for c, word in words(expr):
        term = sp.eye(n) * c.subs({NU: values[NU]})
        for letter in word:
            term = term * values[letter]
        total = term if total == 0 else total + term
    return np.array(total, dtype=float)


def unit(x):
    return x / np.linalg.norm(x, axis=1)[:, None]
