"""Command lines: words that exist, words that nearly do, and numbers in every spelling."""

from __future__ import annotations

import contextlib
import io
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from typer.main import get_command

from tests.fuzz.files import corpus
from wideproof.reports.cli.app import app

VERBS = (
    "derive",
    "eval",
    "eval",
    "validate",
    "report",
    "reproduce",
    "memory",
    "models",
    "certify",
    "bench",
    "prove",
    "",
    "--help",
)
MODELS = (
    "linear-rnn",
    "elman",
    "leaky",
    "feed-forward",
    "amp",
    "elmann",
    "",
    "a.py:x",
    "a.toml",
    "\x1b[31m",
    "../..",
    "-",
    "*",
)
QUANTITIES = (
    "scale-factors",
    "impulse-response",
    "stability",
    "nngp",
    "ntk",
    "scale-factor",
    "state-evolution",
    "x" * 3000,
)
NUMBERS = (
    "0.3", "1", "0", "-1", "1e-320", "1e308", "1e999", "inf", "nan", "1_0", "٣", "1/0", "", "abc", "1e99999999",
    "9" * 5000, "0x10", "1,5", "--", "\x1b[2J", " 1", "1 ", "+1", "1e18", "2**3", "None", "True",
)  # fmt: skip
OPTIONS = (
    "--nu-W", "--nu-F", "--nu-C", "--nu-b", "--lags", "--width", "--trials", "--seed", "--activation",
    "--layers", "--steps", "--set", "--rate", "--data", "--inputs", "--outputs", "--columns", "--allow-pickle",
    "--json", "--proof", "--engine", "--method", "--device", "--budget", "--dtype", "-o", "--nu-X",
    "--list-settings", "--tied", "-h",
)  # fmt: skip
WORDS = (
    "tanh", "erf", "relu", "leaky_relu(1/5)", "leaky_relu(1e99999999)", "leaky_relu(1/0)", "identity",
    "steps=1e18", "nu_W=0.5", "steps=", "=", "daphnet", "none", "a,b", "1,2", "cuda", "cpu", "true", "false",
    "auto", "word",
)  # fmt: skip
SLOW = {"report", "reproduce", "memory", "certify", "bench", "validate"}
"""Verbs that work for minutes where their words are right: here each has a word that is wrong."""


@cache
def command() -> Any:
    """The command, made of its functions once: to read their options again costs more than a line."""
    return get_command(app)


def run(words: list[str]) -> tuple[int, str]:
    """The exit code of a command line, and what it said."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors) for errors in ("strict", "backslashreplace"))
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            command().main(words, prog_name="wideproof")
        except SystemExit as end:
            code = end.code or 0
    said = []
    for stream in (out, err):
        stream.seek(0)
        said.append(stream.read())
    return (code if isinstance(code, int) else 1), "".join(said)


def case(rng: np.random.Generator, folder: Path) -> str:
    """One command line in a folder of its own; its words, message and exit code must be ours."""
    words = line(rng, folder)
    before = os.getcwd()
    os.chdir(folder)
    try:
        code, printed = run(words)
    finally:
        os.chdir(before)
    said = printed.replace("\n", "").replace("\t", "")
    if code not in (0, 1, 2, 3) or not set("\x1b\x07\x9b\r\x08").isdisjoint(said) or "Traceback" in said:
        raise AssertionError(f"exit {code}: {said[:200]!r}")
    if code == 2 and len(said) > 9000 and "--help" not in words and "-h" not in words and words != [""]:
        raise AssertionError(f"{len(said)} characters: {said[:200]!r}")
    return "refused" if code == 2 else "answered"


def line(rng: np.random.Generator, folder: Path) -> list[str]:
    """The words of one command."""
    verb = str(rng.choice(VERBS))
    words = [verb, str(rng.choice(MODELS))]
    if verb in ("derive", "eval", "certify"):
        words.append(str(rng.choice(QUANTITIES)))
    if verb == "eval" and rng.random() < 0.6:
        words += ["--nu-W", "0.3", "--nu-F", "1", "--nu-C", "1"]
    for _ in range(rng.integers(0, 5)):
        words.append(str(rng.choice(OPTIONS)))
        if rng.random() < 0.9:
            words.append(str(rng.choice(NUMBERS if rng.random() < 0.6 else WORDS)))
    if rng.random() < 0.2:
        ending, data = corpus()[rng.integers(len(corpus()))]
        (folder / f"own{ending}").write_bytes(data[: int(rng.integers(len(data)))])
        words += ["--data", f"own{ending}"]
    if verb in SLOW:
        words += (
            ["--frobnicate", "1"] if rng.random() < 0.7 else ["--seed", str(rng.choice(("x", "1_0", "٣", "-1", "inf")))]
        )
    return [word.replace("\0", "") for word in words]
