"""Calls of the public functions with arguments that no one should give, and with some that one may."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

import wideproof as wp

SYMBOLS = ("nu_W", "nu_F", "nu_b", "nu_C")
GOOD = {"nu_W": 0.5, "nu_F": 1.0, "nu_b": 0.1, "nu_C": 1.0}


def odd(rng: np.random.Generator) -> Any:
    """One value of a kind that does not belong where it is put, or barely does."""
    makers: tuple[Callable[[], Any], ...] = (
        lambda: None, lambda: True, lambda: -1, lambda: 0, lambda: 1, lambda: 8.0, lambda: 1.5, lambda: np.nan,
        lambda: np.inf, lambda: -np.inf, lambda: "3", lambda: "", lambda: b"x", lambda: [], lambda: (), lambda: {},
        lambda: object(), lambda: set(), lambda: np.float64(0.3), lambda: np.int8(3), lambda: np.bool_(True),
        lambda: 1j, lambda: Fraction(1, 3), lambda: Decimal("0.3"), lambda: sp.Rational(1, 3), lambda: sp.Symbol("q"),
        lambda: sp.nan, lambda: sp.oo, lambda: sp.I, lambda: 10**400, lambda: -(10**400), lambda: 1e308, lambda: 5e-324,
        lambda: 1e-320, lambda: lambda x: x, lambda: print, lambda: "\x1b[31m", lambda: "x" * 10_000,
        lambda: np.array([1.0, 2.0]), lambda: np.array([]), lambda: np.array(3.0), lambda: range(3), lambda: Path("x"),
        lambda: np.array([None, object()]), lambda: np.ma.masked_array([1.0, 2.0], [True, False]), lambda: type,
    )  # fmt: skip
    return makers[rng.integers(len(makers))]()


def inputs(rng: np.random.Generator) -> Any:
    """Sequences: good ones, of extreme sizes, of other shapes and types, or something else."""
    shape = tuple(int(x) for x in rng.integers(0, 4, rng.integers(0, 5))) if rng.random() < 0.3 else (2, 3, 2)
    x = rng.standard_normal(shape)
    changes: tuple[Callable[[], Any], ...] = (
        lambda: x, lambda: 0 * x, lambda: 1e150 * x, lambda: 1e-160 * x, lambda: 1e308 * x, lambda: 5e-324 * x,
        lambda: x * np.nan, lambda: x * 1j, lambda: x.astype("f4"), lambda: x.astype(int), lambda: x.astype(object),
        lambda: x.astype(str), lambda: x.tolist(), lambda: np.ma.masked_array(x, x > 0), lambda: x > 0,
        lambda: [x[0], x[:1]] if x.ndim and len(x) else x, lambda: x.astype("M8[s]"), lambda: x[..., None],
        lambda: np.where(x > 1, np.inf, x), lambda: np.broadcast_to(x[:1], x.shape) if x.ndim else x,
    )  # fmt: skip
    return odd(rng) if rng.random() < 0.2 else changes[rng.integers(len(changes))]()


@cache
def recursions() -> tuple[wp.Recursion, ...]:
    return (wp.models.linear_rnn(), wp.models.elman(), wp.models.elman(activation="relu"), wp.models.feed_forward(2))


@cache
def formulas() -> tuple[Any, ...]:
    """Compiled formulas with the names of their arguments."""
    linear = wp.models.linear_rnn()
    made = (wp.scale_factors(linear), wp.impulse_response(linear), wp.stability(linear))
    return tuple((d.formula.compile("numpy"), tuple(d.formula.symbols)) for d in made)


def _numbers(rng: np.random.Generator, names: tuple[str, ...]) -> dict[str, Any]:
    chosen = {name: GOOD.get(name, 1.0) for name in names}
    for name in names:
        if rng.random() < 0.3:
            chosen[name] = odd(rng)
        elif rng.random() < 0.2:
            chosen[name] = float(10.0 ** rng.uniform(-320, 308))
        if rng.random() < 0.03:
            del chosen[name]
    return chosen | ({str(odd(rng))[:50]: odd(rng)} if rng.random() < 0.03 else {})


# ---- the calls ------------------------------------------------------------------------------------------
def kernel(rng: np.random.Generator) -> None:
    recursion = recursions()[rng.integers(4)] if rng.random() < 0.95 else odd(rng)
    known = tuple(recursion.program().symbols) if isinstance(recursion, wp.Recursion) else SYMBOLS
    options = {name: odd(rng) for name in ("backend", "readout", "parameterization", "memory") if rng.random() < 0.05}
    if rng.random() < 0.3:
        options["readout"] = str(rng.choice(["all", "last", "average"]))
    found = wp.Kernel(recursion, **_numbers(rng, known), **options)
    x = inputs(rng)
    others = () if rng.random() < 0.5 else (inputs(rng),)
    choice = rng.integers(4)
    if choice == 0:
        found.nngp(x, *others)
    elif choice == 1:
        found.ntk(x, *others, **({"parameters": odd(rng)} if rng.random() < 0.1 else {}))
    elif choice == 2:
        found.evaluate("ntk" if rng.random() < 0.9 else odd(rng), x, *others)
    else:
        found.evaluate("nngp", x, *others)


def formula(rng: np.random.Generator) -> None:
    call, names = formulas()[rng.integers(len(formulas()))]
    call(**_numbers(rng, names))


def builder(rng: np.random.Generator) -> None:
    """A recursion whose parts are named, sized and written by chance."""

    def pick(good: Any) -> Any:
        return odd(rng) if rng.random() < 0.15 else good

    rnn = wp.Recursion(pick("fuzzed"))
    W = rnn.matrix(pick("W"), variance=pick("nu_W"), tied=pick(True))
    F = rnn.input_map(pick("F"), variance=pick("nu_F"))
    C = rnn.readout(pick("C"), variance=pick("nu_C"), trainable=pick(True))
    b = rnn.bias(pick("b"), variance=pick("nu_b"), mean=pick(0))
    h = rnn.state(pick("h"), initial=pick(0), shared=pick(False))
    act = wp.activation(
        pick(str(rng.choice(["tanh", "relu", "leaky_relu"]))), *([odd(rng)] if rng.random() < 0.1 else [])
    )
    rnn.update(pick(h), pick(act(W @ pick(h) + F @ pick(rnn.x) + b)))
    rnn.output(pick(C @ h))
    rnn.program()


def model(rng: np.random.Generator) -> None:
    name = str(rng.choice(["elman", "leaky", "stacked", "feed_forward", "deep_linear", "amp", "gru", "bidirectional"]))
    second = [odd(rng)] if rng.random() < 0.2 and name in ("elman", "stacked", "feed_forward", "gru") else []
    getattr(wp.models, name)(odd(rng), *second)


def declared(rng: np.random.Generator) -> None:
    wp.define(
        odd(rng) if rng.random() < 0.5 else "fuzzed_1",
        odd(rng),
        **({"lipschitz": odd(rng)} if rng.random() < 0.3 else {}),
    )


def simulated(rng: np.random.Generator) -> None:
    """Networks of a few units: gradients, empirical kernels, training."""
    recursion = recursions()[rng.integers(4)]
    width = odd(rng) if rng.random() < 0.3 else 4
    width = 4 if isinstance(width, int) and width > 1000 else width
    nu = _numbers(rng, tuple(recursion.program().symbols))
    wp.empirical_ntk(recursion, inputs(rng), width=width, seed=odd(rng) if rng.random() < 0.3 else 1, **nu)


@cache
def kernels() -> tuple[wp.Kernel, ...]:
    found = (wp.Kernel(r, readout="last", **{n: GOOD.get(n, 1.0) for n in r.program().symbols}) for r in recursions())
    return tuple(found)


def posterior(rng: np.random.Generator) -> None:
    """Prediction from inputs and targets that may not be any."""
    known = kernels()[rng.integers(4)] if rng.random() < 0.95 else odd(rng)
    x, new = (rng.standard_normal((2, 3, 2)) if rng.random() < 0.6 else inputs(rng) for _ in range(2))
    y = rng.standard_normal(2) if rng.random() < 0.5 else inputs(rng)
    if rng.random() < 0.5:
        wp.posterior(known, x, y, new, **({"noise": odd(rng)} if rng.random() < 0.3 else {}))
    else:
        trained = wp.WideTraining(known, x, y, **({"ridge": odd(rng)} if rng.random() < 0.2 else {}))
        trained.flow(odd(rng) if rng.random() < 0.3 else 1.0, new)
        trained.descend(odd(rng) if rng.random() < 0.3 else 5, odd(rng) if rng.random() < 0.3 else None, new)


CALLS = (kernel, kernel, kernel, formula, builder, model, declared, simulated, posterior)


def case(rng: np.random.Generator, folder: Path) -> str:
    """One call."""
    CALLS[rng.integers(len(CALLS))](rng)
    return "answered"
