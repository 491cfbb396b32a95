"""Every proof becomes mathematics: a sentence for each rule, a display for each equation, references that resolve."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import sympy as sp

from wideproof import derive
from wideproof.derive import DeriveError, Recursion, models
from wideproof.derive.latex.displays import with_laws
from wideproof.derive.latex.printer import latex
from wideproof.derive.latex.text import Ref, plain
from wideproof.derive.linear.finite_width import moments
from wideproof.derive.linear.scale_factor_bounds import FORMS, refuted_bounds, scale_factor_bound, scale_factor_peak
from wideproof.derive.proof.claims import Counterexample, Hypothesis, Inequality, Vanishing
from wideproof.derive.proof.proof import Proof, Step
from wideproof.reports.document import blocks as doc
from wideproof.reports.render.latex_subset import lint_tex
from wideproof.reports.render.typeset import typeset
from wideproof.reports.write import prose

QUANTITIES = ("impulse_response", "scale_factors", "equivalent_convolution", "nngp", "ntk", "state_evolution")


def recursion(name, update, *more):
    """A recursion with matrices W and whatever `more` names, its update given."""
    rnn = Recursion(name)
    W, F, C = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
    V = rnn.matrix("V", "nu_V", **more[0]) if more else None
    h = rnn.state("h")
    rnn.update(h, update(W, F, V, h, rnn.x))
    rnn.output(C @ h)
    return rnn


def stack():
    rnn = Recursion("stack")
    W, V, U = (rnn.matrix(name, f"nu_{name}") for name in "WVU")
    F, C = rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
    g, h = rnn.state("g"), rnn.state("h")
    rnn.update(g, W @ g + F @ rnn.x)
    rnn.update(h, V @ h + U @ g.next)
    rnn.output(C @ h)
    return rnn


def elman(act):
    rnn = Recursion("elman")
    W, F, C = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
    b, h = rnn.bias("b", "nu_b"), rnn.state("h")
    rnn.update(h, act(W @ h + F @ rnn.x + b))
    rnn.output(C @ h)
    return rnn


ZOO = {
    "linear": models.linear_rnn(),
    "two matrices": recursion("two", lambda W, F, V, h, x: W @ h + 2 * (V @ h) + F @ x, {}),
    "tied and untied": recursion("mixed", lambda W, F, V, h, x: W @ h + V @ h + F @ x, {"tied": False}),
    "skip": recursion("skip", lambda W, F, V, h, x: h / 2 + W @ h + F @ x),
    "stack": stack(),
    "relu": elman(derive.relu),
    "tanh": elman(derive.tanh),
}


def proofs():
    """Name -> a function that derives, of every quantity that exists for every recursion."""
    made = {}
    for name, rnn in ZOO.items():
        for quantity in QUANTITIES:
            made[f"{name}: {quantity}"] = lambda rnn=rnn, q=quantity: getattr(derive, q)(rnn)
        for form, horizon in (("innovations", None), ("covariance", 2), ("innovations", 2)):
            made[f"{name}: state_evolution {form} {horizon}"] = lambda rnn=rnn, f=form, T=horizon: (
                derive.state_evolution(rnn, form=f, horizon=T)
            )
    linear = ZOO["linear"]
    for form in FORMS:
        made[f"bound {form}"] = lambda f=form: scale_factor_bound(linear, f)
    for i in range(3):
        made[f"refuted {i}"] = lambda i=i: refuted_bounds(linear)[i]
    made["peak"] = lambda: scale_factor_peak(linear)
    made["rise"] = lambda: scale_factor_peak(linear).rise
    made["moments"] = lambda: moments(linear, 1)
    made["realization"] = lambda: derive.realization([1, 0.5, 0.25])
    for name in ("training_bound", "trajectory_gain", "convolution_of", "stability"):
        made[name] = lambda name=name: getattr(derive, name)(linear)
    return made


PROOFS = proofs()


def blocks_of(proof: Proof):
    return prose.proof(proof, "x").body


def references(blocks):
    return [part.label for b in blocks if isinstance(b, doc.Paragraph) for part in _parts(b) if isinstance(part, Ref)]


def _parts(paragraph):
    return paragraph.text if isinstance(paragraph.text, tuple) else (paragraph.text,)


def squeeze(text: str) -> str:
    """Without spaces, alignment and line breaks, and without the numbers of Gaussian variables."""
    bare = re.sub(r"\\quad|\\\\|[&\s]|\\begin\{aligned\}|\\end\{aligned\}", "", text)
    return re.sub(r"([uv])_\{\d+\}", r"\1", bare)


def sides(step: Step):
    claim = step.claim
    if isinstance(claim, Hypothesis | Vanishing):
        return []
    pairs = [(claim.left, claim.right)] if hasattr(claim, "left") else []
    equations = getattr(claim, "equations", ())
    return (pairs if not equations else []) + [(e.left, e.right) for e in equations]


@pytest.mark.parametrize("name", PROOFS)
def test_a_proof_reads_as_mathematics(name):
    try:
        derivation = PROOFS[name]()
    except DeriveError:
        pytest.skip("this recursion does not have this quantity")
    proof, program = derivation.proof, derivation.program
    blocks = blocks_of(proof)
    displays = [block for block in blocks if isinstance(block, doc.Equation)]
    labels = [display.label for display in displays if display.label]
    assert len(set(labels)) == len(labels) > 0
    for index, block in enumerate(blocks):  # references go back only, and every display is led to by a sentence
        before = [b.label for b in blocks[:index] if isinstance(b, doc.Equation)]
        assert set(references([block])) <= set(before)
        if isinstance(block, doc.Equation):
            assert isinstance(blocks[index - 1], doc.Paragraph)
    text = squeeze(" ".join(display.body for display in displays))
    for step in proof.steps:
        for left, right in with_laws(sides(step)):
            assert squeeze(latex(left, program)) in text, step.rule
            for term in getattr(right, "args", ()) if right.is_Add else (right,):
                assert squeeze(latex(term, program).removeprefix("-")) in text, (step.rule, term)
    known = prose.Known()
    tail, later = known.premises_line(proof), known.premises_line(proof)
    assert f"{len(proof.steps)} steps" in plain(tail.text)
    assert f"{len(proof.steps)} steps" in plain(later.text)
    assert "auditor" in plain(tail.text)
    assert "auditor" not in plain(later.text)  # how proofs are checked is told once
    section = doc.Section("s", (prose.proof(proof, "x"), tail))
    lint_tex(typeset(doc.Document("T", "A", (section,), "w")))


def test_every_rule_that_the_public_functions_can_use_has_a_sentence():
    code = """from wideproof import derive
