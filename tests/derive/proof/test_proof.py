"""Every proof verifies; no alteration of any step of any proof does."""

import random
from dataclasses import fields, replace
from functools import partial

import pytest
import sympy as sp

from wideproof.derive import ProofError, models, scale_factors
from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.audit import audit, audit_step, worlds
from wideproof.derive.audit.growth import GROWTH
from wideproof.derive.proof.claims import Definition, Equation, Hypothesis, Limit, Recurrence, Vanishing
from wideproof.derive.proof.proof import Proof, Step
from wideproof.derive.proof.rules import Rule

TINY = sp.Rational(1, 10**9)


def altered_claims(claim):
    """Small alterations of what a claim says, each of them false."""
    match claim:
        case Definition(_, program):
            yield replace(claim, name="another")
            for changed in altered_programs(program):
                yield replace(claim, program=changed)
        case Equation(_, right):
            yield from (replace(claim, right=changed) for changed in altered_values(right))
        case Limit(_, right, mode, form):
            if form is not None:
                yield replace(claim, form=None)
                yield from (replace(claim, form=changed) for changed in altered_claims(form))
            yield from (replace(claim, right=changed) for changed in altered_values(right))
            other = "in probability" if "law" in mode else "in law, to a centred Gaussian with this covariance"
            yield replace(claim, mode=other)
        case Recurrence(_, right, equations, indices):
            yield replace(claim, equations=equations[1:])
            yield replace(claim, equations=(*equations, Equation(equations[0].left + 1, equations[0].right)))
            yield from (
                replace(claim, equations=(*equations[:i], replace(e, right=changed), *equations[i + 1 :]))
                for i, e in enumerate(equations)
                for changed in altered_values(e.right)
            )
            if not isinstance(right, sp.Tuple):
                yield from (replace(claim, right=changed) for changed in altered_values(right))
            yield replace(claim, indices=indices + indices[:1] if indices else (sp.Symbol("t"),))
        case Vanishing(_, members):
            yield replace(claim, members=members[1:] if members else ((sp.S.One, sp.S.One, "any", (sp.S.One,) * 2),))
            yield replace(claim, members=(*members, (sp.S.One, sp.S.One, "any", (sp.S.One, sp.S.One))))
        case Hypothesis(theorem, maps):
            yield replace(claim, theorem="tensor-programs" if theorem == "lemma-c1" else "lemma-c1")
            yield replace(claim, maps=maps[1:])
            wrong = "Lipschitz" if maps[0][2] == "affine" else "affine"
            yield replace(claim, maps=((*maps[0][:2], wrong), *maps[1:]))


def altered_programs(program):
    """Another law of each parameter, another start of each state, another update, another output."""
    for i, p in enumerate(program.parameters):
        for other in (
            replace(p, variance=2 * p.variance),
            replace(p, tied=not p.tied),
            replace(p, trainable=not p.trainable),
            replace(p, mean=p.mean + 1),
        ):
            yield replace(program, parameters=(*program.parameters[:i], other, *program.parameters[i + 1 :]))
    for i, state in enumerate(program.states):
        for other in (replace(state, initial=state.initial + 1), replace(state, backward=not state.backward)):
            yield replace(program, states=(*program.states[:i], other, *program.states[i + 1 :]))
    for i, (c, body) in enumerate(program.updates):
        yield replace(program, updates=(*program.updates[:i], (c, 2 * body), *program.updates[i + 1 :]))
    yield replace(program, output=2 * program.output)


def altered_values(right):
    """Wrong by a factor, by a tiny amount, and by the sign of one term."""
    if isinstance(right, sp.MatrixBase):
        bump = sp.zeros(*right.shape)
        bump[0, 0] = TINY
        yield sp.ImmutableDenseMatrix(right + bump)
        return
    if right != 0:
        yield right * sp.Rational(1001, 1000)
    yield right + TINY
    if isinstance(right, sp.Add):
        yield right - 2 * right.args[0]


