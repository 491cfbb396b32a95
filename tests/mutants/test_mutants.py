"""The judge of the judge: what must be caught is caught, a planted survivor is told; and a sample of real mutants."""

from __future__ import annotations

import ast

import pytest

from tests.mutants import report, runner
from tests.mutants.known import reason
from tests.mutants.mutations import Mutant, mutants, mutated
from tests.mutants.targets import MODULES

QUICK = ("nngp of linear_rnn", "impulse_response of linear_rnn", "scale_factors of frozen", "nngp of delay")


@pytest.fixture(scope="module", name="known")
def fixture_known():
    """The quick quantities, without a mistake."""
    return runner.measured(lambda name: name in QUICK)


def first(module, function, kind, change):
    """The mutant of a function whose change reads so."""
    found = [m for m in mutants(module) if (m.function, m.kind) == (function, kind) and change in m.change]
    assert found, f"{module}:{function}: no {kind} with {change}"
    return found[0]


def outcome(mutant, known, names=QUICK):
    work = [("", lambda tell: runner.try_mutant(mutant, names, known, tell))]
    ((_, told),) = runner.in_parallel(work, 60.0)
    return runner.outcome_of(mutant, told)


def test_a_rule_wrong_by_a_thousandth_is_caught(known):
    mutant = first("wideproof.derive.calculus.moments", "Calculus.moment", "coefficient", "return 1.001")
    found = outcome(mutant, known)
    assert found.result == "caught"
    assert found.complaints
    assert not found.changed


def test_what_vanishes_at_the_widths_one_and_two_is_caught_at_others():
    """Polynomials in n are judged at more widths than their degree; a rule that is wrong from n = 3 on is refused."""
    item = "moments (2, 2, 2, 2) of linear_rnn"
    known = runner.measured(lambda name: name == item)
    for room, function in (("trace_means", "loop_equations"), ("finite_width", "readout_pairings")):
        module = f"wideproof.derive.linear.{room}"
        wrong = [m for m in mutants(module) if (m.function, m.kind) == (function, "zeros in n")]
        results = {outcome(m, known, [item]).result for m in wrong}
        assert "caught" in results
        assert results <= {"caught", "void"}


def test_what_changes_no_number_is_harmless(known):
    """Terms with a factor zero, written out, add nothing."""
    mutant = first("wideproof.derive.calculus.moments", "Calculus._bilinear", "guard", "coefficient != 0 or")
    assert outcome(mutant, known).result == "harmless"


def test_a_planted_survivor_is_told_with_the_number_that_changed(known):
    """The emitter is outside proofs: without an oracle, whatever it does to a number passes."""
    mutant = first("wideproof.derive.emit.formula", "_Emitted.__call__", "coefficient", "return 1.001")
    found = outcome(mutant, known)
    assert found.result == "survivor"
    assert any("impulse_response of linear_rnn" in x and "became" in x for x in found.changed)
    assert "survivor" in report.table([found])
    assert mutant.function in report.page([found], 1, 0, 1.0)
    kept = report.page([found], 1, 0, 1.0, f"an old table\n{report.BY_HAND}\nwords\n")
    assert kept.endswith(f"{report.BY_HAND}\nwords\n")
    assert "an old table" not in kept


def test_an_oracle_that_refuses_outranks_a_changed_number_outside_proofs_only():
    told = [
        ["nngp", "changed", "2 became 3"],
        ["test_x in a.py", "complaint", "AssertionError"],
        ["applied", "True", ""],
    ]
    for module, result in (("derive.emit.formula", "caught by oracle"), ("derive.calculus.tangent", "survivor")):
        mutant = Mutant(f"wideproof.{module}", "f", "sign", 1, "function", 1, 1, "a + b  →  a - b")
        assert runner.outcome_of(mutant, told).result == result


def test_all_oracles_are_asked_before_a_mutant_is_called_a_survivor():
    def known(is_oracle):
        return runner.Known(is_oracle, 1.0, {}, {"wideproof.derive.emit.formula": {1}})

    every = {f"test_{i} in a.py": known(True) for i in range(9)} | {f"nngp of {i}": known(False) for i in range(9)}
    names = runner.reaching(Mutant("wideproof.derive.emit.formula", "f", "sign", 1, "function", 1, 1, ""), every)
    first = next(i for i, name in enumerate(names) if name.startswith("nngp"))
    last = len(names) - next(i for i, name in enumerate(reversed(names)) if name.startswith("nngp"))
    assert (first, last, len(names)) == (3, 6, 12)
    rule = Mutant("wideproof.derive.emit.formula", "f", "sign", 1, "rule", 1, 1, "")
    assert not any(name.startswith("test_") for name in runner.reaching(rule, every))


