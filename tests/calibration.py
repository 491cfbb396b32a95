"""Count over many seeds how often validation refutes the truth, and how often formulas that are slightly off.

`python -m tests.calibration` prints the table of docs/calibration.md; `--seeds 50` a part of it, a name alone
(linear, relu, tanh) one row. Each run judges the truth, and mutants on the same samples: all entries of a kernel too
large, and too small, by the stated part.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from wideproof.derive import models
from wideproof.numeric.core.checks import Level, overall
from wideproof.numeric.kernels.kernel import Kernel, KernelValue
from wideproof.numeric.runs.gathering import gather
from wideproof.numeric.validation.kernels import KernelMeasurements, KernelPlan, judge_kernels, kernel_power
from wideproof.numeric.validation.kernels.experiment import KERNEL_DEFAULTS
from wideproof.numeric.validation.linear_rnn import Measurements, Plan, exact_means, judge_linear
from wideproof.numeric.validation.linear_rnn.experiment import DEFAULTS, predictions

LEVELS = (0.01, 0.05)
SEEDS, OFF = {"linear": 1000, "relu": 200, "tanh": 200}, {"linear": 0.005, "relu": 0.02, "tanh": 0.02}
LEAST_CAUGHT = 0.99


@dataclass
class Counts:
    """Of one kind of network: runs, true formulas refuted at each level, verdicts, and mutants refuted."""

    name: str
    runs: int
    alarms: Counter[float]
    verdicts: Counter[str]
    caught: Counter[str]
    seconds: float

    def row(self) -> str:
        """A row of the table: rates, and whether each is what is stated, within its binomial error."""
        alarms = ", ".join(f"{self.alarms[a]} at {a:g}" for a in LEVELS)
        caught = ", ".join(f"{name} {count / self.runs:.1%}" for name, count in sorted(self.caught.items()))
        verdicts = ", ".join(f"{count} {name}" for name, count in self.verdicts.most_common())
        said = "yes" if self.holds() else "NO"
        return f"| {self.name} | {self.runs} | {alarms} | {verdicts} | {OFF[self.name]:.1%} | {caught} | {said} |"

    def holds(self) -> bool:
        """No level is exceeded beyond the binomial error, and every mutant is refuted in 99 % (less its own error)."""
        rates = [stats.binomtest(self.alarms[a], self.runs, a, alternative="greater").pvalue > 1e-2 for a in LEVELS]
        seen = [stats.binomtest(n, self.runs, LEAST_CAUGHT, alternative="less").pvalue > 1e-2
                for n in self.caught.values()]  # fmt: skip
        return all(rates) and all(seen)


class Evaluated:
    """Limits evaluated once, each times a factor."""

    def __init__(self, kernels: dict[str, KernelValue], **factors: float) -> None:
        self.kernels, self.factors = kernels, factors

    def evaluate(self, quantity: str, X: Any) -> KernelValue:
        """The value times its factor."""
        found, factor = self.kernels[quantity], self.factors.get(quantity, 1.0)
        return KernelValue(factor * np.asarray(found.value), np.asarray(found.error), found.stderr, found.method)


def linear(seeds: range) -> Counts:
    """Second moments by their exact means and scale factors by the ladder; mutants of the kernel and of both."""
    program, values = models.linear_rnn().program(), dict(DEFAULTS)
    second, weights = predictions(program, 4, values)
    found = Counts("linear", len(seeds), Counter(), Counter(), Counter(), time.process_time())
    for seed in seeds:
        plan = Plan(1024, 1000, 4, seed=seed, n_x=4, n_y=4, kernel_trials=1500, **values)
        measured, exact = gather(Measurements, plan), exact_means(program, plan, values)
        found.verdicts[overall(judge_linear(measured, second, weights, None, exact))] += 1
        for a in LEVELS:
            checks = judge_linear(measured, second, weights, Level(false_alarm=a), exact)
            found.alarms[a] += overall(checks) == "refuted"
        for factor, name in ((1 - OFF["linear"], "too small"), (1 + OFF["linear"], "too large")):
            checks = judge_linear(measured, second, factor * weights, None, exact)
            found.caught[name] += overall(checks) == "refuted"
    found.seconds = time.process_time() - found.seconds
    return found


def elman(activation: str, seeds: range) -> Counts:
    """Both kernels of an Elman network; mutants of each kernel alone."""
    program, off = models.elman(activation).program(), OFF[activation]
    values = {name: KERNEL_DEFAULTS[name] for name in program.symbols}
    X = np.random.default_rng(1).standard_normal((2, 2, 2)) / math.sqrt(2)
    trials = {"relu": 6000, "tanh": 3000}[activation]
    first = KernelPlan(program, values, 256, trials, horizon=2, inputs=X, widths=(32, 64, 128, 256))
    kernel = Kernel(program, **dict[str, Any](values))
    truth = {name: kernel.evaluate(name, first.inputs) for name in ("nngp", "ntk")}
    print(f"{activation}: {kernel_power(first)}", flush=True)
    found = Counts(activation, len(seeds), Counter(), Counter(), Counter(), time.process_time())
    for seed in seeds:
        measured = gather(
            KernelMeasurements,
            KernelPlan(program, values, 256, trials, horizon=2, inputs=X, seed=seed, widths=first.widths),
        )
        found.verdicts[overall(judge_kernels(measured, Evaluated(truth)))] += 1
        for a in LEVELS:
            checks = judge_kernels(measured, Evaluated(truth), Level(false_alarm=a))
            found.alarms[a] += overall(checks) == "refuted"
        for name in truth:
            for factor, word in ((1 - off, "too small"), (1 + off, "too large")):
                checks = judge_kernels(measured, Evaluated(truth, **{name: factor}))
                found.caught[f"{name} {word}"] += overall(checks) == "refuted"
    found.seconds = time.process_time() - found.seconds
    return found


def counted(name: str, seeds: range) -> Counts:
    """The counts of one kind of network."""
    return linear(seeds) if name == "linear" else elman(name, seeds)


def main(words: list[str] | None = None) -> int:
    """Print the table; 0 if every row is what is stated."""
    parser = argparse.ArgumentParser(prog="python -m tests.calibration", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*SEEDS, []], help="linear, relu, tanh; all by default")
    parser.add_argument("--seeds", type=int, help="runs of each; by default 1000 linear, 200 relu and 200 tanh")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    chosen = parser.parse_args(words)
    made = []
    for name in chosen.names or SEEDS:
        seeds = range(chosen.first, chosen.first + (chosen.seeds or SEEDS[name]))
        made.append(counted(name, seeds))
        print(made[-1].row(), f"{made[-1].seconds:.0f} s", flush=True)
    return 0 if all(counts.holds() for counts in made) else 1


if __name__ == "__main__":
    raise SystemExit(main())
