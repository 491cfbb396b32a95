"""A recurrence that does not determine what it says, or determines something else, is refused."""

from dataclasses import replace

import pytest
import sympy as sp

from wideproof.derive import (
    ProofError,
    Recursion,
    adjoint,
    impulse_response,
    models,
    nngp,
    ntk,
    scale_factors,
    state_evolution as evolution,
)
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.audit.recurrences import check_closed, check_stepped
from wideproof.derive.calculus.gaussian_process import kernel_subject
from wideproof.derive.calculus.recursion_rules import StateMoments
from wideproof.derive.language.notation import t
from wideproof.derive.proof.claims import Equation, Recurrence
from wideproof.derive.proof.proof import Step, prove
from wideproof.derive.proof.rules import Rule


def started(shared):
    """A skip and a random start."""
    r = Recursion("started")
    h = r.state("h", initial="nu_0", shared=shared)
    r.update(h, h / 2 + r.matrix("W", "nu_W") @ h + r.input_map("F", "nu_F") @ r.x)
    r.output(r.readout("C", "nu_C") @ h)
    return r


def coupled():
    """Two states that feed each other."""
    r = Recursion("coupled")
    h, g, V = r.state("h"), r.state("g"), r.matrix("V", "nu_V")
    r.update(h, r.matrix("W", "nu_W") @ g + r.input_map("F", "nu_F") @ r.x)
    r.update(g, V @ h + V @ g)
    r.output(r.readout("C", "nu_C") @ h)
    return r


QUANTITIES = {
    "ntk elman": lambda: ntk(models.elman("tanh")),
    "ntk leaky": lambda: ntk(models.leaky()),
    "ntk bidirectional": lambda: ntk(models.bidirectional()),
    "nngp shared start": lambda: nngp(started(True)),
    "nngp own start": lambda: nngp(started(False)),
    "state evolution": lambda: evolution(started(True)),
    "scale factors of a circle": lambda: scale_factors(coupled()),
    "coupled lags": lambda: impulse_response(started_linear()),
}


def started_linear():
    """A skip: lags couple."""
    r = Recursion("skip")
    h = r.state("h")
    r.update(h, h / 2 + r.matrix("W", "nu_W") @ h + r.input_map("F", "nu_F") @ r.x)
    r.output(r.readout("C", "nu_C") @ h)
    return r


def stated(proof):
    """The step that states a recurrence."""
    return next(step for step in proof.steps if isinstance(step.claim, Recurrence))


def refused(claim, drawn):
    """Whether closure or stepping, without the audit of each equation, refuses a recurrence."""
    try:
        check_closed(claim)
        for world in drawn:
            check_stepped(claim, world)
    except ProofError:
        return True
    return False


@pytest.mark.parametrize("name", QUANTITIES)
def test_each_equation_is_needed_and_stepped(name):
    proof = QUANTITIES[name]().proof
    drawn, claim = worlds(proof.program), stated(proof).claim
    assert not refused(claim, drawn)
    for i, e in enumerate(claim.equations):
        rest = (*claim.equations[:i], *claim.equations[i + 1 :])
        assert refused(replace(claim, equations=rest), drawn) or e.right == 0, e
        for factor in (3, sp.Rational(1001, 1000)):
            wrong = (*rest[:i], Equation(e.left, factor * e.right), *rest[i:])
            assert refused(replace(claim, equations=wrong), drawn) or e.right == 0, e


@pytest.mark.parametrize("name", ["ntk elman", "scale factors of a circle"])
def test_a_recurrence_that_reads_itself_is_refused(name):
    proof = QUANTITIES[name]().proof
    claim = stated(proof).claim
    i = next(i for i, e in enumerate(claim.equations) if e.left.free_symbols & set(claim.indices))
    own = Equation(claim.equations[i].left, claim.equations[i].left)
    circle = (*claim.equations[:i], own, *claim.equations[i + 1 :])
    audited = replace(stated(proof), claim=replace(claim, equations=circle))
    with pytest.raises(ProofError, match="reads itself"):
        audit_step(audited, worlds(proof.program))


