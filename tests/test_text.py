"""Text that a user writes is read by our grammar and never evaluated: a walk over the source says so."""

import ast
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BANNED = {"eval", "exec", "compile", "parse_expr", "S", "sympify", "lambdify", "nsimplify", "parse_latex", "__import__"}
ALLOWED = {
    ("derive/algebra/array_code.py", "lambdify"): "the emitter: what proofs concluded, by a printer that refuses",
    ("derive/algebra/ball_code.py", "lambdify"): "the same for balls: a printer of its own, that refuses too",
    (
        "derive/emit/sweeps/compiled_text.py",
        "compile",
    ): "the emitter of sweeps: letters of its own, a printer that refuses",
    ("derive/emit/sweeps/compiled_text.py", "exec"): "the same text",
    ("derive/emit/lag_grid.py", "lambdify"): "coefficients of a derived recurrence, by the same printer",
    ("derive/expectation/steep_places.py", "lambdify"): "declared activations, admissible expressions by then",
    ("derive/audit/growth.py", "lambdify"): "the audit: maps of a program, whose functions are those of the language",
    ("derive/audit/meanings.py", "lambdify"): "the audit: integrands of claims",
    ("derive/audit/memory_horizon.py", "lambdify"): "the audit: definitions of activations",
}


@lru_cache(maxsize=1)
def nodes(text):
    """All nodes of a text, which is read once for both questions."""
    return tuple(ast.walk(ast.parse(text)))


def calls(text):
    """Calls that can evaluate text, with their line: on what is no literal, and not strict."""
    for node in nodes(text):
        if not isinstance(node, ast.Call):
            continue
        plain = isinstance(node.func, ast.Name)
        name = node.func.id if plain else getattr(node.func, "attr", "")
        if not plain and name in ("compile", "eval") and not _is_builtin(node.func):
            continue  # methods of our own
        strict = any(k.arg == "strict" and getattr(k.value, "value", None) is True for k in node.keywords)
        literal = bool(node.args) and all(isinstance(x, ast.Constant) for x in node.args)
        if name in BANNED and not literal and not (name == "sympify" and strict):
            yield name, node.lineno


def _is_builtin(function):
    return getattr(function.value, "id", "") in ("builtins", "__builtins__")


def handed_on(text):
    """The same functions passed as values, such as map(sp.sympify, …)."""
    called = {id(node.func) for node in nodes(text) if isinstance(node, ast.Call)}
    for node in nodes(text):
        if id(node) not in called and getattr(node, "attr", "") in BANNED - {"S", "compile", "eval"}:
            yield node.attr, node.lineno


FILES = sorted(path for floor in ("derive", "numeric", "reports") for path in (ROOT / floor).rglob("*.py"))


def test_no_text_is_evaluated_anywhere():
    found = {}
    for path in FILES:
        place, text = path.relative_to(ROOT).as_posix(), path.read_text()
        wrong = [x for x in (*calls(text), *handed_on(text)) if (place, x[0]) not in ALLOWED]
        found |= {place: wrong} if wrong else {}
    assert found == {}


def test_every_exception_is_still_needed():
    for place, name in ALLOWED:
        assert name in {x for x, _ in calls((ROOT / place).read_text())}, place


@pytest.mark.parametrize("text", [
    "sp.sympify(x)", "sympify(x, locals={})", "sp.sympify(x, strict=False)", "sp.S(text)", "eval(text)", "exec(text)",
    "parse_expr(text)", "sp.parse_expr(text)", "lambdify(z, text)", "sp.nsimplify(x)", "__import__(name)",
    "builtins.eval(text)", "compile(text, '', 'eval')", "f = map(sp.sympify, texts)",
])  # fmt: skip
def test_the_walk_can_fail(text):
    assert [*calls(text), *handed_on(text)] != []


@pytest.mark.parametrize(
    "text", ["sp.sympify(x, strict=True)", "sp.S(1)", "formula.compile(x)", "sp.S.One", "re.compile(x)"]
)
def test_the_walk_lets_pass_what_evaluates_no_text(text):
    assert [*calls(text), *handed_on(text)] == []
