"""Count over many seeds how often the error of a sampled gated kernel is exceeded, against quadratures.

`python -m tests.gate_coverage` prints a table, a row a kernel, of 200 seeds; `--seeds 20` of fewer. The truth is the
nested quadrature of the same process, whose own error is a hundredth of the standard errors or less.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import numpy as xp
from scipy import stats

from wideproof.derive import Recursion, activation, models, nngp, ntk, tanh
from wideproof.numeric.kernels.kernel import CONFIDENT
from wideproof.numeric.process.layout import Layout
from wideproof.numeric.process.quadrature import nested
from wideproof.numeric.process.quasi_monte_carlo import REPLICATES, sampled

SEEDS, ALARM = 200, 1e-3
LEVELS = (0.5, 0.05)
"""How often a t-score may be beyond its quantile."""
BIAS = 0.1
"""The part of the standard error that the estimate may be off in the mean."""
VALUES = {"nu_W": 1.4, "nu_F": 0.8, "nu_b": 0.2, "nu_C": 1.0}


def torch_gru() -> Recursion:
    """The GRU of PyTorch and cuDNN: the reset gate multiplies the product, not the state."""
    r = Recursion("torch-gru")
    W, F = ({k: make(f"{name}_{k}", nu) for k in "zrn"} for make, name, nu in
            ((r.matrix, "W", "nu_W"), (r.input_map, "F", "nu_F")))  # fmt: skip
    b = {k: r.bias(f"b_{k}", "nu_b") for k in ("z", "r", "n", "hn")}
    h, sigma = r.state("h"), activation("sigmoid")
    z, reset = (sigma(W[k] @ h + F[k] @ r.x + b[k]) for k in "zr")
    r.update(h, (1 - z) * tanh(F["n"] @ r.x + b["n"] + reset * (W["n"] @ h + b["hn"])) + z * h)
    r.output(r.readout("C", "nu_C") @ h)
    return r


CASES: dict[str, tuple[Any, Any, int, int]] = {
    "gru, nngp": (models.gru, nngp, 3, 1024), "gru, ntk": (models.gru, ntk, 2, 1024),
    "mgu, ntk": (models.mgu, ntk, 2, 1024), "lstm, ntk": (models.lstm, ntk, 1, 64),
    "gru, nngp, 8 paths": (models.gru, nngp, 3, 8),
}  # fmt: skip
"""Name -> model, quantity, steps of one sequence, points of each replicate: 32 paths of a GRU for 1024."""


@dataclass(frozen=True)
class Coverage:
    """Scores (estimate - truth) / stderr of the last entry over seeds, and how many errors were exceeded."""

    name: str
    scores: Any

    def outside(self, level: float) -> int:
        """How many t-scores are beyond the quantile of a level."""
        return int(np.sum(np.abs(self.scores) > stats.t.isf(level / 2, REPLICATES - 1)))

    def holds(self) -> bool:
        """No level is exceeded beyond its binomial error, the stated error included, and the scores have no mean."""
        size = len(self.scores)
        rates = {**{level: self.outside(level) for level in LEVELS}, 1e-3: self.exceeded}
        covered = all(stats.binomtest(n, size, a, "greater").pvalue > ALARM for a, n in rates.items())
        return covered and bool(abs(self.mean) < BIAS + stats.norm.isf(ALARM / 2) * self.error)

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(np.mean(self.scores))

    @property
    def error(self) -> float:
        """Its standard error."""
        return float(np.std(self.scores, ddof=1)) / math.sqrt(len(self.scores))

    @property
    def exceeded(self) -> int:
        """How many of the stated errors, CONFIDENT standard errors, were exceeded."""
        return int(np.sum(np.abs(self.scores) > CONFIDENT))

    def row(self) -> str:
        """A row of the table."""
        counts = " | ".join(str(self.outside(level)) for level in LEVELS)
        said = "yes" if self.holds() else "NO"
        mean = f"{self.mean:+.2f} ± {self.error:.2f}"
        return f"| {self.name} | {len(self.scores)} | {counts} | {self.exceeded} | {mean} | {said} |"


def covered(name: str, seeds: int, off: float = 0.0) -> Coverage:
    """Sample a case with many seeds; `off` moves the truth by this part of itself."""
    model, quantity, steps, points = CASES[name]
    found = quantity(model())
    layout = Layout(found.program, found.formula.process, {s: VALUES[n] for n, s in found.program.symbols.items()})
    X = np.random.default_rng(5).standard_normal((1, steps, 2))
    weights = np.eye(steps)[None, -1:, :]
    truth = (1 + off) * float(nested(layout, xp, X, weights).mean[0, 0, 0, 0])
    runs = [sampled(layout, xp, X, weights, points, seed, lambda: None) for seed in range(seeds)]
    return Coverage(name, np.array([float((x.mean[0, 0, 0, 0] - truth) / x.error[0, 0, 0, 0]) for x in runs]))


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=SEEDS)
    seeds = asked.parse_args().seeds
    heads = " | ".join(f"beyond the {level:.0%} quantile" for level in LEVELS)
    print(
        f"| kernel | seeds | {heads} | stated error exceeded | mean score | as stated |\n|---|--:|--:|--:|--:|--:|---|"
    )
    for name in CASES:
        print(covered(name, seeds).row(), flush=True)


if __name__ == "__main__":
    main()
