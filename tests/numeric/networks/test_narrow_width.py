"""The warning of a narrow width: where it comes, what it says, and that the size it states is what is measured."""

import re
import warnings

import numpy as np
import pytest

from tests.derive.linear.test_finite_width import residual, several
from wideproof.derive import models
from wideproof.derive.language.variants import untied
from wideproof.numeric import NarrowWidth, empirical_ntk, train_network
from wideproof.numeric.networks.narrow_width import correction, narrow_width, quiet_widths
from wideproof.numeric.networks.simulation import simulate

LINEAR, NU = models.linear_rnn(), {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 1.0}


def told(rnn, width, steps, **nu):
    return narrow_width(rnn.program(), nu or NU, width, steps)


def test_it_names_steps_width_the_exact_size_and_what_to_do():
    """E L_3^2 is 1 + 10/n^2 + 4/n^3 times its limit (erratum E2)."""
    text, size = told(LINEAR, 16, 4), 10 / 16**2 + 4 / 16**3
    assert f"T² = 16 is not small against n = 16: at this width E L_j² is {100 * size:.2g} % above" in text
    assert "n >= 32" in text
    assert "width_for" in text
    assert told(LINEAR, 32, 4) == ""
    assert correction(LINEAR.program(), NU, 16, 3) == (3, pytest.approx(size))
    assert "limit at lag 8, and more at lag 19" in told(LINEAR, 16, 20)


def test_nothing_is_said_where_nothing_is_off():
    assert told(LINEAR, 4, 2) == ""  # the second moment has its limit at lags 0 and 1
    assert told(models.deep_linear(depth=2), 4, 9) == ""  # no state is carried over
    assert narrow_width(untied(LINEAR.program()), NU, 16, 4) == ""


def test_other_linear_recursions_have_their_own_size():
    assert "at lag 3" in narrow_width(residual().program(), {}, 16, 4)
    assert "at lag 3, and more at lag 8" in narrow_width(several().program(), {}, 16, 9)
    assert "measured coefficients" in told(models.elman("erf"), 16, 4)


@pytest.mark.parametrize("door", [
    lambda X, n: simulate(LINEAR, X, n, **NU),
    lambda X, n: empirical_ntk(LINEAR, X, n, **NU),
    lambda X, n: train_network(LINEAR, X, np.ones((1, 1)), n, steps=1, **NU),
], ids=["simulate", "empirical_ntk", "train_network"])  # fmt: skip
def test_every_door_warns_once_of_a_narrow_width_and_points_at_the_call(door):
    X = np.ones((1, 4, 1))
    with pytest.warns(NarrowWidth, match=r"T² = 16 is not small against n = 8: .* 16 % above") as found:
        door(X, 8)
    assert [w.filename for w in found] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        door(X, 64)
        with quiet_widths():
            door(X, 8)


def test_given_weights_and_recursions_without_such_a_theory_are_not_warned_of():
    X = np.ones((1, 4, 1))
    simulate(models.elman("erf"), X, 8, **NU, nu_b=0.1)
    weights = {"W": np.eye(8), "F": np.ones((8, 1)), "C": np.ones((1, 8))}
    simulate(LINEAR, X, 8, weights=weights, **NU)


def test_the_size_is_what_networks_show():
    impulse = np.eye(4)[None, :, :1]
    with pytest.warns(NarrowWidth) as found:
        run = simulate(LINEAR, impulse, 6, trials=40_000, n_y=4, seed=2, **NU)
    squares = np.mean(run.outputs[:, 0, 3, :] ** 2, axis=-1) / 0.5**3
    percent = float(re.search(r"([\d.]+) % above", str(found[0].message)).group(1))
    stderr = squares.std() / len(squares) ** 0.5
    assert abs(squares.mean() - 1 - percent / 100) < 4 * stderr + 0.005  # two digits are printed
    assert abs(squares.mean() - 1) > 4 * stderr