def mutant(monkeypatch, name, change):
    """The rule with a change to what it concludes."""
    known = Rule.registry[name]
    monkeypatch.setitem(Rule.registry, name, replace(known, apply=lambda *a: change(known.apply(*a))))


EQUATIONS = {
    "one times 3": lambda e: (*e[:-1], Equation(e[-1].left, 3 * e[-1].right)),
    "one left out": lambda e: e[:-1],
    "the first left out": lambda e: e[1:],
}


@pytest.mark.parametrize("equations", EQUATIONS)
@pytest.mark.parametrize("model", ["linear_rnn", "elman"])
def test_a_rule_that_states_another_recurrence_is_refused(equations, model, monkeypatch):
    mutant(monkeypatch, "evolution", lambda c: replace(c, equations=EQUATIONS[equations](c.equations)))
    with pytest.raises(ProofError, match="audit"):
        prove(evolution(getattr(models, model)()).program, "evolution", StateMoments(t)).verify()


@pytest.mark.parametrize("equations", EQUATIONS)
@pytest.mark.parametrize("model", [models.elman, coupled, lambda: started(True)])
def test_so_is_the_kernel_that_rests_on_it(equations, model, monkeypatch):
    mutant(monkeypatch, "evolution", lambda c: replace(c, equations=EQUATIONS[equations](c.equations)))
    program = nngp(model()).program
    with pytest.raises(ProofError, match="audit"):
        prove(program, "kernel-recursion", kernel_subject(program)).verify()


STARTS = {
    "left out": lambda e: None,
    "doubled": lambda e: Equation(e.left, 2 * e.right),
    "wrong by a thousandth": lambda e: Equation(e.left, sp.Rational(1001, 1000) * e.right),
    "none": lambda e: Equation(e.left, sp.S.Zero),
}


@pytest.mark.parametrize("start", STARTS)
def test_a_wrong_start_is_refused(start, monkeypatch):
    def changed(claim):
        equations = [STARTS[start](e) if not e.left.free_symbols & {t} else e for e in claim.equations]
        return replace(claim, equations=tuple(e for e in equations if e is not None))

    mutant(monkeypatch, "evolution", changed)
    with pytest.raises(ProofError, match="audit"):
        nngp(started(True)).proof.verify()


def test_a_start_that_is_each_sequence_s_own_is_none_between_two(monkeypatch):
    """The mutant that takes an own start for a shared one."""
    own = nngp(started(False)).proof
    own.verify()
    claim = stated(own).claim
    (u, v, *_), labels = claim.equations[0].left.args[:3], claim.equations[0].left.args[4:]
    more = Equation(claim.equations[0].left.func(u, v, -1, -1, *labels), sp.Symbol("nu_0", nonnegative=True))
    wrong = replace(claim, equations=(more, *claim.equations))
    with pytest.raises(ProofError):
        audit_step(replace(stated(own), claim=wrong), worlds(own.program))


@pytest.mark.parametrize("model", [models.stacked, models.elman, models.gru])
def test_a_gradient_that_reads_what_is_not_stated_is_refused(model):
    proof = adjoint(model()).proof
    claim = proof.goal
    check_closed(claim)
    for i, e in enumerate(claim.equations):
        if e.left not in claim.right:
            with pytest.raises(ProofError, match="does not determine"):
                check_closed(replace(claim, equations=(*claim.equations[:i], *claim.equations[i + 1 :])))


def test_lines_that_read_what_is_not_stated_are_refused():
    claim = evolution(models.amp(2)).proof.goal
    check_closed(claim)
    read = {x for e in claim.equations for x in e.right.atoms(*(type(e.left) for e in claim.equations))}
    needed = [i for i, e in enumerate(claim.equations) if e.left in read]
    assert len(needed) > 2
    for i in needed:
        with pytest.raises(ProofError, match="does not determine"):
            check_closed(replace(claim, equations=(*claim.equations[:i], *claim.equations[i + 1 :])))


def test_the_auditor_says_what_is_missing():
    proof = ntk(models.elman("tanh")).proof
    step = stated(proof)
    lost = replace(step.claim, equations=step.claim.equations[1:])
    with pytest.raises(ProofError, match="an equation or a start for E"):
        audit_step(Step(step.rule, lost, step.source, step.status), worlds(proof.program))
