"""Measure the coefficient of 1/n of many random networks beside the derived one.

`python -m tests.width_corrections` prints the table of docs/corrections.md; `--trials 20000` draws fewer networks. A
layer of a net with fresh weights is drawn from its law given the overlaps of the layer before; of a tied recursion all
matrices are drawn. The tangent kernel is the mean square of the response to a random perturbation of all parameters.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import special

from wideproof.derive import models, nngp, nngp_correction, ntk, ntk_correction
from wideproof.numeric.core.width_ladder import first_correction

INPUTS = np.array([[1.0, 0.3, 0.2, 0.1], [0.3, 1.0, 0.1, 0.4], [0.2, 0.1, 1.0, 0.3], [0.1, 0.4, 0.3, 1.0]])
"""Inner products of the inputs of one sequence."""
NU = {"nu_W": 1.5, "nu_F": 1.25, "nu_C": 1.0, "nu_b": 0.1}
WIDTHS = np.array([8.0, 16.0, 32.0, 64.0])
DEGREE, SEED, TRIALS, LARGEST = 2, 17, 200_000, 3.5
Pair = tuple[Any, Any]
ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: (z > 0).astype(float)),
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "erf": (special.erf, lambda z: 2.0 / np.sqrt(np.pi) * np.exp(-z * z)),
}


def layers(rng: np.random.Generator, name: str, depth: int, width: int, trials: int) -> Pair:
    """Kernels of nets with fresh weights, given the states: shape (trials,) each."""
    phi, slope = ACTIVATIONS[name]
    variance, moved, both = NU["nu_F"] + NU["nu_b"], 1.0 + 1.0, 0.0
    for layer in range(depth):
        z = np.sqrt(variance) * rng.standard_normal((trials, width))
        rest = np.sqrt(moved - both**2 / variance)
        dz = both / variance * z + rest * rng.standard_normal((trials, width))
        h, dh = phi(z), slope(z) * dz
        q, p, r = ((x * y).mean(axis=1, keepdims=True) for x, y in ((h, h), (dh, dh), (h, dh)))
        if layer < depth - 1:
            variance, moved, both = NU["nu_W"] * q + NU["nu_b"], q + NU["nu_W"] * p + 1.0, NU["nu_W"] * r
    return NU["nu_C"] * q[:, 0], q[:, 0] + NU["nu_C"] * p[:, 0] + 1.0


def recurrent(rng: np.random.Generator, name: str, step: int, width: int, trials: int) -> Pair:
    """Kernels of tied recursions at a step, given the states: shape (trials,) each."""
    phi, slope = ACTIVATIONS[name]
    inputs = np.linalg.cholesky(INPUTS).T
    W = np.sqrt(NU["nu_W"] / width) * rng.standard_normal((trials, width, width))
    dW = rng.standard_normal((trials, width, width)) / np.sqrt(width)
    F, dF = (rng.standard_normal((trials, width, len(INPUTS))) @ inputs for _ in range(2))
    b, db = (rng.standard_normal((trials, width)) for _ in range(2))
    h, dh = np.zeros((2, trials, width))
    for t in range(step + 1):
        z = _times(W, h) + np.sqrt(NU["nu_F"]) * F[..., t] + np.sqrt(NU["nu_b"]) * b
        dz = _times(dW, h) + _times(W, dh) + dF[..., t] + db
        h, dh = phi(z), slope(z) * dz
    q, p = (h**2).mean(axis=1), (dh**2).mean(axis=1)
    return NU["nu_C"] * q, q + NU["nu_C"] * p


def _times(matrices: Any, vectors: Any) -> Any:
    return (matrices @ vectors[..., None])[..., 0]


@dataclass(frozen=True)
class Case:
    """One kind of network: layered of some depth, or tied and read at a step."""

    name: str
    depth: int = 0
    step: int | None = None

    def __str__(self) -> str:
        return f"{self.name}, depth {self.depth}" if self.depth else f"{self.name}, tied, step {self.step}"

    @property
    def model(self) -> Any:
        """The network in the language."""
        return models.feed_forward(self.depth, self.name) if self.depth else models.elman(self.name)

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of its symbols."""
        return NU | ({"nu_c": 0.0} if self.depth else {})

    def limit(self, quantity: str) -> float:
        """The kernel at infinite width."""
        at = self.step or 0
        make = {"nngp": nngp, "ntk": ntk}[quantity]
        grams = dict.fromkeys(("X", "X1", "X2"), INPUTS)
        return float(make(self.model).formula.compile()(**grams, **self.numbers)[at, at])

    def derived(self, quantity: str) -> float:
        """The derived coefficient of 1/n."""
        make = {"nngp": nngp_correction, "ntk": ntk_correction}[quantity]
        return float(make(self.model, self.step).formula.compile()(X=INPUTS, **self.numbers))

    @cached_property
    def widths(self) -> Any:
        """Those that are drawn: of tied recursions, whose matrices are drawn whole, the narrower ones."""
        return WIDTHS if self.depth else WIDTHS[:3]

    def measured(self, trials: int) -> dict[str, tuple[float, float]]:
        """The measured coefficients of 1/n of both kernels, with standard errors."""
        rng, rows = np.random.default_rng([SEED, list(ACTIVATIONS).index(self.name), self.depth, self.step or 0]), []
        for width in self.widths:
            drawn = [np.concatenate(x) for x in zip(*self._drawn(rng, int(width), trials), strict=True)]
            rows.append([(x.mean(), x.std() / len(x) ** 0.5) for x in drawn])
        found = {}
        for quantity, kernel in zip(("nngp", "ntk"), np.array(rows).transpose(1, 2, 0), strict=True):
            fit = first_correction(self.widths, *kernel, self.limit(quantity), DEGREE, 1.0)
            assert fit is not None
            found[quantity] = fit
        return found

    def _drawn(self, rng: np.random.Generator, width: int, trials: int) -> Iterator[Pair]:
        """Kernels of so many networks, a few thousand at a time."""
        block = 2000 if self.depth == 0 else 20_000
        for start in range(0, trials, block):
            size = min(block, trials - start)
            if self.depth:
                yield layers(rng, self.name, self.depth, width, size)
            else:
                assert self.step is not None
                yield recurrent(rng, self.name, self.step, width, size)