def test_a_child_that_never_ends_is_a_timeout():
    told = [["nngp", "same", ""]]
    mutant = Mutant("wideproof.derive.emit.formula", "f", "sign", 1, "function", 1, 1, "a + b  →  a - b")
    assert runner.outcome_of(mutant, told).result == "timeout"


def test_a_change_below_a_millionth_is_seen():
    assert runner.difference({"a": [1.0, 2.0]}, {"a": [1.0, 2.0 + 1e-6]}).startswith("a[1]: 2")
    assert runner.difference({"a": [1.0]}, {"a": [[1.0]]}).startswith("a: shape")
    assert runner.difference({"a": [float("nan")]}, {"a": [float("nan")]}) == ""


def test_mutants_are_thousands_each_with_one_change_and_an_id_of_its_own():
    every = [m for module in MODULES for m in mutants(module)]
    assert len({m.id for m in every}) == len(every) > 5000
    for mutant in every[::997]:
        text = ast.unparse(mutated(mutant))
        assert text != ast.unparse(ast.parse(runner.path_of(mutant.module).read_text(encoding="utf-8")))
        compile(text, mutant.module, "exec")


def test_ids_do_not_depend_on_lines(monkeypatch):
    module = "wideproof.derive.language.variants"
    before = [m.id for m in mutants(module)]
    source = runner.path_of(module).read_text(encoding="utf-8")
    from tests.mutants import mutations

    monkeypatch.setattr(mutations, "_tree", lambda name: ast.parse("\n\n\n" + source))
    assert [mutant.id for mutant, _, _ in mutations._sites.__wrapped__(module)] == before


def test_a_seed_fixes_the_sample():
    assert [m.id for m in runner.sample(60, 1)] == [m.id for m in runner.sample(60, 1)]
    assert [m.id for m in runner.sample(60, 1)] != [m.id for m in runner.sample(60, 2)]
    assert {runner.room_of(m) for m in runner.sample(60, 1)} == {"rule", "definition", "table", "emitter", "evaluator"}


def test_a_sample_of_the_rules_is_caught(known):
    """Eight mutants of rules and definitions on quick quantities; those that survive are known."""
    reached = [m for m in runner.sample(1500, 3) if room_of_proofs(m) and runner.reaching(m, known)][:8]
    outcomes = runner.run(reached, known, lambda outcome: None)
    assert [x.mutant.id for x in outcomes if x.result == "survivor" and not reason(x.mutant)] == []
    assert sum(x.result == "caught" for x in outcomes) >= 3


def room_of_proofs(mutant):
    return runner.room_of(mutant) in ("rule", "definition")


def changes(text, width=False):
    """Kind and new text of every mutation of a function body."""
    from tests.mutants import mutations

    tree = ast.parse(text)
    places = [
        (node, *made) for *_, node in mutations._nodes(tree) for made in mutations._changes(node, ["a", "b"], width)
    ]
    found = [(kind, ast.unparse(mutations._replaced(tree, node, change))) for node, kind, change in places]
    return {(kind, new.partition("\n")[2].strip()) for kind, new in found}


def test_every_kind_of_mistake_is_made():
    """Term by term: signs, coefficients, shifts, terms, premises, guards, flags."""
    made = changes("def f(ask, t):\n    return x + 2 * ask('a', t)")
    for wanted in (
        ("sign", "return x - 2 * ask('a', t)"),
        ("coefficient", "return x + 3 * ask('a', t)"),
        ("coefficient", "return scaled_by_a_thousandth(x) + 2 * ask('a', t)"),
        ("index shift", "return x + 2 * ask('a', t + 1)"),
        ("dropped term", "return x"),
        ("doubled term", "return x + 2 * ask('a', t) + 2 * ask('a', t)"),
        ("swapped premise", "return x + 2 * ask('b', t)"),
    ):
        assert wanted in made
    assert ("dropped premise", "pass") in changes("def f(ask):\n    ask('a', t)")
    assert ("guard", "if not (a and b):\n        pass") in changes("def f():\n    if a and b:\n        pass")
    assert ("guard", "if a or b:\n        pass") in changes("def f():\n    if a and b:\n        pass")
    assert ("flag", "g(not p.tied)") in changes("def f():\n    g(p.tied)")
    assert ("swapped arguments", "g(b, a)") in changes("def f():\n    g(a, b)")
    zeros = ("zeros in n", "return times_what_is_one_at_small_widths(x)")
    assert zeros in changes("def f():\n    return x", width=True)
    assert zeros not in changes("def f():\n    return x")
    assert changes("def f():\n    raise ValueError(f'{1 + t}')") == set()