def altered_steps(step, index):
    """Alterations of everything in a step besides its claim."""
    other = "covariance" if step.rule != "covariance" else "readout"
    yield replace(step, rule=other)
    yield replace(step, rule="no such rule")
    yield replace(step, source=step.source + "'")
    yield replace(step, status="numeric")
    yield replace(step, status="proved" if step.status == "assumed" else "assumed")
    if step.premises:
        yield replace(step, premises=step.premises[1:])
        yield replace(step, premises=step.premises[::-1] if len(step.premises) > 1 else (index,))
    spare = next((i for i in range(index) if i not in step.premises), None)
    if spare is not None:
        yield replace(step, premises=tuple(sorted((*step.premises, spare))))


def with_step(proof, index, step):
    steps = (*proof.steps[:index], step, *proof.steps[index + 1 :])
    return replace(proof, steps=steps, goal=steps[-1].claim)


def rejected(proof, index=None):
    """Whether replay (of one step, or of all) or structure refuses; `verify` runs both before the audit."""
    try:
        for i in range(len(proof.steps)) if index is None else (index,):
            proof.replay(i)
        proof.check_structure()
    except ProofError:
        return True
    return False


def dropped(proof, index):
    """The proof without one step, later premises renumbered, so that only the missing content tells."""

    def moved(step):
        return replace(step, premises=tuple(i - (i > index) for i in step.premises if i != index))

    steps = tuple(moved(s) for i, s in enumerate(proof.steps) if i != index)
    return replace(proof, steps=steps, goal=steps[-1].claim if steps else proof.goal)


def swapped(proof, a, b):
    """Two steps exchanged, every premise following its step."""
    place = {a: b, b: a}
    steps = [replace(s, premises=tuple(sorted(place.get(i, i) for i in s.premises))) for s in proof.steps]
    steps[a], steps[b] = steps[b], steps[a]
    return replace(proof, steps=tuple(steps))


def test_every_proof_verifies(derivation):
    derivation.proof.verify()


def test_every_altered_claim_fails(derivation):
    proof = derivation.proof
    for index, step in enumerate(proof.steps):
        for claim in altered_claims(step.claim):
            assert rejected(with_step(proof, index, replace(step, claim=claim)), index), (index, step.rule, claim)


def test_every_step_altered_besides_its_claim_fails(derivation):
    proof = derivation.proof
    for index, step in enumerate(proof.steps):
        for other in altered_steps(step, index):
            assert rejected(with_step(proof, index, other), index), (index, other)


def test_every_dropped_step_fails(derivation):
    proof = derivation.proof
    for index in range(len(proof.steps) - 1):
        user = next(i for i, s in enumerate(proof.steps) if index in s.premises)
        assert rejected(dropped(proof, index), user - 1), (index, proof.steps[index].rule)
        with pytest.raises(ProofError):
            replace(proof, steps=proof.steps[:index] + proof.steps[index + 1 :]).check_structure()
    with pytest.raises(ProofError):
        replace(proof, steps=proof.steps[:-1]).check_structure()


def test_every_exchange_of_steps_fails(derivation):
    proof, rng = derivation.proof, random.Random(0)
    size = len(proof.steps)
    pairs = [(i, i + 1) for i in range(size - 1)]
    pairs += [tuple(sorted(rng.sample(range(size), 2))) for _ in range(10)] if size > 1 else []
    for a, b in pairs:
        with pytest.raises(ProofError):
            swapped(proof, a, b).check_structure()
        steps = list(proof.steps)
        steps[a], steps[b] = steps[b], steps[a]
        assert rejected(replace(proof, steps=tuple(steps)), a), ("bare", a, b)


def test_every_altered_goal_fails(derivation):
    for goal in altered_claims(derivation.proof.goal):
        with pytest.raises(ProofError):
            replace(derivation.proof, goal=goal).check_structure()


