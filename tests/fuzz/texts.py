"""Texts of recursions: updates, outputs, activations and variances as a user may write them, and as nobody should."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive import Recursion, activation
from wideproof.derive.language.activations import NAMES
from wideproof.derive.language.admissible import KNOWN, Z
from wideproof.derive.language.errors import DeriveError
from wideproof.derive.language.grammar import parse

ATOMS = (
    "h",
    "g",
    "h.next",
    "x",
    "b",
    "W",
    "V",
    "F",
    "C",
    "z",
    "pi",
    "0",
    "1",
    "2",
    "0.3",
    "1/2",
    "1e3",
    "10**99",
    "nu_W",
    "",
)
NASTY = (
    "1e99999999", "1/0", "0**-1", "9**9**9", "10**10**10", "x" * 2000, "(" * 60, "-" * 60, "9" * 60,
    "__import__('os')", "h.__class__", "lambda: 0", "W @ W @ W", "\x1b[31m", "١", "1_000", "ｈ", "\u202e",
    "h[0]", "h;h", "eval('1')", "'", "{", "a.b", "tanh(", "tanh()", "tanh(h, h)", "zoo", "oo", "nan", "I", "E",
    "S", "Integral(x)", "h.next.next", "@", "** 2", "1.5.2", "((((((((h))))))))", "W.T @ h", "h == h",
    "h if h else h", "f\"{h}\"", "\0", "\n", "𝟙", "sqrt(-1)", "log(0)", "log(-1)", "(-8)**(1/3)",
    "exp(exp(exp(exp(9))))", "max(1, I)", "2**64**2", "abs(1e9)",
)  # fmt: skip
OPERATORS = (" + ", " - ", "*", "/", " @ ", "**", ", ", " ", "")


@cache
def tables() -> tuple[dict[str, Any], dict[str, Any]]:
    """Names and functions as a model in a file has them."""
    rnn = Recursion("fuzzed")
    W, V = rnn.matrix("W", variance="nu_W"), rnn.matrix("V", variance="nu_V")
    F, C, b = rnn.input_map("F", variance="nu_F"), rnn.readout("C", variance="nu_C"), rnn.bias("b", variance="nu_b")
    h, g = rnn.state("h"), rnn.state("g")
    names = {"W": W, "V": V, "F": F, "C": C, "b": b, "h": h, "g": g, "x": rnn.x, "pi": sp.pi}
    return names, {name: activation(name) for name in ("tanh", "erf", "relu", "sigmoid", "leaky_relu", "sin")}


def expression(rng: np.random.Generator, depth: int) -> str:
    """A random expression, mostly of the grammar."""
    kind = rng.random()
    if depth == 0 or kind < 0.25:
        return str(rng.choice(NASTY if rng.random() < 0.08 else ATOMS))
    if kind < 0.35:
        return f"({expression(rng, depth - 1)})"
    if kind < 0.5:
        return f"{rng.choice([*KNOWN, *NAMES])}({expression(rng, depth - 1)})"
    if kind < 0.65:
        return f"{rng.choice(['W', 'V', 'F', 'C'])} @ {rng.choice(['h', 'g', 'x', 'h.next'])}"
    return expression(rng, depth - 1) + str(rng.choice(OPERATORS)) + expression(rng, depth - 1)


def broken(rng: np.random.Generator, text: str) -> str:
    """The text with some characters changed."""
    letters = list(text)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(0, len(letters) + 1))
        letters[at : at + int(rng.integers(0, 3))] = [
            chr(int(rng.choice((rng.integers(32, 127), rng.integers(1, 0x2FFF)))))
        ]
    return "".join(letters)


def case(rng: np.random.Generator, folder: Path) -> str:
    """Read one text: as an update or output of a model, now and then as an activation, a variance or a definition."""
    text = expression(rng, int(rng.integers(1, 5)))
    if rng.random() < 0.25:
        text = broken(rng, text)
    kind = rng.random()
    if kind < 0.85:
        return _update(rng, text)
    if kind < 0.92:
        activation(f"{rng.choice(NAMES)}({text})" if rng.random() < 0.7 else text)
        return "read"
    if kind < 0.99:
        Recursion("fuzzed").matrix("W", variance=text if rng.random() < 0.5 else _scalar(text))
        return "read"
    parse(text, {"z": Z, "pi": sp.pi}, KNOWN)
    return "read"


def _scalar(text: str) -> Any:
    names = {"nu_W": sp.Symbol("nu_W", nonnegative=True), "pi": sp.pi}
    return parse(text, names, {"sqrt": sp.sqrt, "exp": sp.exp})


def _update(rng: np.random.Generator, text: str) -> str:
    names, functions = tables()
    parse(text, names, functions)
    rnn = Recursion("fuzzed")
    W, F = rnn.matrix("W", variance="nu_W"), rnn.input_map("F", variance="nu_F")
    C, h = rnn.readout("C", variance="nu_C"), rnn.state("h")
    own = {"W": W, "V": W, "F": F, "C": C, "b": rnn.bias("b", variance="nu_b"), "h": h, "g": h, "x": rnn.x, "pi": sp.pi}
    try:
        rnn.update(h, parse(text, own, functions))
        rnn.output(C @ h)
    except DeriveError:
        return "no update"
    rnn.program()
    return "a recursion"
