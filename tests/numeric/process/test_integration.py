"""Moments given the paths of a gate against the recursion written out, against paths of all groups, and who is kept."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from array_api_compat import numpy as xp

from tests.gate_coverage import VALUES, torch_gru
from wideproof.derive import models, nngp, ntk
from wideproof.numeric.process import given_paths, integration
from wideproof.numeric.process.factors import Factors, long_series
from wideproof.numeric.process.given_paths import Room
from wideproof.numeric.process.layout import Layout
from wideproof.numeric.process.paths import Paths
from wideproof.numeric.process.quasi_monte_carlo import Drivers, ends_of, sampled

QUANTITIES = {"nngp": nngp, "ntk": ntk}


def layout(made, quantity):
    found = QUANTITIES[quantity](made)
    return Layout(found.program, found.formula.process, {s: VALUES[n] for n, s in found.program.symbols.items()})


def last(count, steps):
    return np.broadcast_to(np.eye(steps)[None, -1:, :], (count, 1, steps))


def test_moments_of_a_gru_given_its_gate_are_those_of_the_recursion_written_out():
    """h_1 = (1 - z_1) n_1 + z_1 (1 - z_0) n_0, n integrated: four terms, each a mean of the gates times E[n n']."""
    made, X, R = layout(models.gru(), "nngp"), np.random.default_rng(1).standard_normal((3, 2, 2)), 2
    factors, weights = Factors(made), last(3, 2)
    drivers = Drivers(factors, X, 16, 4, range(R))
    paths = Paths(made, factors, xp, X, drivers, R, 16, ends_of(xp, weights), False, Room(xp), np.float64)
    gate = next(c for c in factors.integration.coefficients if not c.is_Number)
    kept = {}
    paths.given.end = lambda: kept.update(paths.coefficients)
    paths.run()
    z0, z1 = kept[gate, 0], kept[gate, 1]
    new = next(x for x in made.bodies[next(iter(made.bodies))].atoms(sp.Function) if str(x).startswith("tanh"))
    means = {(s, t): paths._factor(new, new, [s], t)[:, 0, ...] for s, t in ((0, 0), (0, 1), (1, 1))}
    means[1, 0] = np.swapaxes(means[0, 1], 1, 2)
    weight = {0: z1 * (1 - z0), 1: 1 - z1}
    written = sum(np.mean(weight[s][:, :, None] * weight[t][:, None], axis=-1) * means[s, t] for s, t in means)
    np.testing.assert_allclose(paths.kernel(weights)[:, :, 0, :, 0], written, rtol=1e-7)
    assert np.abs(written / np.mean(weight[1] ** 2) / means[1, 1] - 1).max() > 0.1


@pytest.mark.parametrize("name", ["gru", "mgu"])
def test_paths_of_all_groups_have_the_same_moments_and_six_times_the_error(name, monkeypatch):
    made, X, weights = layout(getattr(models, name)(), "ntk"), np.random.default_rng(2).standard_normal((3, 5, 2)), None
    weights = last(3, 5)
    few = sampled(made, xp, X, weights, 1024, 0, lambda: None)
    monkeypatch.setattr(integration.Integration, "integrates", lambda self, u, v: False)
    monkeypatch.setattr(integration.Integration, "_coefficients", lambda self: ())
    many = sampled(layout(getattr(models, name)(), "ntk"), xp, X, weights, 1024, 1, lambda: None)
    scores = (few.mean - many.mean) / np.hypot(few.error, many.error)
    assert np.abs(scores).max() < 4.5  # t with 15 degrees of freedom, nine entries: once in 500
    assert np.median(few.error / many.error) * np.sqrt(1 / 32) < 0.15
    wrong = few.mean + 0.05 * np.abs(few.mean)
    assert np.abs((wrong - many.mean) / np.hypot(few.error, many.error)).max() > 4.5


@pytest.mark.parametrize(
    ("made", "quantity", "integrated"),
    [
        (models.gru, "nngp", True),
        (models.mgu, "ntk", True),
        (models.lstm, "ntk", False),  # perturbations alone: signs of them are cheaper
        (torch_gru, "ntk", False),  # tanh of two groups
        (lambda: models.gru("relu"), "nngp", False),  # no short series
    ],
    ids=["gru", "mgu", "lstm", "torch gru", "gru of relu"],
)
def test_groups_that_states_are_linear_in_are_integrated(made, quantity, integrated):
    found = layout(made(), quantity)
    factors = Factors(found, long_series(found))
    assert bool(factors.integration.coefficients) is integrated
    assert factors.paths(1024) == (32 if integrated else 1024)
    assert factors.paths(4) == 4


@pytest.mark.parametrize("name", ["gru", "mgu"])
def test_programs_do_not_grow_with_the_steps(name, monkeypatch):
    made, X, lengths = layout(getattr(models, name)(), "ntk"), np.random.default_rng(2).standard_normal((2, 10, 2)), {}
    ran = given_paths.GivenPaths._run

    def counted(self, program, means):
        at = max((key[-1] for key in program.stores), default=0)
        lengths[at] = max(lengths.get(at, 0), len(program.code))
        ran(self, program, means)

    monkeypatch.setattr(given_paths.GivenPaths, "_run", counted)
    sampled(made, xp, X, last(2, 10), 8, 0, lambda: None)
    assert lengths[9] == lengths[7]
    monkeypatch.setattr(given_paths, "BACK", 1)
    monkeypatch.setattr(given_paths, "LIKE", 99)
    lengths.clear()
    sampled(made, xp, X, last(2, 10), 8, 0, lambda: None)
    assert name == "gru" or lengths[9] > lengths[7]
