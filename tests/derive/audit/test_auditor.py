"""The auditor shares the language with the engine, and nothing that computes; hypotheses may be weak, never strong."""

import ast
import dataclasses
import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import sympy as sp

from wideproof.derive import ProofError, Recursion, define, models, moments, nngp, ntk, tanh
from wideproof.derive.audit import audit_step, worlds
from wideproof.derive.audit.auditor import highest_order
from wideproof.derive.calculus import moments as users
from wideproof.derive.calculus.gaussian_process import kernel_subject
from wideproof.derive.calculus.tangent import tangent
from wideproof.derive.expectation import symbolic_expectation as engine
from wideproof.derive.language.activations import Z
from wideproof.derive.language.errors import DeriveError, LanguageError
from wideproof.derive.language.notation import n
from wideproof.derive.proof.claims import Equation, Hypothesis, Recurrence
from wideproof.derive.proof.proof import Step, prove
from wideproof.derive.proof.rules import Rule

ROOT = Path(__file__).parents[3]
AUDIT = sorted((ROOT / "derive" / "audit").rglob("*.py"))
THOUSANDTH = sp.Rational(1001, 1000)
SHARED = ("wideproof.derive.language.", "wideproof.derive.audit.")
"""Terms and what they mean; the auditor itself."""


def imported(text):
    """(module, name) of every import from the engine in a file, outside the language and the auditor."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.startswith("wideproof"))
        elif isinstance(node, ast.ImportFrom):
            place = f"{node.module}."
            if place.startswith("wideproof.") and not place.startswith(SHARED):
                yield from ((node.module, alias.name) for alias in node.names)


def is_meaning(thing):
    """Whether an object is a class of terms, claims or errors, an index symbol, or a union of claims."""
    if isinstance(thing, type):
        return issubclass(thing, sp.Basic | DeriveError) or dataclasses.is_dataclass(thing)
    return isinstance(thing, sp.Symbol) or getattr(thing, "__module__", "") in ("types", "typing")


NAMING = ("Pair", "letters", "after", "of_pair", "pair_in")
"""Which letter stands for which moment of two runs: names that the claims of memory are written in."""


def computing(text):
    """The imports that bring more than meanings: functions, tables, modules."""
    return [
        (module, name)
        for module, name in imported(text)
        if name not in NAMING
        and (name is None or not is_meaning(getattr(importlib.import_module(module), name, importlib)))
    ]


@pytest.mark.parametrize("path", AUDIT, ids=lambda path: path.stem)
def test_the_auditor_imports_no_function_of_the_engine(path):
    assert computing(path.read_text()) == []


@pytest.mark.parametrize("text", [
    "from wideproof.derive.calculus.tangent import tangent",
    "from wideproof.derive.calculus import moments",
    "import wideproof.derive.calculus.moments",
    "from wideproof.derive.expectation.symbolic_expectation import expect",
    "from wideproof.derive.expectation.dual_activations import FACTS",
    "from wideproof.derive import ntk",
    "def late():\n    from wideproof.derive.linear.matrix_words import closures",
])  # fmt: skip
def test_the_check_of_imports_can_fail(text):
    assert computing(text) != []
    assert computing("from wideproof.derive.calculus.moments import FIRST, Moment") == []


def test_no_meaning_is_left_to_a_method_of_the_engine():
    """A class of terms may carry its textbook form; the auditor does not call it."""
    called = {
        (path.name, node.func.attr)
        for path in AUDIT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("doit", "fdiff")
    }
    assert called == set()


# ---- polynomials in the width ----------------------------------------------------------------------
def with_claim(monkeypatch, name, change):
    """The rule with a change to what it concludes."""
    known = Rule.registry[name]
    monkeypatch.setitem(Rule.registry, name, replace(known, apply=lambda *a: change(known.apply(*a))))


EXTRAS = {
    "zero at 1 and 2": (n - 1) * (n - 2),
    "zero at 1 to 3": (n - 1) * (n - 2) * (n - 3),
    "zero at 1 to 6": sp.prod([n - i for i in range(1, 7)]),
    "zero at 1 to 6, small": sp.prod([n - i for i in range(1, 7)]) / n**20,
}


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("rule", ["loop-equations", "readout-pairings"])
@pytest.mark.parametrize("quantity", [{"lag": 2}, {"lag": 1, "order": 4}, {"lag": 3, "order": 4}])
def test_a_polynomial_that_is_right_at_small_widths_is_refused(extra, rule, quantity, monkeypatch):
    with_claim(monkeypatch, rule, lambda c: replace(c, right=c.right + EXTRAS[extra]))
    with pytest.raises(ProofError, match="audit"):
        moments(models.linear_rnn(), **quantity).proof.verify()


# ---- activations of high enough degree -------------------------------------------------------------
def stated(proof):
    """The recurrence of a proof."""
    return next(step.claim for step in proof.steps if isinstance(step.claim, Recurrence))


def powers(order):
    """A state whose moments hold derivatives of up to twice its power."""
    r = Recursion("powers")
    z, u = r.matrix("W", "nu_W") @ (h := r.state("h")), r.input_map("F", "nu_F") @ r.x
    r.update(h, u**order * tanh(z + u))
    r.output(r.readout("C", "nu_C") @ h)
    return r


@pytest.mark.parametrize(("power", "kernel"), [(1, nngp), (1, ntk), (2, nngp)])
def test_a_wrong_weight_of_stein_is_refused_at_every_order(power, kernel, monkeypatch):
    proof = kernel(powers(power)).proof
    proof.verify()
    most = highest_order(proof)
    assert most >= 2 * power

    def wrong(order):
        def expect(variables, factors, cov):
            if not variables:
                return engine._node(factors, cov)
            first, rest = variables[0], variables[1:]
            total = sp.S.Zero
            for i, other in enumerate(rest):
                if (weight := cov(first, other)) != 0:
                    total += weight * expect(rest[:i] + rest[i + 1 :], factors, cov)
            for i, factor in enumerate(factors):
                weight = sp.Add(*(c * cov(first, v) for v, c in factor.form.terms))
                if weight != 0:
                    raised = engine.Factor(factor.name, factor.order + 1, factor.form)
                    weight *= THOUSANDTH if factor.order + 1 == order else 1
                    total += weight * expect(rest, (*factors[:i], raised, *factors[i + 1 :]), cov)
            return total

        return expect

    changed = []
    for order in range(1, most + 1):
        monkeypatch.setattr(users, "expect", wrong(order))
        other = kernel(powers(power)).proof
        if stated(other) != stated(proof):  # zero moments left out
            changed.append(order)
            with pytest.raises(ProofError, match="audit"):
                other.verify()
    assert max(changed) >= 2 * power


# ---- hypotheses -----------------------------------------------------------------------------------
def bent(f):
    """h = f(W h + F x)."""
    r = Recursion("bent")
    h = r.state("h")
    r.update(h, f(r.matrix("W", "nu_W") @ h + r.input_map("F", "nu_F") @ r.x))
    r.output(r.readout("C", "nu_C") @ h)
    return r


@pytest.mark.parametrize("f", [lambda z: z * tanh(z), lambda z: tanh(z) ** 2], ids=["z tanh(z)", "tanh(z)^2"])
def test_a_map_that_grows_slower_than_it_is_said_to_passes(f):
    """The first is Lipschitz in truth, and said to be polynomially bounded: enough for the theorem."""
    nngp(bent(f)).proof.verify()


def hypothesis(recursion):
    proof = nngp(recursion).proof
    return next(s for s in proof.steps if isinstance(s.claim, Hypothesis)), worlds(proof.program)


@pytest.mark.parametrize(("f", "true"), [(lambda z: z, 0), (tanh, 1), (lambda z: z**2, 2)])
def test_a_hypothesis_is_no_stronger_than_the_map(f, true):
    step, drawn = hypothesis(bent(f))
    kinds = ("affine", "Lipschitz", "polynomially bounded")
    ((state, body, _),) = step.claim.maps
    for rank, kind in enumerate(kinds):
        said = replace(step, claim=Hypothesis("tensor-programs", ((state, body, kind),)))
        if rank >= true:
            audit_step(said, drawn)
        else:
            with pytest.raises(ProofError, match="grows faster"):
                audit_step(said, drawn)


def test_a_hypothesis_is_about_the_maps_of_the_program_and_the_theorem_takes_them():
    step, drawn = hypothesis(bent(lambda z: z**2))
    ((state, body, kind),) = step.claim.maps
    for maps, theorem in (
        (((state, body * THOUSANDTH, kind),), "tensor-programs"),
        ((), "tensor-programs"),
        (((state, body, kind),), "lemma-c1"),
        (((state, body, "unbounded"),), "tensor-programs"),
    ):
        with pytest.raises(ProofError, match="audit"):
            audit_step(replace(step, claim=Hypothesis(theorem, maps)), drawn)


def test_the_first_theorem_takes_no_product_inside_a_matrix():
    r = Recursion("inside")
    h = r.state("h")
    z = r.matrix("W", "nu_W") @ h + r.input_map("F", "nu_F") @ r.x
    r.update(h, tanh(r.matrix("V", "nu_V") @ (tanh(z) * h)))
    r.output(r.readout("C", "nu_C") @ h)
    step, drawn = hypothesis(r)
    audit_step(step, drawn)
    with pytest.raises(ProofError, match="does not take"):
        audit_step(replace(step, claim=replace(step.claim, theorem="lemma-c1")), drawn)


def test_indices_are_told_apart_by_what_they_are_and_not_by_their_names():
    """A parameter whose symbol is printed as a row, a lag or a step is, but is another symbol."""
    r = Recursion("named")
    h = r.state("h")
    r.update(h, tanh(r.matrix("W", "k_0") @ h + r.input_map("F", "r_0") @ r.x + r.bias("b", "t_0")))
    r.output(r.readout("C", "c_0") @ h)
    ntk(r).proof.verify()
    for name in ("k", "r", "c"):
        with pytest.raises(LanguageError, match="no other meaning"):
            Recursion("taken").matrix("W", name)


def test_roots_in_a_definition_are_evaluated():
    r = Recursion("roots")
    h = r.state("h")
    r.update(h, tanh(r.matrix("W", sp.sqrt(2) / 2) @ h + sp.sqrt(3) * (r.input_map("F", "nu_F") @ r.x)))
    r.output(r.readout("C", "nu_C") @ h)
    proof = ntk(r).proof
    proof.verify()
    step = next(s for s in proof.steps if s.rule == "covariance")
    wrong = Step(step.rule, Equation(step.claim.left, step.claim.right * THOUSANDTH), step.source, step.status)
    if step.claim.right != 0:
        with pytest.raises(ProofError, match="audit"):
            audit_step(wrong, worlds(proof.program))


def test_a_defined_activation_is_audited_by_its_values():
    wavy = define("wavy_audited", Z + sp.sin(Z) / 2)
    nngp(bent(wavy)).proof.verify()


@pytest.mark.parametrize("quantity", [nngp, ntk])
@pytest.mark.parametrize("body", [lambda z: z + tanh(z), lambda z: z - z * tanh(z) / 3, lambda z: tanh(z) - 2 * z])
def test_a_variable_that_stands_bare_beside_its_activation_is_added_and_not_replaced(body, quantity):
    """The sum of products inside an activation and beside it is one variable of the world."""
    r = Recursion("bare")
    h = r.state("h")
    z = r.matrix("W", "nu_W") @ h + r.input_map("F", "nu_F") @ r.x
    r.update(h, body(z))
    r.output(r.readout("C", "nu_C") @ h)
    quantity(r).verify()


@pytest.mark.parametrize("make", [lambda: models.elman("tanh"), models.residual, models.linear_rnn])
def test_a_process_where_moments_close_is_refused(make):
    """A planted NotClosed would turn a recursion over two times into a sampled expectation, and verify."""
    program = make().program()
    for subject in (tangent(program), program):
        proof = prove(subject, "kernel-process", kernel_subject(subject))
        with pytest.raises(ProofError, match="recursion over two times"):
            proof.verify()


@pytest.mark.parametrize("make", [models.gru, models.mgu])
def test_a_process_of_gates_is_not(make):
    nngp(make()).proof.verify()
