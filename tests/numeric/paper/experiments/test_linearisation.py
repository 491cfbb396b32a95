"""Proposition 3.1: the linearisation is that of the network itself, and the gap falls with the width."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.linear_rnn.krylov import LinearRNN, draw_rnn, impulse_response
from wideproof.numeric.linear_rnn.subspace import LazyDescent
from wideproof.numeric.linear_rnn.training_choice import choose_network
from wideproof.numeric.paper.experiments import Ladder, Setting, linearised_gaps
from wideproof.numeric.paper.experiments.linearisation import _network, tangent_gram
from wideproof.numeric.paper.experiments.training_dynamics import teacher_data

SMALL = Setting(horizon=4, sequences=20)
SIZES = Ladder(linearised_widths=(10**2, 10**3, 10**4, 10**5), linearised_networks=6, linearised_steps=20)


def test_the_gap_falls_at_least_as_the_root_of_the_width():
    found = linearised_gaps(SMALL, SIZES)
    assert found.slope + 3 * found.slope_stderr < -0.5
    assert found.mean[-1] < found.mean[0] / 30
    assert json.loads(json.dumps(asdict(found)))["widths"] == list(found.widths)
    assert linearised_gaps(SMALL, SIZES) == found


def test_the_limiting_kernel_is_not_the_networks_own():
    """The mutant: one tangent for all networks leaves the fluctuation of the kernel in the gap, which falls slower."""
    first = []

    def frozen(descent, data):
        first.append(tangent_gram(descent, data))
        return first[0]

    found = linearised_gaps(SMALL, SIZES, tangent=frozen)
    assert found.slope - 3 * found.slope_stderr > -0.9
    assert found.mean[-1] > 3 * linearised_gaps(SMALL, SIZES).mean[-1]


def test_the_tangent_gram_is_that_of_the_definition():
    """Against gradients of every entry of W, F and C of a whole network, by differences; in law at equal width."""
    setting = Setting(horizon=3, sequences=5)
    data = teacher_data(setting)[0]
    width, count = 5, 60

    def definition(seed):
        rnn = draw_rnn(width, 1, 1, nu_W=0.3, nu_F=1.0, nu_C=1.0, rng=np.random.default_rng(seed))
        parts, gradients = [rnn.W, rnn.F, rnn.C], []
        for k, part in enumerate(parts):
            for at in np.ndindex(part.shape):
                moved = []
                for sign in (1e-5, -1e-5):
                    other = [x.copy() for x in parts]
                    other[k][at] += sign
                    moved.append(impulse_response(LinearRNN(*other), 3)[:, 0, 0])
                gradients.append((moved[0] - moved[1]) / 2e-5)
        matrix = np.array(gradients)
        return matrix.T @ matrix

    def ours(seed):
        descent = LazyDescent(_network(setting, width, seed), 3)
        descent.taps()
        return tangent_gram(descent, data)

    want = np.array([definition(seed) for seed in range(count)])
    got = np.array([ours(seed) for seed in range(count)])
    assert np.allclose(got, got.transpose(0, 2, 1), atol=1e-5)
    error = (want.var(axis=0) + got.var(axis=0)) ** 0.5 / count**0.5
    assert np.all(np.abs(want.mean(axis=0) - got.mean(axis=0)) < 4.5 * error)
    assert np.all(np.abs(1.8 * want.mean(axis=0) - got.mean(axis=0))[np.eye(3, dtype=bool)] > 3 * error.diagonal())


def test_a_ladder_without_a_rate_is_refused():
    with pytest.raises(ParameterError):
        Ladder(linearised_widths=(10, 100, 1000))


def test_the_method_and_the_work_of_all_networks_are_said_before_the_start():
    said = []
    with pytest.raises(StopIteration):
        linearised_gaps(SMALL, SIZES, announce=said.append, progress=lambda done, total: next(iter(())))
    one = choose_network(10**5, teacher_data(SMALL)[0], SIZES.linearised_steps, method="sampled")
    assert [choice.name for choice in said] == ["sampled"]
    assert said[0].flops > 24 * one.flops  # of four widths with six networks each, and of their tangents
