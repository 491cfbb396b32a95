"""The recurrence of a kernel in balls is that of the float path, on every model that has one."""

import numpy as np
import pytest

from wideproof.derive import models, nngp, ntk
from wideproof.derive.emit import enclosing_stepper
from wideproof.derive.emit.enclosing_stepper import BallInputs, enclosed_kernel
from wideproof.derive.emit.kernel_stepper import Grams
from wideproof.derive.expectation.enclosures.pairs import enclosure
from wideproof.derive.language.errors import NotClosed

X, Y = np.random.default_rng(3).standard_normal((2, 3, 2))
MODELS = {
    "elman": models.elman("tanh"), "relu": models.elman("relu"), "linear": models.linear_rnn(),
    "deep": models.feed_forward(2, "erf"), "leaky": models.leaky(),
}  # fmt: skip


def values_of(formula):
    return {name: 0.75 + 0.125 * i for i, name in enumerate(formula.symbols) if name not in ("t", "s")}


def floats(formula, readout, same):
    grams = Grams(X @ (X if same else Y).T, X @ X.T, (X if same else Y) @ (X if same else Y).T, int(same))
    return formula.on_sequences().evaluate(grams, (3, 3), readout, **values_of(formula))


@pytest.mark.parametrize("quantity", [nngp, ntk])
@pytest.mark.parametrize("name", MODELS)
def test_the_float_value_is_within_its_error_of_the_ball(name, quantity):
    formula = quantity(MODELS[name]).formula
    readouts = {"last": (-1, -1), "all": (2, 1)} | ({"average": (-1, -1)} if name in ("relu", "linear") else {})
    for same in (False, True):
        inputs = BallInputs(X, X if same else Y, int(same))
        for readout, index in readouts.items():
            found = enclosed_kernel(formula, inputs, readout, index, values_of(formula), 160)
            value, error = floats(formula, readout, same)
            at = index if readout == "all" else ()
            assert found.rad() < 1e-12
            assert abs(float(found.mid()) - value[at]) <= error[at]
            assert abs(value[at]) < 1e-9 or not found.overlaps(found.mid() * 1.001)


def test_a_wrong_expectation_is_seen(monkeypatch):
    formula = ntk(MODELS["elman"]).formula
    right = enclosed_kernel(formula, BallInputs(X, Y, 0), "last", (-1, -1), values_of(formula), 160)
    monkeypatch.setattr(enclosing_stepper, "enclosure", lambda factors, law: 1.001 * enclosure(factors, law))
    wrong = enclosed_kernel(formula, BallInputs(X, Y, 0), "last", (-1, -1), values_of(formula), 160)
    assert not wrong.overlaps(right)


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_process_is_refused_with_its_reason(name):
    formula = nngp(getattr(models, name)()).formula
    with pytest.raises(NotClosed, match="expectation over a process"):
        enclosed_kernel(formula, BallInputs(X, Y, 0), "last", (-1, -1), values_of(formula), 160)
