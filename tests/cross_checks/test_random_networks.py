"""Kernels of recursions that are in no gallery, against networks of another program extrapolated to infinite width."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from wideproof.derive import Recursion
from wideproof.derive.language import activations as phi
from wideproof.numeric import Kernel
from wideproof.numeric.core.statistics import normal_quantile

CASES = json.loads((Path(__file__).parents[1] / "data" / "random_networks.json").read_text())["cases"]
STATISTICS = sum(2 * len(c["ntk"]) * (len(c["ntk"]) + 1) // 2 for c in CASES.values())


class Declared(Recursion):
    """A recursion whose parameters are named by what they are: W, U, V matrices, F, G input maps, C, D readouts."""

    def __call__(self, name, variance, **options):
        kinds = {"W": self.matrix, "U": self.matrix, "V": self.matrix, "F": self.input_map, "G": self.input_map,
                 "C": self.readout, "D": self.readout, "b": self.bias}  # fmt: skip
        return kinds[name[0]](name, variance="nu" if variance == "nu" else Fraction(variance), **options)


def skip(r):
    a, b = r.state("a"), r.state("h")
    r.update(a, phi.tanh(r("W1", "1.2") @ a + r("F", "0.7") @ r.x + r("b", "0.1")))
    r.update(b, phi.erf(r("W2", "0.8") @ b + r("U", "nu") @ a.next + r("G", "0.5") @ r.x))
    r.output(r("C", "1.3") @ (a + b))


def three_gates(r):
    h = r.state("h")
    gates = [phi.sigmoid(r(f"W{k}", w) @ h + r(f"F{k}", f) @ r.x) for k, w, f in (("i", "0.7", "0.9"),
                                                                              ("o", "0.6", "0.5"))]  # fmt: skip
    r.update(h, gates[0] * gates[1] * phi.tanh(r("W", "1.4") @ h + r("F", "nu") @ r.x))
    r.output(r("C", "1") @ h)


def mean_bias(r):
    h = r.state("h")
    r.update(h, phi.tanh(r("W", "nu") @ h + r("F", "0.8") @ r.x + r("b", "0.3", mean=1)))
    r.output(r("C", "1") @ h + r("b_y", "0.4"))


def every_step(r):
    h = r.state("h")
    r.update(h, phi.relu(r("W", "nu") @ h + r("F", "0.8") @ r.x + r("b", "0.3")))
    r.output(r("C", "1") @ h)


def own_start(r):
    h = r.state("h", initial=Fraction("0.6"))
    r.update(h, phi.erf(r("W", "nu") @ h + r("F", "0.8") @ r.x))
    r.output(r("C", "1") @ h)


def one_start(r):
    h = r.state("h", initial=Fraction("0.6"), shared=True)
    r.update(h, phi.tanh(r("W", "nu") @ h + r("F", "0.8") @ r.x) + h / 2)
    r.output(r("C", "1") @ h)


def twice(r):
    h, W, below = r.state("h"), r("W", "nu"), r("F", "0.8") @ r.x + r("b", "0.2")
    r.update(h, phi.erf(W @ phi.erf(W @ h + below) + below))
    r.output(r("C", "1") @ h)


def redrawn(r):
    h = r.state("h")
    fresh = r("W", "nu", tied=False) @ h + r("F", "0.8", tied=False) @ r.x
    r.update(h, phi.tanh(fresh + r("b", "0.2")))
    r.output(r("C", "1") @ h)


def factor(r):
    h = r.state("h")
    r.update(h, phi.tanh(r("W", "1.1") @ h + r("F", "nu") @ r.x) * (r("V", "0.9") @ h + 1))
    r.output(r("C", "1") @ h)


def delay(r):
    h, d = r.state("h"), r.state("d")
    r.update(h, phi.softplus(r("W", "1.1") @ h + r("V", "nu") @ d + r("F", "0.8") @ r.x))
    r.update(d, h)
    r.output(r("C", "1") @ h)


def directions(r):
    h, g = r.state("h"), r.state("g", direction="backward")
    r.update(h, phi.tanh(r("W", "1.1") @ h + r("F", "0.8") @ r.x))
    r.update(g, phi.relu(r("V", "0.9") @ g + r("G", "nu") @ r.x))
    r.output(r("C", "1") @ h + r("D", "0.6") @ g)


WRITTEN = {
    "two layers with a skip": (skip, 0.9),
    "product of three gates": (three_gates, 0.8),
    "bias with a mean and an output bias": (mean_bias, 1.2),
    "a start for each sequence": (own_start, 1.5),
    "one start, residual, average": (one_start, 1.5),
    "one matrix twice in a step": (twice, 1.3),
    "matrices redrawn each step": (redrawn, 1.3),
    "a pre-activation as a factor": (factor, 0.8),
    "two steps back": (delay, 0.9),
    "two directions, two activations": (directions, 0.7),
    "every step": (every_step, 1.2),
}
"""Name -> how it is written, and the variance nu in the networks."""


def scores(kernel, case, nu):
    """(measured - derived) / standard error of all entries of both kernels."""
    kernel.parameters["nu"] = nu
    inputs = [np.array(x) for x in case["x"]]
    inputs = np.stack(inputs) if case["readout"] == "all" else inputs
    upper, size = np.triu_indices(len(case["ntk"])), len(case["ntk"])
    found = {which: np.reshape(getattr(kernel, which)(inputs), (size, size)) for which in ("nngp", "ntk")}
    return np.concatenate([(np.array(case[w]) - K)[upper] / np.array(case[f"{w}_se"])[upper] for w, K in found.items()])


@pytest.mark.parametrize("name", CASES)
def test_networks_of_another_program_have_these_limits(name):
    """No z-score of all cases together is beyond what chance explains in one of a thousand such comparisons."""
    limit = normal_quantile(1e-3 / STATISTICS / 2)
    (write, nu), rnn = WRITTEN[name], Declared("written")
    write(rnn)
    kernel = Kernel(rnn, readout=CASES[name]["readout"], nu=nu)
    assert np.abs(scores(kernel, CASES[name], nu)).max() < limit
    assert np.abs(scores(kernel, CASES[name], nu / 2)).max() > limit  # the effect that every case must show
