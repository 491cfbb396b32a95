"""Small mistakes, term by term: every mutation of a module that its syntax tree offers.

A mutant is a place and a kind. Places are counted within a function and kind, so that an id outlives a reformatting
and edits elsewhere in the file.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SCALED = "scaled_by_a_thousandth"
"""The name under which the process of a mutant knows `tests.mutants.scaling.scaled`."""
WIDENED = "times_what_is_one_at_small_widths"
"""The same for `tests.mutants.scaling.widened`."""
SHOWN = {SCALED: "1.001 * ", WIDENED: "(1 + (n - 1) (n - 2)) * "}
"""How calls of these are shown."""
TIMES = {"t", "s", "j", "k", "lag", "time"}
SWAPS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And,
    ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr,
}  # fmt: skip
MESSAGES = (ast.Raise, ast.Assert, ast.JoinedStr)
"""Nothing inside these is a formula: errors, what type checkers are told, texts."""
Change = Callable[[ast.AST], ast.AST]


@dataclass(frozen=True)
class Mutant:
    """One mistake: `line` ... `end` are its place in the unmutated file, `change` is it in one line.

    `scope` is "rule" in a function decorated with @rule, "function", or "table" for what runs at import.
    """

    module: str
    function: str
    kind: str
    index: int
    scope: str
    line: int
    end: int
    change: str

    @property
    def id(self) -> str:
        """module:function:index:kind."""
        return f"{self.module}:{self.function}:{self.index}:{self.kind}"


def path_of(module: str) -> Path:
    """The file of a module, as it is imported."""
    return Path(__file__).resolve().parents[2].joinpath(*module.split(".")).with_suffix(".py")


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its text."""
    return [mutant for mutant, _, _ in _sites(module)]


def mutated(mutant: Mutant) -> ast.Module:
    """The module with this one mistake."""
    for other, node, change in _sites(mutant.module):
        if other.id == mutant.id:
            return _replaced(_tree(mutant.module), node, change)
    raise LookupError(f"{mutant.id}: no such mutant today")


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


@cache
def _sites(module: str) -> list[tuple[Mutant, ast.AST, Change]]:
    found, counts = [], Counter()
    premises = sorted({_premise(node) for node in ast.walk(_tree(module))} - {""})
    width = _knows_widths(_tree(module))
    for function, scope, node in _nodes(_tree(module)):
        changes = list(_changes(node, premises, width))
        before = _line(node) if changes else ""
        for kind, change in changes:
            counts[function, kind] += 1
            after = _line(change(_copied(node)))
            if before != after:
                at = node.iter if isinstance(node, ast.comprehension) else node
                place = (counts[function, kind], scope, at.lineno, at.end_lineno)
                found.append((Mutant(module, function, kind, *place, f"{before}  →  {after}"), node, change))
    return found


def _copied(value: Any) -> Any:
    """A node with copies of all below it, for a change to write into."""
    if isinstance(value, list):
        return [_copied(x) for x in value]
    if not isinstance(value, ast.AST):
        return value
    made = type(value).__new__(type(value))
    vars(made).update((name, _copied(x)) for name, x in vars(value).items())
    return made


def _line(node: ast.AST) -> str:
    text = ast.unparse(node)
    for name, shown in SHOWN.items():
        text = text.replace(name, shown)
    return " ".join(text.split())


def _knows_widths(tree: ast.Module) -> bool:
    """Whether a module speaks of n, the width."""
    imported = (x for x in tree.body if isinstance(x, ast.ImportFrom) and x.module and x.module.endswith("notation"))
    return any(name.name == "n" for x in imported for name in x.names)


def _replaced(tree: ast.Module, node: ast.AST, change: Change) -> ast.Module:
    class Replace(ast.NodeTransformer):
        def visit(self, at: ast.AST) -> ast.AST:
            return change(_copied(at)) if at is node else self.generic_visit(at)

    def shallow(at: ast.AST) -> ast.AST:  # the transformer writes into what it visits; the place is known by identity
        if at is node or not isinstance(at, ast.AST):
            return at
        fields = {n: [shallow(x) for x in v] if isinstance(v, list) else shallow(v) for n, v in ast.iter_fields(at)}
        return ast.copy_location(type(at)(**fields), at)

    return ast.fix_missing_locations(Replace().visit(shallow(tree)))