def test_a_doubled_or_idle_step_fails(derived):
    proof = derived("linear_rnn", "scale_factors").proof
    for index, step in enumerate(proof.steps):
        shift = lambda s, at=index: replace(s, premises=tuple(i + (i > at) for i in s.premises))  # noqa: E731
        doubled = (*proof.steps[: index + 1], step, *map(shift, proof.steps[index + 1 :]))
        with pytest.raises(ProofError):
            replace(proof, steps=doubled).check_structure()


def test_the_proof_of_another_program_fails(derived, build):
    proof = derived("linear_rnn", "scale_factors").proof
    for model in ("two_tied", "frozen", "stacked"):
        other = derived(model, "scale_factors").program
        with pytest.raises(ProofError):
            replace(proof, program=other).verify()


def test_the_empty_proof_fails(derived):
    with pytest.raises(ProofError):
        replace(derived("linear_rnn", "nngp").proof, steps=()).verify()


# ---- the audit alone, without replay ---------------------------------------------------------------
def test_the_audit_alone_catches_every_wrong_number(derivation):
    proof = derivation.proof
    drawn = worlds(proof.program)
    for index, step in enumerate(proof.steps):
        for claim in numeric_alterations(step.claim):
            if is_trivially_true(step.claim, claim, drawn):
                continue
            with pytest.raises(ProofError):
                audit_step(replace(step, claim=claim), drawn, f"{index} {step.rule} {claim}")


def numeric_alterations(claim):
    """Alterations that make some number wrong; structure and wording are left to replay."""
    match claim:
        case Equation(_, right) | Limit(_, right):
            yield from (replace(claim, right=changed) for changed in altered_values(right))
        case Recurrence(_, right, equations):
            first = equations[0]
            yield replace(claim, equations=())
            for i, e in enumerate(equations):
                yield replace(claim, equations=(*equations[:i], replace(e, right=e.right + TINY), *equations[i + 1 :]))
            if isinstance(right, sp.Tuple):
                yield replace(claim, equations=[e for e in equations if e != first and e.left in right][1:])
            else:
                yield replace(claim, right=right + TINY)
        case Vanishing(_, members):
            nonzero = next(iter(sorted(about_moments(claim), key=str)), None)
            if nonzero is not None:
                yield replace(claim, members=(*members, nonzero))
        case Hypothesis(_, maps):
            for i, (state, body, growth) in enumerate(maps):
                for wrong in GROWTH[: GROWTH.index(growth)]:  # stronger than what the map does
                    yield replace(claim, maps=(*maps[:i], (state, body, wrong), *maps[i + 1 :]))


def is_trivially_true(claim, altered, drawn):
    """A factor or a sign changes nothing where both sides are zero; adding something does."""
    if not isinstance(claim, Equation) or isinstance(claim.right, sp.MatrixBase) or altered.right == claim.right + TINY:
        return False
    try:
        audit_step(Step("", Equation(claim.left, sp.S.Zero), "", "proved"), drawn)
    except ProofError:
        return False
    return True


def about_moments(claim):
    """A member that is not zero: the second moment of the first listed state at equal times."""
    labels = [m[3] for m in claim.members]
    for u, v, relation, label in claim.members:
        if relation in ("=", "any") and u == v and (u, v, relation, label) not in claim.members:
            yield u, v, relation, label
    if labels and claim.members[0][2] != "any":
        same = {(v, v, "=", label) for _, v, _, label in claim.members}
        yield from same - set(claim.members)


def test_audit_of_the_whole_proof_names_the_step(derived):
    proof = derived("linear_rnn", "scale_factors").proof
    index = next(i for i, s in enumerate(proof.steps) if s.rule == "weight")
    step = proof.steps[index]
    wrong = replace(step, claim=replace(step.claim, right=step.claim.right * sp.Rational(1001, 1000)))
    with pytest.raises(ProofError) as error:
        audit(with_step(proof, index, wrong))
    assert error.value.where == f"step {index} (weight), audit"


