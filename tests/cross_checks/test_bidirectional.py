"""Recursions over the sequence and its reverse: the language, the derivation, the kernel and finite networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wideproof import derive
from wideproof.derive import LanguageError, NotClosed, NotLinear, Recursion, activation, models
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.calculus.tangent import tangent
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.notation import s, t
from wideproof.numeric import Kernel
from wideproof.numeric.networks.simulation import simulate

NU = {"nu_W": 1.2, "nu_F": 0.8, "nu_b": 0.1, "nu_C": 0.7}
X = np.random.default_rng(0).standard_normal((3, 5, 2))


@pytest.mark.parametrize("quantity", ["nngp", "ntk", "state_evolution"])
def test_the_proof_verifies_and_says_which_way_time_runs(quantity):
    found = getattr(derive, quantity)(models.bidirectional())
    found.proof.verify()
    assert "g_{t + 1}" in found.formula.latex()
    assert "h_{t - 1}" in found.formula.latex()


def test_a_step_with_time_turned_round_is_refused():
    proof = derive.nngp(models.bidirectional()).proof
    step = next(x for x in proof.steps if x.rule == "covariance" and x.claim.right.has(t + 1))
    worlds_ = worlds(proof.program)
    audit_step(step, worlds_)
    turned = step.claim.right.subs({t + 1: t - 1, s + 1: s - 1})
    with pytest.raises(ProofError):
        audit_step(replace(step, claim=replace(step.claim, right=turned)), worlds_)


@pytest.mark.parametrize("activation_name", ["erf", "relu", "identity"])
@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
def test_the_kernel_is_that_of_both_directions(quantity, activation_name):
    both = getattr(Kernel(models.bidirectional(activation_name), **NU), quantity)
    one = getattr(Kernel(models.elman(activation_name), **NU), quantity)
    np.testing.assert_allclose(both(X), one(X) + one(X[:, ::-1])[:, ::-1, :, ::-1], rtol=1e-12)
    assert not np.allclose(both(X), 2 * one(X), rtol=1e-3)


@pytest.mark.parametrize("readout", ["last", "average"])
def test_different_lengths_end_at_their_own_end(readout):
    L = [X[0], X[1][:3], X[2][:1]]
    kernel = Kernel(models.bidirectional(), readout=readout, **NU)
    for found, one in ((kernel.nngp(L), kernel.nngp), (kernel.ntk(L), kernel.ntk)):
        assert np.linalg.eigvalsh(found).min() > 0
        for i, x in enumerate(L):
            assert found[i, i] == pytest.approx(float(one([x])[0, 0]), rel=1e-12)
            assert found[i, 0] == pytest.approx(float(one([x], [L[0]])[0, 0]), rel=1e-12)


@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
def test_finite_networks_run_both_ways(quantity):
    program = models.bidirectional().program()
    moved = tangent(program) if quantity == "ntk" else program
    run = simulate(moved, X, 256, trials=60, seed=1, states=True, **NU)
    square = {name: (h := v.reshape(60, -1, 256)) @ np.swapaxes(h, 1, 2) / 256 for name, v in run.states.items()}
    found = (
        sum(square[k] + NU["nu_C"] * square["δ" + k] for k in "hg")
        if quantity == "ntk"
        else NU["nu_C"] * (square["h"] + square["g"])
    )
    limit = getattr(Kernel(program, **NU), quantity)(X).reshape(15, 15)
    reversed_ = getattr(Kernel(models.elman(), **NU), quantity)(X).reshape(15, 15) * 2
    scale = float(limit.max())
    assert np.abs(found.mean(0) - limit).max() < 0.05 * scale
    assert np.abs(found.mean(0) - reversed_).max() > 0.15 * scale


def gated():
    r = Recursion("gated-backwards")
    U, F, h = r.matrix("U", "nu_W"), r.input_map("F", "nu_F"), r.state("h", direction="backward")
    z = activation("erf_sigmoid")(F @ r.x + U @ h)
    r.update(h, z * h + (1 - z) * activation("erf")(U @ h))
    r.output(r.readout("C") @ h)
    return r


def test_gates_may_read_backwards():
    turned = Recursion("gated-forwards")
    U, F, h = turned.matrix("U", "nu_W"), turned.input_map("F", "nu_F"), turned.state("h")
    z = activation("erf_sigmoid")(F @ turned.x + U @ h)
    turned.update(h, z * h + (1 - z) * activation("erf")(U @ h))
    turned.output(turned.readout("C") @ h)
    nu = {"nu_W": 1.5, "nu_F": 1.0}
    for sequences, tolerance in ((X[:1, :2], 1e-12), (X[:, :4], None)):
        back, forth = Kernel(gated(), points=1024, **nu), Kernel(turned, points=1024, **nu)
        found, want = back.evaluate("nngp", sequences), forth.evaluate("nngp", sequences[:, ::-1])
        gap = tolerance or found.error + want.error[:, ::-1, :, ::-1]
        assert np.all(np.abs(found.value - want.value[:, ::-1, :, ::-1]) <= gap)
    derive.nngp(gated()).proof.verify()


def test_gates_read_backwards_from_the_end_of_each_sequence():
    nu = {"nu_W": 1.5, "nu_F": 1.0}
    for readout, quantity in (("last", "ntk"), ("average", "nngp")):
        for sequences in ([X[0, :2], X[1, :1]], [X[0, :3], X[1, :2]]):
            together = Kernel(gated(), readout=readout, points=512, **nu)
            found = together.evaluate(quantity, sequences)
            for i, x in enumerate(sequences):
                alone = Kernel(gated(), readout=readout, points=512, **nu)
                want = alone.evaluate(quantity, [x])
                gap = abs(found.value[i, i] - want.value[0, 0])
                assert gap <= max(found.error[i, i] + want.error[0, 0], 1e-9)


def test_directions_are_kept_apart_by_the_language():
    def made(wire):
        r = Recursion("wired")
        W, V, F, G = r.matrix("W"), r.matrix("V"), r.input_map("F"), r.input_map("G")
        h, g = r.state("h"), r.state("g", direction="backward")
        wire(r, W, V, F, G, h, g)
        r.output(r.readout("C") @ h + r.readout("D") @ g)
        return r.program()

    def shared_matrix(r, W, V, F, G, h, g):
        r.update(h, W @ h + F @ r.x)
        r.update(g, W @ g + G @ r.x)

    def shared_input(r, W, V, F, G, h, g):
        r.update(h, W @ h + F @ r.x)
        r.update(g, V @ g + F @ r.x)

    def mixed(r, W, V, F, G, h, g):
        r.update(h, W @ h + V @ g.next + F @ r.x)
        r.update(g, G @ r.x)

    for wire, said in ((shared_matrix, "its own matrices"), (shared_input, "its own"), (mixed, "No layer reads both")):
        with pytest.raises(LanguageError, match=f"one direction.*{said}"):
            made(wire)
    r = Recursion("directions")
    with pytest.raises(LanguageError, match="backward"):
        r.state("h", direction="sideways")
    with pytest.raises(LanguageError, match="backward"):
        r.state("h", initial=1, direction="backward")


def test_what_takes_time_to_run_forwards_refuses():
    program = models.bidirectional("identity").program()
    for quantity in (
        lambda: derive.state_evolution(program, horizon=2),
        lambda: derive.state_evolution(program, form="innovations"),
    ):
        with pytest.raises(NotClosed, match="backward"):
            quantity()
    with pytest.raises(NotLinear):
        derive.scale_factors(program)