LAYERED = [Case(name, depth) for name in ACTIVATIONS for depth in (2, 3)]
TIED = [Case(name, step=step) for name in ACTIVATIONS for step in (1, 2, 3)]
LAST = {"nngp": 3, "ntk": 2}
"""The last steps that the table is of."""


def row(case: Case, quantity: str, found: tuple[float, float]) -> tuple[str, float]:
    """A row of the table, and the distance of measured and derived in standard errors."""
    derived, (value, stderr) = case.derived(quantity), found
    z = (value - derived) / stderr
    return f"| {case} | {quantity} | {round(derived, 4) + 0.0:.4f} | {value:.4f} | {stderr:.4f} | {z:+.1f} |", z


def main(words: list[str] | None = None) -> int:
    """Print the table; 1 if any coefficient is further off than is likely."""
    parser = argparse.ArgumentParser(description="Derived coefficients of 1/n beside measured ones.")
    parser.add_argument("--trials", type=int, default=TRIALS, help="networks a width")
    asked = parser.parse_args(words)
    print("| network | kernel | derived | measured | standard error | z |\n|---|---|---|---|---|---|", flush=True)
    far = 0
    for case in (*LAYERED, *TIED):
        for quantity, found in case.measured(asked.trials).items():
            if (case.step or 0) <= LAST[quantity]:
                line, z = row(case, quantity, found)
                far += abs(z) > LARGEST
                print(line, flush=True)
    return int(far > 0)


if __name__ == "__main__":
    raise SystemExit(main())
