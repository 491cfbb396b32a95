"""A program as plain data, lists and texts that JSON holds, and back: equal programs, and nothing is run.

A table says which classes there are; whatever is in no table is refused, both ways.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import sympy as sp

from wideproof.derive.language.activations import (
    Phi,
    canonical,
    define,
    definition,
    factors_of,
    is_declared,
    is_lipschitz,
    is_product,
)
from wideproof.derive.language.admissible import KNOWN, Z
from wideproof.derive.language.alternating import AlternatingProgram, Product, Source
from wideproof.derive.language.errors import LanguageError
from wideproof.derive.language.grammar import DEEPEST, shortened
from wideproof.derive.language.program import (
    NAME,
    Bias,
    Coordinate,
    Input,
    MatVec,
    Parameter,
    Previous,
    Program,
    State,
    StateCoordinate,
    Updated,
)
from wideproof.derive.language.scalars import check_names

PARTS = (Program, AlternatingProgram, Parameter, State, Previous, Updated, Input, MatVec, Bias, Source, Product)
RECORDS = {part.__name__: part for part in PARTS}
HEADS: dict[str, Any] = {c.__name__: c for c in (sp.Add, sp.Mul, sp.Pow, Phi)}
HEADS |= {c.__name__: c for name, c in KNOWN.items() if name != "sqrt"}
COORDINATE = re.compile(r"[^#\n]{1,2000}#[0-9a-f]{24}\Z")
CONSTANTS = {"pi": sp.pi, "E": sp.E}
WHERE, HINT = "a program as plain data", "Use the data that program_data wrote, by the same version."
Data = Any
"""What JSON holds: texts, whole numbers, truth values, None, lists, and dictionaries by text."""


def program_data(program: Program) -> dict[str, Data]:
    """Return a program as plain data from which `program_of` makes an equal one, activations of `define` included.

    Errors: LanguageError for a program with a part that has no plain form.
    """
    data = {"program": _plain(program), "activations": _declared(program)}
    if program_of(data) != program:
        raise LanguageError(WHERE, "a program that comes back equal", program.name, "Write it by the builder.")
    return data


def program_of(data: Mapping[str, Data]) -> Program:
    """Return the program of plain data; text in it is never evaluated.

    Errors: LanguageError for what is no such data; ParameterError for an activation declared otherwise here.
    """
    try:
        for name, (expr, lipschitz) in data["activations"].items():
            define(name, _expression(expr), lipschitz)
        found = _made(data["program"])
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, LanguageError) or hasattr(error, "hint"):
            raise
        raise LanguageError(WHERE, "its parts", shortened(str(error)), HINT) from error
    if not isinstance(found, Program):
        raise LanguageError(WHERE, "a program", type(found).__name__, HINT)
    return found


def _declared(program: Program) -> dict[str, Data]:
    """The activations of `define` that a program names, alone or in products, each with its function of z."""
    names = {str(part.args[0]) for expr in _expressions(program) for part in expr.atoms(Phi)}
    parts = {part for name in names for part in (factors_of(name) if is_product(name) else (name,))}
    own = sorted(name for name in parts if is_declared(name))
    return {name: [_tree(definition(name)), is_lipschitz(name)] for name in own}


def _expressions(value: Any) -> list[sp.Expr]:
    if isinstance(value, sp.Expr):
        return [value]
    if is_dataclass(value):
        return [x for field in fields(value) for x in _expressions(getattr(value, field.name))]
    return [x for part in value for x in _expressions(part)] if isinstance(value, tuple) else []


def _plain(value: Any) -> Data:
    if isinstance(value, sp.Expr):
        return {"expression": _tree(value)}
    if is_dataclass(value) and RECORDS.get(type(value).__name__) is type(value):
        own = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"record": type(value).__name__, **own}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, str | int):
        return value
    raise LanguageError(WHERE, "parts of the language", shortened(value), "Write the program by the builder.")


def _made(data: Data) -> Any:
    if isinstance(data, list):
        return tuple(_made(part) for part in data)
    if not isinstance(data, dict):
        return data
    if "expression" in data:
        return _expression(data["expression"])
    kind = RECORDS[data["record"]]
    if kind in (Parameter, State, Source) and not NAME.match(_text(data["name"])):
        raise LanguageError(WHERE, "names of letters, digits and _", shortened(data["name"]), HINT)
    return kind(**{field.name: _made(data[field.name]) for field in fields(kind)})


def _tree(expr: sp.Basic) -> list[Data]:
    """An expression as its head and its arguments."""
    name = type(expr).__name__
    if isinstance(expr, StateCoordinate | Coordinate):
        return [name, expr.name]
    if isinstance(expr, sp.Symbol):
        return ["Symbol", expr.name, {key: bool(x) for key, x in sorted(expr._assumptions_orig.items())}]
    if isinstance(expr, sp.Rational):
        return ["Rational", str(expr.p), str(expr.q)]
    if expr in CONSTANTS.values():
        return ["constant", next(key for key, x in CONSTANTS.items() if x == expr)]
    if HEADS.get(name) is not expr.func:
        raise LanguageError(WHERE, f"functions among {', '.join(HEADS)}", shortened(str(expr)), "Write it by these.")
    return [name, *map(_tree, expr.args)]


def _expression(tree: list[Data], depth: int = 0) -> sp.Expr:
    """The expression of a tree.  Errors: LanguageError for a head in no table, and beyond the depth of the grammar."""
    head, *rest = tree
    if depth > 4 * DEEPEST:
        raise LanguageError(WHERE, f"at most {4 * DEEPEST} functions inside each other", "more", HINT)
    match head:
        case "Coordinate" | "StateCoordinate":
            if not COORDINATE.match(_text(rest[0])):
                raise LanguageError(WHERE, "a coordinate with its digest", shortened(rest[0]), HINT)
            return (StateCoordinate if head == "StateCoordinate" else Coordinate)(rest[0])
        case "Symbol":
            name, assumed = rest
            if (name, assumed) == (Z.name, {"real": True}):
                return Z
            check_names(WHERE, (_text(name),))
            return sp.Symbol(name, **assumed)
        case "Phi":
            (_, name, _), order, argument = rest
            known = canonical(_text(name))
            return Phi(sp.Symbol(known), _expression(order), _expression(argument, depth + 1))
        case "Rational":
            return sp.Rational(*(_whole(part) for part in rest))
        case "constant":
            return CONSTANTS[rest[0]]
    if head not in HEADS:
        raise LanguageError(WHERE, f"functions among {', '.join(HEADS)}", shortened(head), HINT)
    return HEADS[head](*(_expression(part, depth + 1) for part in rest))


def _text(value: Data) -> str:
    if not isinstance(value, str):
        raise LanguageError(WHERE, "a name", shortened(value), HINT)
    return value


def _whole(value: Data) -> int:
    text = _text(value)
    if not text.lstrip("-").isdigit() or len(text) > 101:
        raise LanguageError(WHERE, "a whole number of at most 100 digits", shortened(text), HINT)
    return int(text)
