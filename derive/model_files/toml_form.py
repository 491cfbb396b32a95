"""A recursion declared in TOML: tables of names, and expressions as text. Reading one runs nothing that it says.

    name = "two-gain"
    symbols = { alpha = {} }
    matrices = { W = { variance = "nu_W" }, V = { variance = "nu_V", tied = false } }
    input_maps = { F = { variance = "nu_F" } }
    readouts = { C = { variance = "nu_C" } }
    biases = { b = { variance = "nu_b", mean = 0 } }
    states = { h = {} }
    activations = { mish = "z * tanh(log(1 + exp(z)))" }
    parts = { drive = "F @ x + b" }
    updates = { h = "(1 - alpha) * h + alpha * mish(W @ h + V @ h + drive)" }
    output = "C @ h"

Expressions are read by `derive.language.grammar`; a name stands for what the file declares, and for nothing else. A
variance, a mean or a start that is one name declares that symbol. Sizes are limited, so that every file ends at once.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sympy as sp

from wideproof.derive.language.activations import NAMES, activation, define
from wideproof.derive.language.errors import ELSEWHERE, DeriveError, LanguageError, meant
from wideproof.derive.language.grammar import parse, shortened
from wideproof.derive.language.notation import parameter, real_parameter
from wideproof.derive.language.program import NAME
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.language.scalars import check_names, flag, scalar
from wideproof.derive.model_files.expression_size import Size, called

BYTES, NAMED, STATES, DOTS, OPERATIONS = 64 * 1024, 400, 64, 250, 4000
"""Size of a file; names that it declares; states among them; dots of one key; operations of all expressions."""
PARAMETER = {"variance": 1, "tied": True, "trainable": True}
"""What a matrix, an input map, a readout or a bias may say, and what it is where nothing is said."""
TABLES: dict[str, dict[str, Any]] = {
    "symbols": {"nonnegative": True},
    "matrices": PARAMETER,
    "input_maps": PARAMETER,
    "readouts": PARAMETER,
    "biases": {**PARAMETER, "mean": 0},
    "states": {"initial": 0, "shared": False, "direction": "forward"},
}
"""Tables of declarations, and the keys of each declaration with their defaults."""
TEXTS = ("activations", "parts", "updates")
KEYS = ("name", *TABLES, *TEXTS, "output")
SCALARS: dict[str, Callable[[str], sp.Symbol]] = {
    "variance": parameter, "initial": parameter, "mean": real_parameter,
}  # fmt: skip
"""Keys that take a number, a name or an expression in symbols, and the symbol that a single name declares."""
ROLES = {"matrices": "matrix", "input_maps": "input_map", "readouts": "readout", "biases": "bias", "states": "state"}
DECLARE = "Other names are declared in the tables of the file, coefficients in symbols."
TITLES = {role: title for title, role in ROLES.items()}
PYTHON: dict[str, str | Callable[[re.Match[str]], str]] = {
    r"\w+ = rnn\.(\w+)\('(\w+)', variance='(\w+)'\)": lambda m: (
        f'{TITLES[m[1]]} = {{ {m[2]} = {{ variance = "{m[3]}" }} }}'
    ),
    r"\w+ = rnn\.(\w+)\('(\w+)'\)": lambda m: f"{TITLES[m[1]]} = {{ {m[2]} = {{}} }}",
    r"rnn\.update\((\w+), (.+?)\)(?=[.;]|$)": lambda m: f'updates = {{ {m[1]} = "{m[2]}" }}',
    r"rnn\.output\((.+?)\)(?=[.;]|$)": lambda m: f'output = "{m[1]}"',
    r"rnn\.(matrix|input_map|readout|bias|state)\(…\)": lambda m: f"it in {TITLES[m[1]]}",
    r"rnn\.x": "x",
    r"wideproof\.define\(name, expression\)": 'activations = { name = "expression in z" }',
    r"wideproof\.(\w+)\(": r"\1(",
}
"""Lines of the builder in hints, as patterns, and what is written in a file for them."""
Declarations = dict[str, dict[str, dict[str, Any]]]


def recursion_of(text: str, name: str) -> Recursion:
    """The recursion that a TOML text declares, complete; `name` is its name where the text gives none.

    Errors: LanguageError or ShapeError for what is no TOML, what is not in the schema or the grammar, and beyond the
    limits; ParameterError for an activation that cannot be one.
    """
    document = _document(text)
    given = document.get("name", name)
    if not isinstance(given, str):
        raise LanguageError("name", "text", shortened(given), 'For example name = "my-rnn".')
    made = _Declared(Recursion(given), _declarations(document), _texts(document)).recursion
    made.program()
    return made


def _document(text: str) -> dict[str, Any]:
    """The tables of a text.  Errors: LanguageError for what is no TOML, and for keys outside the schema."""
    if len(text.encode(errors="surrogatepass")) > BYTES:
        hint = "A model takes a few lines; write a longer one in Python: FILE.py:NAME."
        raise LanguageError("file", f"at most {BYTES // 1024} kB", "more", hint)
    if max(piece.count(".") for piece in re.split(r"[=,\[\]{}\n]", text)) > DOTS:  # tomllib takes the square of them
        raise LanguageError("file", f"keys of at most {DOTS} dots", "more", "No key of a model needs more than two.")
    try:
        document = tomllib.loads(text, parse_float=_decimal)
    except (ValueError, RecursionError) as error:  # int() refuses thousands of digits with a ValueError
        raise LanguageError("file", "TOML", shortened(str(error)), "https://toml.io describes the form.") from None
    _check_keys("file", document, KEYS)
    if "output" not in document:
        raise LanguageError("output", "the output of the model", "none", 'For example output = "C @ h".')
    return document


def _decimal(text: str) -> str:
    """A decimal as it is written, which the grammar reads exactly.  Errors: ValueError for nan, inf and exponents."""
    if not re.fullmatch(r"[+-]?[0-9_]+\.[0-9_]+", text):
        raise ValueError(f"{text[:9]}: write a decimal such as 0.001, or 10**-3 in quotes")
    return text.replace("_", "")


def _check_keys(where: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            hint = f"{meant(key, known)}Declare names inside one of these tables."
            if ELSEWHERE.get(key) == "variance" and "variance" in known:
                hint = f"{meant(key, known)}It is the square of the standard deviation."
            raise LanguageError(where, f"the keys {', '.join(known)}", shortened(repr(key)), hint)


def _table(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LanguageError(where, "a table of names", shortened(repr(value)), f"For example {where} = {{ h = … }}.")
    return value


def _declarations(document: Mapping[str, Any]) -> Declarations:
    """Every declaration with its defaults filled in.  Errors: LanguageError for other keys, and for too many names."""
    found: Declarations = {}
    for title, defaults in TABLES.items():
        found[title] = {}
        for name, given in _table(title, document.get(title, {})).items():
            where = f"{title}.{_shown(name)}"
            _check_keys(where, _table(where, given), tuple(defaults))
            found[title][name] = {**defaults, **given}
    count = sum(map(len, found.values()))
    for most, came, what in ((STATES, len(found["states"]), "states"), (NAMED, count, "declared names")):
        if came > most:
            raise LanguageError("file", f"at most {most} {what}", came, "Write a larger model in Python: FILE.py:NAME.")
    return found


def _texts(document: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The tables of expressions, the output among the updates' like.  Errors: LanguageError for what is no text."""
    found = {title: _table(title, document.get(title, {})) for title in TEXTS}
    for title, table in (*found.items(), ("output", {"": document["output"]})):
        if len(table) > NAMED:
            raise LanguageError(title, f"at most {NAMED} of them", len(table), "Join some of them.")
        for name, text in table.items():
            if not isinstance(text, str):
                where = f"{title}.{_shown(name)}".rstrip(".")
                raise LanguageError(where, "an expression as text", shortened(repr(text)), 'For example "C @ h".')
    return {**found, "output": {"": document["output"]}}


