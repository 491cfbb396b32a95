"""Proofs of bounds, trajectories, realisations, stability and finite-width moments; no alteration of one verifies."""

from dataclasses import replace
from functools import cache

import pytest
import sympy as sp

from wideproof.derive import (
    Counterexample,
    ProofError,
    Recursion,
    convolution_of,
    flow_gain,
    models,
    moments,
    momentum_flow_gain,
    momentum_gain,
    ntk_deviation,
    realization,
    refuted_bounds,
    scale_factor_bound,
    scale_factor_peak,
    stability,
    training_bound,
    trajectory_gain,
)
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.proof.rules import Rule

LESS = sp.Rational(999, 1000)
ROOM = "wideproof.derive.linear."
FILES = (
    "scale_factor_bounds",
    "gradient_descent",
    "gradient_flow",
    "momentum",
    "realization",
    "spectral_radius",
    "finite_width",
    "width_bound",
)


def coupled():
    """Two linear states that feed each other through matrices of their own."""
    r = Recursion("coupled")
    h, g = r.state("h"), r.state("g")
    W, V, U, Z = (r.matrix(name, f"nu_{name}") for name in "WVUZ")
    r.update(h, W @ h + V @ g + r.input_map("F", "nu_F") @ r.x)
    r.update(g, U @ h + Z @ g)
    r.output(r.readout("C", "nu_C") @ h)
    return r


@cache
def proofs():
    rnn = models.linear_rnn()
    bound, peak = training_bound(rnn), scale_factor_peak(rnn)
    found = {form: scale_factor_bound(rnn, form) for form in ("sharp", "T-free", "paper", "uniform")}
    found |= {derived.quantity: derived for derived in refuted_bounds(rnn)}
    found |= {
        "peak": peak,
        "rise": peak.rise,
        "bound": bound,
        "trajectory": bound.trajectory,
        "start": bound.start,
        "steps": bound.steps,
        "gain": trajectory_gain(rnn),
        "flow": flow_gain(rnn),
        "momentum": momentum_gain(rnn),
        "momentum-flow": momentum_flow_gain(rnn),
        "convolution": convolution_of(rnn),
        "realization": realization([1, 2]),
        "stability": stability(rnn),
        "coupled": stability(coupled()),
        "moments": moments(rnn, lag=3, order=4),
        "mixed": moments(rnn, lags=(0, 1, 1, 2)),
        "deviation": ntk_deviation(rnn, 1),
    }
    return {name: derived.proof for name, derived in found.items()}


NAMES = (
    "sharp",
    "T-free",
    "paper",
    "uniform",
    "refuted-power",
    "refuted-power-largest",
    "refuted-shifted-largest",
    "peak",
    "rise",
    "bound",
    "trajectory",
    "start",
    "steps",
    "gain",
    "flow",
    "momentum",
    "momentum-flow",
    "convolution",
    "realization",
    "stability",
    "coupled",
    "moments",
    "mixed",
    "deviation",
)


@pytest.fixture(params=NAMES)
def proof(request):
    return proofs()[request.param]


def own(step):
    return Rule.registry[step.rule].apply.__module__.removeprefix(ROOM) in FILES


def wrong(step):
    """The claim of a step, wrong by a thousandth, or by a lag where it is about a lag."""
    claim = step.claim
    if isinstance(claim, Counterexample):
        least = {"T": sp.Integer(1), "j": sp.Integer(0)}
        return replace(claim, point=tuple((x, least.get(x.name, v)) for x, v in claim.point))
    if step.rule == "peak":
        return replace(claim, right=claim.right.func(claim.right.args[0] + 1))
    return replace(claim, right=claim.right * LESS)


def changed(proof, index, **fields):
    steps = tuple(replace(step, **fields) if i == index else step for i, step in enumerate(proof.steps))
    return replace(proof, steps=steps, goal=steps[-1].claim)


def rejected(proof, first=0):
    """Whether structure or the replay of a step refuses, from the first that is altered on: all before it verify."""
    try:
        proof.check_structure()
        for index in range(first, len(proof.steps)):
            proof.replay(index)
    except ProofError:
        return True
    return False


def test_every_proof_verifies(proof):
    proof.verify()


def test_replay_and_audit_each_catch_a_thousandth(proof):
    drawn = worlds(proof.program)
    for index, step in enumerate(proof.steps):
        if own(step):
            assert rejected(changed(proof, index, claim=wrong(step)), index), step.rule
            with pytest.raises(ProofError):
                audit_step(replace(step, claim=wrong(step)), drawn)


def test_a_dropped_or_moved_step_or_premise_is_caught(proof):
    for index, step in enumerate(proof.steps):
        assert rejected(replace(proof, steps=proof.steps[:index] + proof.steps[index + 1 :]), index), step.rule
        if step.premises:
            assert rejected(changed(proof, index, premises=step.premises[1:]), index), step.rule
        if index:
            moved = (*proof.steps[: index - 1], step, proof.steps[index - 1], *proof.steps[index + 1 :])
            assert rejected(replace(proof, steps=moved), index - 1), step.rule


def test_another_rule_source_or_status_is_caught(proof):
    for index, step in enumerate(proof.steps):
        for fields in (
            {"rule": "weight" if step.rule != "weight" else "rise"},
            {"source": "folklore"},
            {"status": "numeric"},
        ):
            assert rejected(changed(proof, index, **fields), index), step.rule


def test_every_rule_of_these_rooms_is_used_and_ordered():
    used = {step.rule for proof in proofs().values() for step in proof.steps}
    mine = {name for name, rule in Rule.registry.items() if rule.apply.__module__.removeprefix(ROOM) in FILES}
    assert len(mine) > 30
    assert mine <= used
    assert set(proofs()) == set(NAMES)
