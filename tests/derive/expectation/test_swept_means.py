"""Which tables the steps of a sweep take: none whose error is visible, one for the same ends, in their order."""

import numpy as np
import pytest

from wideproof.derive.expectation import swept_means
from wideproof.derive.expectation.pair_integrals import ACCURACY, USEFUL
from wideproof.derive.expectation.swept_means import Slot, StepSizes, StepVariances, chosen, spread

EVERY, STEPS = (0.0, 16.0), np.ones(5, dtype=bool)
SPREAD = 10.0 ** np.random.default_rng(0).uniform(-4.0, 1.0, (5, 30))
NEAR = np.random.default_rng(1).uniform(0.5, 1.5, (5, 30))


def sizes(name, order, mean, one, other=None):
    """Of a factor with itself, or with tanh where the other side has variances of its own."""
    first = StepVariances.of(one)
    second = first if other is None else StepVariances.of(other)
    factors = ((name, order), (name, order) if other is None else ("tanh", 0))
    return StepSizes(factors, (mean, mean), EVERY, (first, second))


@pytest.mark.parametrize("other", [None, NEAR], ids=["same", "others"])
@pytest.mark.parametrize("variance", [SPREAD, NEAR], ids=["spread", "near"])
@pytest.mark.parametrize(("name", "order", "mean"), [("tanh", 0, 0.0), ("tanh", 1, 0.0), ("silu", 0, 0.3)])
def test_what_is_kept_of_sizes_decides_as_those_of_each_step(name, order, mean, variance, other):
    found = sizes(name, order, mean, variance, other)
    assert 0.0 < found.least <= found.ends[:, 0].min()
    least, most = found.ends.T
    for error in 10.0 ** np.linspace(-18.0, -2.0, 200):
        seen = bool(np.any(error > ACCURACY * np.maximum(most, 1.0)) or np.any(error > USEFUL * least))
        assert found.show(error, STEPS) == seen


def test_a_step_without_variance_has_no_size():
    without = NEAR.copy()
    without[2] = 0.0
    found = sizes("tanh", 0, 0.0, without)
    assert found.least == 0.0
    assert found.show(1e-15, STEPS)
    assert not found.show(1e-15, STEPS & (np.arange(5) != 2))


def test_steps_of_the_same_ends_take_one_table_in_the_order_of_ends():
    slot = Slot((("tanh", 0), ("tanh", 0)), 0, 0, False, 0)
    variance = np.array([2.0, 0.5, 2.0, 0.7])[:, None] * np.linspace(0.9, 1.0, 8)
    found = chosen(slot, (variance, variance))
    assert found.which.tolist() == [2, 0, 2, 1]
    other = chosen(slot, (variance, variance.copy()))
    assert all(one is two for one, two in zip(found.tables, other.tables, strict=True))


def test_both_sides_of_what_is_alike_take_one_range():
    slot = Slot((("tanh", 0), ("tanh", 0)), 0, 0, False, 0)
    found = chosen(slot, (NEAR, 1.5 * NEAR))
    assert all(table.sides[0].range == table.sides[1].range for table in found.tables)


def test_a_table_whose_error_is_visible_is_refused(monkeypatch):
    slot = Slot((("tanh", 0), ("tanh", 0)), 0, 0, False, 0)
    assert chosen(slot, (NEAR, NEAR)) is not None
    monkeypatch.setattr(swept_means, "ACCURACY", 1e-20)
    monkeypatch.setattr(swept_means, "USEFUL", 1e-20)
    assert chosen(slot, (NEAR, NEAR)) is None


def test_the_first_piece_reaches_farther_where_the_variances_of_a_step_are_spread():
    slot, rng = Slot((("tanh", 0), ("tanh", 0)), 0, 0, False, 0, 1), np.random.default_rng(4)
    cuts = []
    for inputs in (10, 4, 2):
        variance = np.clip(300.0 * rng.chisquare(inputs, (6, 400)) / inputs, 17.0, 4000.0)
        assert spread(variance) == pytest.approx(np.sqrt(2.0 / inputs), rel=0.25)
        cuts.append(min(table.cut for table in chosen(slot, (variance, variance)).tables))
    assert -1.0 < cuts[0] < cuts[1] < cuts[2] < 1.0