def test_an_audit_sees_a_zero_set_with_one_member_too_many(derived):
    proof = derived("linear_rnn", "ntk").proof
    index = next(i for i, s in enumerate(proof.steps) if isinstance(s.claim, Vanishing))
    claim = proof.steps[index].claim
    state, some = next(iter(proof.program.bodies)), claim.members[0]
    for relation in ("=", "any"):
        more = replace(claim, members=(*claim.members, (state, state, relation, some[3])))
        with pytest.raises(ProofError):
            audit_step(replace(proof.steps[index], claim=more), worlds(proof.program))


def test_other_worlds_agree(derived):
    for seed in range(10, 14):
        audit(derived("two_tied", "scale_factors").proof, seed)


def own_rules():
    """Rules of the rooms that the derivations above come from."""
    files = (
        "calculus.recursion_rules",
        "calculus.innovations",
        "calculus.lags",
        "limits.kernels",
        "linear.convolution",
    )
    rooms = {f"wideproof.derive.{file}" for file in files}
    found = {name for name, rule in Rule.registry.items() if rule.apply.__module__ in rooms}
    assert len(found) > 20
    return found


# ---- the rules themselves ---------------------------------------------------------------------------
def test_every_rule_is_exercised_and_none_is_constant(derived, all_cases):
    """Each rule concludes differently about different recursions, and each of its claims can be refuted."""
    seen: dict[str, set] = {}
    for case in all_cases:
        for step in derived(*case).proof.steps:
            seen.setdefault(step.rule, set()).add(step.claim)
    assert own_rules() <= set(seen)
    constant = {name for name, claims in seen.items() if len(claims) < 2}
    assert constant == {"convolution"}  # one statement about the convolution, whatever the recursion


def test_every_rule_has_a_place_of_its_own_in_the_order():
    ranks = [rule.rank for rule in Rule.registry.values()]
    assert len(set(ranks)) == len(ranks)


def test_steps_and_claims_are_frozen(derived):
    proof = derived("linear_rnn", "scale_factors").proof
    for thing in (proof, proof.steps[0], proof.goal):
        with pytest.raises(AttributeError):
            setattr(thing, fields(thing)[0].name, None)


def test_sources_name_where_the_rule_comes_from(derivation):
    for step in derivation.proof.steps:
        assert step.source
        assert step.status in ("proved", "cited", "numeric", "assumed")


def test_a_wrong_rule_is_caught_by_the_audit(monkeypatch, build):
    """Replay trusts the rule; the audit does not: a rule wrong by a thousandth is caught."""
    known = Rule.registry["covariance"]

    def wrong(subject, ask):
        claim = known.apply(subject, ask)
        return replace(claim, right=claim.right * sp.Rational(1001, 1000))

    monkeypatch.setitem(Rule.registry, "covariance", replace(known, apply=wrong))
    proof = scale_factors(build("linear_rnn")).proof
    assert not rejected(proof)
    with pytest.raises(ProofError, match="audit"):
        proof.verify()


def test_a_wrong_divided_difference_is_caught_by_the_audit(derived):
    proof = derived("linear_rnn", "scale_factors").proof
    index = next(i for i, s in enumerate(proof.steps) if s.rule == "weight" and s.claim.right.has(PowerDD))
    claim = proof.steps[index].claim
    wrong = claim.right.replace(PowerDD, lambda j, *nodes: j * nodes[0] ** j)
    with pytest.raises(ProofError):
        audit_step(replace(proof.steps[index], claim=replace(claim, right=wrong)), worlds(proof.program))


def test_a_rule_concludes_about_subjects_of_its_class_alone():
    asked = partial(Rule.registry["covariance"], ask=None)
    with pytest.raises(ProofError, match="a subject of the class Moment"):
        asked(sp.Symbol("h"))


def test_without_an_audit_nothing_is_verified(monkeypatch):
    monkeypatch.setattr(Proof, "auditors", [])
    with pytest.raises(ProofError, match="audit"):
        scale_factors(models.linear_rnn()).proof.verify()