class _Declared:
    """One reading of a file: its names, what they stand for, and how large that is."""

    def __init__(self, recursion: Recursion, declared: Declarations, texts: dict[str, dict[str, str]]) -> None:
        self.recursion, self.texts = recursion, texts
        self.names: dict[str, Any] = {}
        self.sizes: dict[str, Size] = {}
        self.operations = 0
        self.scalars = self._symbols(declared)
        for name, symbol in self.scalars.items():
            self._put(name, symbol)
        for title, role in ROLES.items():
            for name, given in declared[title].items():
                self._declare(role, name, given)
        self._put("x", recursion.x)
        self._put("pi", sp.pi)
        self.functions: dict[str, Callable[..., Any]] = {name: _applied(name) for name in NAMES}
        self._activations()
        self._parts()
        self._updates(list(declared["states"]))
        with _at("output"):
            recursion.output(self._read(texts["output"][""], "output"))

    # ---- names ----------------------------------------------------------------------------------------
    def _put(self, name: str, value: Any, size: Size | None = None) -> None:
        if name in self.names:
            raise LanguageError(
                "file", "one meaning for each name", f"{name!r} twice", "x is the input and pi the number."
            )
        self.names[name], self.sizes[name] = value, size or Size()

    def _symbols(self, declared: Declarations) -> dict[str, sp.Symbol]:
        """The symbols of the table, then those that a variance, a mean or a start names."""
        found: dict[str, sp.Symbol] = {}
        for name, given in declared["symbols"].items():
            where = f"symbols.{_shown(name)}"
            check_names(where, (name,))
            found[name] = (parameter if flag(where, given["nonnegative"]) else real_parameter)(name)
        for title in ROLES:
            for name, given in declared[title].items():
                for key, symbol in SCALARS.items():
                    text = given.get(key)
                    if isinstance(text, str) and NAME.match(text) and text not in found and text != "pi":
                        where = f"{title}.{_shown(name)}.{key}"
                        found[text] = scalar(where, text, symbol)
        return found

    def _declare(self, role: str, name: str, given: dict[str, Any]) -> None:
        exact = {key: self._scalar(f"{role} {_shown(name)}: {key}", given[key]) for key in SCALARS if key in given}
        self._put(name, getattr(self.recursion, role)(name, **{**given, **exact}))

    def _scalar(self, where: str, value: Any) -> Any:
        """A number, or the expression in symbols that a text stands for."""
        if not isinstance(value, str):
            return value
        known = {**self.scalars, "pi": sp.pi}
        with _at(where):
            parse(value, dict.fromkeys(known, Size()), {"sqrt": called}, where)
            return parse(value, known, {"sqrt": sp.sqrt}, where)

    # ---- expressions ----------------------------------------------------------------------------------
    def _activations(self) -> None:
        for name, text in self.texts["activations"].items():
            if name in self.functions:
                hint = "These have one already: " + ", ".join(NAMES) + "."
                raise LanguageError("activations", "names without a meaning", repr(name), hint)
            self.functions[name] = define(name, text)

    def _parts(self) -> None:
        for name, text in self.texts["parts"].items():
            where = f"parts.{_shown(name)}"
            if not NAME.match(name):
                raise LanguageError(where, "a name of letters, digits and _, letter first", repr(name), "Rename it.")
            self._put(name, *self._sized(text, where))

    def _updates(self, states: list[str]) -> None:
        updates = self.texts["updates"]
        _check_keys("updates", updates, tuple(states))
        for name in states:
            where = f"updates.{name}"
            if name not in updates:
                raise LanguageError(where, "an update for each state", "none", f'For example {name} = "tanh(W @ h)".')
            with _at(where):
                self.recursion.update(self.names[name], self._read(updates[name], where))

    def _read(self, text: str, where: str) -> Any:
        return self._sized(text, where)[0]

    def _sized(self, text: str, where: str) -> tuple[Any, Size]:
        """What an expression stands for, and its size, which is found and limited before anything is made."""
        with _at(where):
            size = parse(text, self.sizes, dict.fromkeys(self.functions, called), where)
            size = size if isinstance(size, Size) else Size()
            self.operations += size.nodes
            if self.operations > OPERATIONS:
                hint = "Write a larger model in Python: FILE.py:NAME."
                raise LanguageError(where, f"at most {OPERATIONS} operations in a file", "more of them", hint)
            return parse(text, self.names, self.functions, where), size


@contextmanager
def _at(where: str) -> Iterator[None]:
    """Errors of what is made here say where in the file its text stands."""
    try:
        yield
    except DeriveError as error:
        hint = _in_toml(error.hint)
        if error.expected.startswith("one of the names") and DECLARE not in hint:
            hint = f"{hint} {DECLARE}"
        told = error.hinting(hint)
        raise (told if told.where.startswith(where) else told.within(where)) from None


def _in_toml(hint: str) -> str:
    """A hint whose lines of Python are lines of a file."""
    for line, written in PYTHON.items():
        hint = re.sub(line, written, hint)
    return hint


def _shown(name: str) -> str:
    """A key of a file, which may be any text, as one that a terminal can show."""
    return shortened(ascii(name)[1:-1])


def _applied(name: str) -> Callable[..., sp.Expr]:
    """An activation of the table as a function of its argument and parameters: leaky_relu(z, 1/5)."""
    return lambda z, *parameters: activation(name, *parameters)(z)
