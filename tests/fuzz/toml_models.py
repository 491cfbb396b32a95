"""Model files in TOML: good ones with values, keys or some bytes replaced, read and frozen as a program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.fuzz.texts import NASTY, broken, expression
from wideproof.derive import load_model

HEAD = """name = "NAME"
matrices = { W = { variance = "nu_W" }, V = { variance = "nu_V", tied = false } }
input_maps = { F = { variance = "nu_F" } }
readouts = { C = { variance = "nu_C" } }
biases = { b = { variance = "nu_b", mean = 0 } }
"""
GOOD = (
    HEAD + 'states = { h = {} }\nupdates = { h = "erf(W @ h + V @ h + F @ x + b)" }\noutput = "C @ h"\n',
    HEAD + 'symbols = { alpha = {} }\nstates = { h = { initial = "nu_0" }, g = {} }\noutput = "C @ (h + g)"\n'
    '[parts]\nz = "W @ h + F @ x"\n[updates]\nh = "(1 - alpha) * h + alpha * tanh(z)"\ng = "relu(V @ h.next)"\n',
    'input_maps = { F = { variance = 1 } }\nreadouts = { C = { variance = "1/2" } }\nstates = { h = {} }\n'
    'updates = { h = "sin(F @ x)" }\noutput = "C @ h"\n',
)
VALUES = (
    "true", "false", "0", "-1", "1e999", "nan", "-inf", "9" * 400, "1979-05-27T07:32:00Z", "[]", "[[1]]", "{}", '""',
    "'''\n'''", "{ variance = {} }", "[" * 200 + "]" * 200, "{a=" * 150 + "1" + "}" * 150, '"\\u0000"', '"\\u001b[31m"',
    '"__import__(\'os\').system(\'id\')"', "0x" + "F" * 40, "1_000", '"' + "h + " * 2000 + 'h"',
)  # fmt: skip
KEYS = (
    "variance", "tied", "mean", "h", "W", "output", "states", "updates", "name", "x", "\"\"", "__class__", "a.b", "é",
    '"a\\nb"', "initial", "shared", "direction", "law", "trainable",
)  # fmt: skip


def valued(rng: np.random.Generator, text: str) -> str:
    """One value after a sign of equality is another, often an expression."""
    places = [i for i, letter in enumerate(text) if letter == "="]
    at = int(rng.choice(places)) + 1 if places else 0
    end = min((e for e in (text.find(sign, at) for sign in (",", "\n", "}")) if e >= 0), default=at)
    kind = rng.random()
    if kind < 0.4:
        value = str(rng.choice(VALUES))
    else:
        words = str(rng.choice(NASTY)) if kind < 0.6 else expression(rng, int(rng.integers(1, 5)))
        value = '"' + words.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{text[:at]} {value}{text[end:]}"


def keyed(rng: np.random.Generator, text: str) -> str:
    """One line or entry more, under a key that may not be there, or twice."""
    at = int(rng.choice([i for i, letter in enumerate(text) if letter in "{\n"] or [0])) + 1
    entry = f"{rng.choice(KEYS)} = {rng.choice(VALUES)}"
    return text[:at] + (f"{entry}\n" if text[at - 1 : at] == "\n" else f" {entry}, ") + text[at:]


def cut(rng: np.random.Generator, text: str) -> str:
    """Without a piece."""
    a, b = sorted(int(x) for x in rng.integers(0, len(text) + 1, 2))
    return text[:a] + text[min(b, a + 40) :]


BREAKS: tuple[Callable[[np.random.Generator, str], str], ...] = (valued, valued, valued, keyed, cut, broken)


def case(rng: np.random.Generator, folder: Path) -> str:
    """Write one file and read it."""
    text = str(rng.choice(GOOD)).replace("NAME", str(rng.choice(["fuzzed", "é", "\\u001b[31m", "a b", "x" * 300])))
    for _ in range(rng.integers(0, 4)):
        text = BREAKS[rng.integers(len(BREAKS))](rng, text)
    data = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.05:
        data += rng.bytes(int(rng.integers(1, 40)))
    path = folder / "fuzzed.toml"
    path.write_bytes(data)
    load_model(path).program()
    return "read"