def _nodes(tree: ast.Module) -> Iterator[tuple[str, str, ast.AST]]:
    """Every node that may be mutated, under the name of its outermost function, method or assignment."""

    def walk(node: ast.AST, name: str, scope: str) -> Iterator[tuple[str, str, ast.AST]]:
        if isinstance(node, MESSAGES) or _is_text(node):
            return
        yield name, scope, node
        for child in _children(node):
            yield from walk(child, name, scope)

    def body(statements: list[ast.stmt], prefix: str) -> Iterator[tuple[str, str, ast.AST]]:
        for x in statements:
            if isinstance(x, ast.ClassDef):
                yield from body(x.body, f"{prefix}{x.name}.")
            elif isinstance(x, ast.FunctionDef):
                scope = "rule" if any(_called(d) == "rule" for d in x.decorator_list) else "function"
                for statement in x.body:
                    yield from walk(statement, prefix + x.name, scope)
            elif isinstance(x, ast.Assign | ast.AnnAssign) and x.value is not None:
                target = x.targets[0] if isinstance(x, ast.Assign) else x.target
                yield from walk(x.value, prefix + ast.unparse(target), "table")

    yield from body(tree.body, "")


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """Children with values: no annotations, defaults, names of arguments, match patterns."""
    for name, value in ast.iter_fields(node):
        if name not in ("annotation", "returns", "args" if isinstance(node, ast.FunctionDef | ast.Lambda) else "",
                        "pattern", "target", "targets", "decorator_list"):  # fmt: skip
            yield from (x for x in (value if isinstance(value, list) else [value]) if isinstance(x, ast.AST))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _called(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _premise(node: ast.AST) -> str:
    """The rule that a call of `ask` names."""
    if _called(node) == "ask" and isinstance(node.args[0], ast.Constant):
        return str(node.args[0].value)
    return ""


# ---- the kinds ----------------------------------------------------------------------------------------
def _changes(node: ast.AST, premises: list[str], width: bool = False) -> Iterator[tuple[str, Change]]:
    yield from _of_values(node)
    yield from _of_widths(node) if width else ()
    yield from _of_guards(node)
    yield from _of_statements(node)
    match node:
        case ast.BinOp():
            yield from _of_terms(node)
        case ast.Call():
            yield from _of_calls(node, premises)
        case ast.Tuple(elts=[_, _, *_]) if not isinstance(node.ctx, ast.Store):
            yield "swapped arguments", lambda x: ast.Tuple([x.elts[1], x.elts[0], *x.elts[2:]], x.ctx)
        case ast.GeneratorExp() | ast.ListComp():
            yield "coefficient", lambda x: type(x)(_scaled(x.elt), x.generators)


def _of_values(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.UnaryOp(op=ast.USub()):
            yield "sign", lambda x: x.operand
        case ast.Constant(value=bool()):
            yield "flag", lambda x: ast.Constant(not x.value)
        case ast.Constant(value=int() | float()):
            yield "coefficient", _other_number
        case ast.Name(id=name, ctx=ast.Load()) if name in TIMES:
            yield "index shift", lambda x: ast.BinOp(x, ast.Add(), ast.Constant(1))
        case ast.Attribute(attr="tied" | "trainable" | "shared" | "backward", ctx=ast.Load()):
            yield "flag", lambda x: ast.UnaryOp(ast.Not(), x)
        case ast.Attribute(attr="Zero" | "One", value=ast.Attribute(attr="S")):
            yield "coefficient", lambda x: ast.BinOp(x, ast.Add(), ast.Constant(1))


def _of_guards(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPS:
            yield "guard", lambda x: ast.Compare(x.left, [SWAPS[type(x.ops[0])]()], x.comparators)
        case ast.BoolOp():
            yield "guard", lambda x: ast.BoolOp(SWAPS[type(x.op)](), x.values)
        case ast.If() | ast.IfExp():
            yield "guard", _not_tested
        case ast.comprehension(ifs=[_, *_]):
            yield "guard", lambda x: ast.comprehension(x.target, x.iter, x.ifs[1:], x.is_async)


def _of_statements(node: ast.AST) -> Iterator[tuple[str, Change]]:
    match node:
        case ast.Return(value=ast.expr()):
            yield "coefficient", lambda x: ast.Return(_scaled(x.value))
        case ast.Assign(targets=[ast.Name()], value=value) if not isinstance(value, ast.Constant):
            yield "coefficient", lambda x: ast.copy_location(ast.Assign(x.targets, _scaled(x.value)), x)
        case ast.AugAssign(op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() | ast.BitOr()):
            yield "dropped term", lambda x: ast.Pass()
        case ast.Expr(value=ast.Call()):
            yield ("dropped premise" if "ask" in _called(node.value) else "dropped term"), lambda x: ast.Pass()


def _of_widths(node: ast.AST) -> Iterator[tuple[str, Change]]:
    """An extra factor that is 1 at the widths 1 and 2, of what is returned, named or added."""
    match node:
        case ast.Return(value=ast.expr()):
            yield "zeros in n", lambda x: ast.Return(_widened(x.value))
        case ast.Assign(targets=[ast.Name()], value=value) if not isinstance(value, ast.Constant):
            yield "zeros in n", lambda x: ast.copy_location(ast.Assign(x.targets, _widened(x.value)), x)
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            yield "zeros in n", lambda x: ast.BinOp(_widened(x.left), x.op, x.right)
            yield "zeros in n", lambda x: ast.BinOp(x.left, x.op, _widened(x.right))
        case ast.GeneratorExp() | ast.ListComp():
            yield "zeros in n", lambda x: type(x)(_widened(x.elt), x.generators)


def _of_terms(node: ast.BinOp) -> Iterator[tuple[str, Change]]:
    if type(node.op) not in SWAPS:
        return
    yield (
        ("sign" if isinstance(node.op, ast.Add | ast.Sub) else "operator"),
        (lambda x: ast.BinOp(x.left, SWAPS[type(x.op)](), x.right)),
    )
    yield "dropped term", lambda x: x.left
    yield "dropped term", lambda x: x.right
    if isinstance(node.op, ast.Add | ast.Sub):
        yield "doubled term", lambda x: ast.BinOp(x, x.op, x.right)
        yield "coefficient", lambda x: ast.BinOp(_scaled(x.left), x.op, x.right)
        yield "coefficient", lambda x: ast.BinOp(x.left, x.op, _scaled(x.right))


def _of_calls(node: ast.Call, premises: list[str]) -> Iterator[tuple[str, Change]]:
    here = _premise(node)
    if here and len(premises) > 1:
        other = premises[(premises.index(here) + 1) % len(premises)]
        yield "swapped premise", lambda x: ast.Call(x.func, [ast.Constant(other), *x.args[1:]], x.keywords)
    elif len(node.args) > 1 and not any(isinstance(x, ast.Starred) for x in node.args):
        yield "swapped arguments", lambda x: ast.Call(x.func, [x.args[1], x.args[0], *x.args[2:]], x.keywords)
        yield "dropped term", lambda x: ast.Call(x.func, x.args[:-1], x.keywords)


def _other_number(node: ast.Constant) -> ast.Constant:
    return ast.Constant(node.value + 1 if isinstance(node.value, int) else 1.001 * node.value if node.value else 0.001)


def _not_tested(node: ast.If | ast.IfExp) -> ast.AST:
    node.test = ast.UnaryOp(ast.Not(), node.test)
    return node


def _scaled(value: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(SCALED, ast.Load()), [value], [])


def _widened(value: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(WIDENED, ast.Load()), [value], [])