for name in derive.__all__:
    getattr(derive, name)
from wideproof.derive.proof.rules import Rule
print(*(name for name, rule in Rule.registry.items() if not rule.says))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = {"given", "perturbation", "lemma-c1", "tensor-programs", "master-theorem", "zero-moments"}
    missing = set(done.stdout.split()) - told  # these are told by the kind of their claim
    assert not missing, f"give @rule of {sorted(missing)} the sentence it `says`"


def test_a_rule_of_the_user_is_named():
    proof = derive.scale_factors(ZOO["linear"]).proof
    last = proof.steps[-1]
    own = Proof(proof.program, proof.goal, (*proof.steps[:-1], Step("my-rule", last.claim, "me", "proved", (16, 18))))
    assert any("the rule my-rule gives" in plain(b.text) for b in blocks_of(own) if isinstance(b, doc.Paragraph))


def test_the_covariance_of_outputs_is_not_called_a_product_of_gradients():
    def words(derivation):
        return " ".join(plain(b.text) for b in blocks_of(derivation.proof) if isinstance(b, doc.Paragraph))

    for name in ("linear", "relu"):
        assert "gradients" not in words(derive.nngp(ZOO[name]))
        assert "gradients" in words(derive.ntk(ZOO[name]))


def test_a_bound_says_where_it_holds_and_a_refutation_where_it_fails():
    bound, wrong = scale_factor_bound(ZOO["linear"]), refuted_bounds(ZOO["linear"])[0]
    assert isinstance(bound.proof.goal, Inequality)
    assert isinstance(wrong.proof.goal, Counterexample)
    *_, display, domain = blocks_of(bound.proof)
    assert r"\leq" in display.body
    assert plain(domain.text).startswith("wherever ")
    *_, display, point = blocks_of(wrong.proof)
    assert " > " in display.body
    assert plain(point.text).startswith("at ")


def test_a_proof_with_a_step_left_out_lacks_its_display():
    """The mutant of the test above: what it looks for is not always there."""
    derivation = derive.scale_factors(ZOO["linear"])
    kept = derivation.proof.steps[:-1]
    shorter = Proof(derivation.program, kept[-1].claim, kept)
    text = squeeze(" ".join(b.body for b in blocks_of(shorter) if isinstance(b, doc.Equation)))
    assert squeeze(latex(derivation.proof.goal.left, derivation.program)) + "=" not in text


def displayed(blocks):
    return [x.body for block in blocks for x in doc.walk(block) if isinstance(x, doc.Equation)]


def test_a_step_that_repeats_the_theorem_refers_to_it():
    found = derive.nngp(models.gru())
    stated = {(e.left, e.right): "eq:t" for e in found.formula.process.equations}
    whole, short = ((prose.proof(found.proof, "p", None, given),) for given in (None, stated))
    assert len("".join(displayed(short))) < 0.8 * len("".join(displayed(whole)))
    assert "eq:t" in str(short)
    assert "eq:t" not in str(whole)


def test_no_equation_of_a_document_is_displayed_twice():
    """The model, the theorem and the proof of elman: its state evolution stands in one place."""
    found, known = derive.nngp(ZOO["relu"]), prose.Known()
    goal = found.formula.recurrence
    theorem = [(goal.left, goal.right), *((e.left, e.right) for e in goal.equations)]
    known.states([*found.program.updates, (sp.Symbol("y"), found.program.output)], "eq:model")
    known.states(theorem, "eq:nngp")
    known.declares(found)
    alone, after = prose.proof(found.proof, "alone"), known.proof(found.proof, "after")
    rows = [re.sub(r"[&\s]", "", row) for body in displayed((after,)) for row in body.split(r"\\")]
    assert len(set(rows)) == len(rows)
    own = "".join(displayed(prose.displays(theorem[1:], found.program, "eq:nngp")))
    assert all(row not in "".join(displayed((after,))) for row in own.split("\n") if "mathbb{E}" in row)
    assert len(displayed((after,))) <= 2 < len(displayed((alone,)))
    assert "The recursion reads" in plain(after.body[0].text)
    assert {"eq:model", "eq:nngp"} <= set(references(after.body))
