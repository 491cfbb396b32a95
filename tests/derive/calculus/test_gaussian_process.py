"""Gated recursions: the limit as a process, its proof, and what the proof refuses."""

from dataclasses import replace
from functools import cache

import pytest
import sympy as sp

from wideproof import derive
from wideproof.derive import NotClosed, ProofError, Recursion, models, relu, tanh
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.calculus.gaussian_process import Cov, gaussians, independent_groups, uncorrelated
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram, Moment
from wideproof.derive.calculus.recursion_rules import growth
from wideproof.derive.calculus.tangent import tangent
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.notation import s, t
from wideproof.derive.language.program import Coordinate, Previous
from wideproof.derive.proof.claims import Equation, Hypothesis, ProcessForm, Vanishing
from wideproof.reports.write.prose import Known, proof


@cache
def derived(name, quantity):
    return getattr(derive, quantity)(getattr(models, name)())


@cache
def drawn(name, quantity):
    return worlds(derived(name, quantity).proof.program)[:1]


@pytest.mark.parametrize(
    ("name", "quantity"),
    [("gru", "nngp"), ("gru", "state_evolution"), ("lstm", "nngp"), ("mgu", "nngp"), ("mgu", "ntk")],
)
def test_the_proof_of_a_gated_limit_verifies(name, quantity):
    found = derived(name, quantity)
    found.proof.verify()
    assert found.formula.process is not None
    assert found.formula.expr is None
    assert r"\mathrm{Cov}" in found.formula.latex()
    assert all(step.status != "checked" for step in found.proof.steps)


@pytest.mark.parametrize("name", ["gru", "lstm", "mgu"])
def test_the_theorem_is_the_one_for_polynomially_bounded_maps(name):
    kinds = [step.claim.theorem for step in derived(name, "ntk").proof.steps if isinstance(step.claim, Hypothesis)]
    assert kinds == ["tensor-programs"]


def test_bounded_factors_keep_a_map_lipschitz_and_unbounded_ones_do_not():
    u, v = (Coordinate(x) for x in "uv")
    assert growth(derive.sigmoid(u) * tanh(v)) == "Lipschitz"
    assert growth(derive.sigmoid(u) * relu(v)) == "polynomially bounded"
    assert growth(derive.sigmoid(u) * v) == "polynomially bounded"


def test_the_covariances_are_those_of_the_products():
    process = derived("gru", "nngp").formula.process
    stated = {e.left.args[0].label: e.right for e in process.covariances}
    nu_W, nu_F = (derived("gru", "nngp").formula.symbols[x] for x in ("nu_W", "nu_F"))
    assert stated["F_z@x"] == nu_F * Gram(t, s, FIRST, SECOND)
    moment = stated["W_z@h"] / nu_W
    assert isinstance(moment, Moment)
    assert moment.args[2:] == (t, s, FIRST, SECOND)
    assert len(process.covariances) == 9
    assert [e.left.label for e in process.paths] == ["h'"]


@pytest.mark.parametrize("name", ["gru", "lstm", "mgu"])
def test_perturbations_are_proved_independent_of_what_they_perturb(name):
    program = tangent(getattr(models, name)().program())
    groups = independent_groups(program, uncorrelated(program))
    marked = [{"δ" in c.label for c in group} for group in groups]
    assert all(len(kinds) == 1 for kinds in marked)
    pairs = {(c.label, d.label) for c, d in uncorrelated(program)}
    assert all(("δ" in c) != ("δ" in d) for c, d in pairs)
    assert len(pairs) >= 2


def test_a_gate_that_shares_the_matrix_of_the_state_is_not_called_independent():
    r = Recursion("shared")
    W, F, h = r.matrix("W"), r.input_map("F"), r.state("h")
    r.update(h, relu(W @ h) * h + tanh(W @ relu(h)) * h + F @ r.x)
    r.output(r.readout("C") @ h)
    assert uncorrelated(r.program()) == set()
    groups = independent_groups(r.program(), ())
    assert sorted(len(g) for g in groups) == [1, 2]
    assert len(gaussians(r.program())) == 3


def test_signs_prove_no_more_than_is_true():
    r = Recursion("signs")
    U, W, F, b = r.matrix("U"), r.matrix("W"), r.input_map("F"), r.bias("b")
    h, g = r.state("h"), r.state("g")
    r.update(h, (F @ r.x) * relu(b) + (U @ h) * relu(b))
    r.update(g, W @ h + W @ relu(b) + h * g)
    r.output(r.readout("C") @ g)
    labels = {(c.label, d.label) for c, d in uncorrelated(r.program())}
    assert labels == {("W@h", "W@(relu(b))")}
    derive.nngp(r).proof.verify()


def wrong(claim):
    """Alterations of a process, each false."""
    first = claim.covariances[0]
    yield replace(claim, covariances=claim.covariances[1:])
    yield replace(claim, paths=claim.paths[1:])
    yield replace(claim, right=claim.right * sp.Rational(1001, 1000))
    off = replace(first, right=first.right * sp.Rational(1001, 1000))
    yield replace(claim, covariances=(off, *claim.covariances[1:]))
    for i, e in enumerate(claim.covariances):
        if e.right.has(Moment):  # no correlation between different steps
            alone = replace(e, right=e.right * sp.KroneckerDelta(t, s))
            yield replace(claim, covariances=(*claim.covariances[:i], alone, *claim.covariances[i + 1 :]))
    for i, e in enumerate(claim.paths):
        other = replace(e, right=e.right.replace(Phi, lambda name, order, z: z))
        yield replace(claim, paths=(*claim.paths[:i], other, *claim.paths[i + 1 :]))


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_no_alteration_of_the_process_passes_the_audit(name):
    step = next(x for x in derived(name, "nngp").proof.steps if isinstance(x.claim, ProcessForm))
    audit_step(step, drawn(name, "nngp"))
    for claim in wrong(step.claim):
        with pytest.raises(ProofError):
            audit_step(replace(step, claim=claim), drawn(name, "nngp"))


def test_a_dropped_reset_gate_is_refused():
    found = derived("gru", "nngp")
    claim = next(
        x.claim
        for x in found.proof.steps
        if isinstance(x.claim, Equation) and isinstance(x.claim.left, Cov) and "W_h" in x.claim.left.args[0].label
    )
    h = next(c for c, term in found.program.terms if isinstance(term, Previous))
    without = replace(claim, right=claim.right.replace(Moment, lambda u, v, *at: Moment(h, h, *at)))
    index = [step.claim for step in found.proof.steps].index(claim)
    with pytest.raises(ProofError):
        audit_step(replace(found.proof.steps[index], claim=without), drawn("gru", "nngp"))


def test_a_false_zero_is_refused():
    found = derived("mgu", "ntk")
    index, step = next((i, x) for i, x in enumerate(found.proof.steps) if isinstance(x.claim, Vanishing))
    c = next(c for c in gaussians(found.program) if c.label == "W_f@h")
    false = replace(step.claim, members=(*step.claim.members, (c, c, "any", (FIRST, SECOND))))
    with pytest.raises(ProofError):
        audit_step(replace(step, claim=false), drawn("mgu", "ntk"))
    steps = (*found.proof.steps[:index], replace(step, claim=false), *found.proof.steps[index + 1 :])
    with pytest.raises(ProofError):
        replace(found.proof, steps=steps).replay(index)


def test_a_product_of_independent_factors_keeps_its_recurrence():
    r = Recursion("factors")
    U, F, G, h = r.matrix("U"), r.input_map("F"), r.input_map("G"), r.state("h")
    r.update(h, tanh(F @ r.x) * relu(U @ h) + (G @ r.x) ** 2)
    r.output(r.readout("C") @ h)
    formula = derive.nngp(r).formula
    assert formula.recurrence is not None
    assert formula.process is None


def test_functions_without_a_meaning_are_refused():
    r = Recursion("other")
    W, F, h = r.matrix("W"), r.input_map("F"), r.state("h")
    r.update(h, sp.exp(W @ h) * h + F @ r.x)
    r.output(r.readout("C") @ h)
    with pytest.raises(NotClosed, match=r"wideproof\.define"):
        derive.nngp(r)


def test_the_proof_reads_as_sentences():
    for quantity in ("nngp", "ntk"):
        found = derived("mgu", quantity)
        text = repr(proof(found.proof, "gated"))
        assert ("odd number of times" in text) == (quantity == "ntk")
        assert "the rule" not in text
        assert "yang2020tensor2" in repr(Known().premises_line(found.proof))


def test_arguments_of_derivatives_exchanged_between_two_gates_are_refused():
    """Affine activations have constant derivatives and do not see it; curved ones do, at the first steps."""
    found = derived("gru", "ntk").proof
    step = next(
        x
        for x in found.steps
        if isinstance(x.claim, Equation) and isinstance(x.claim.left, Cov)
        and any(phi.args[1] for phi in x.claim.right.atoms(Phi))
    )  # fmt: skip
    gate = next(phi for phi in sorted(step.claim.right.atoms(Phi), key=str) if phi.args[1])
    gates = {phi for _, body in found.program.updates for phi in body.atoms(Phi) if phi.args[:2] == gate.args[:2]}
    other = next(phi for phi in sorted(gates, key=str) if phi != gate)
    wrong = replace(step, claim=replace(step.claim, right=step.claim.right.xreplace({gate: other})))
    straight = [world for world in worlds(found.program) if world.latest is None]
    curved = [world for world in worlds(found.program) if world.latest is not None]
    audit_step(wrong, straight)
    audit_step(step, curved)
    with pytest.raises(ProofError):
        audit_step(wrong, curved)


@pytest.mark.parametrize("name", ["gru", "mgu", "lstm"])
def test_every_activation_of_a_gated_recursion_is_curved_in_one_world(name):
    drawn_ = worlds(derived(name, "ntk").proof.program)
    assert {phi for world in drawn_ for phi, c in world.activations.items() if len(c) > 2} == {"sigmoid", "tanh"}
