"""Moments within sequences by the lines of a sweep, run as plain Python: those that the array text steps to."""

import numpy as np
import pytest

from wideproof.derive import models, nngp
from wideproof.derive.emit.kernel_stepper import STILL
from wideproof.derive.emit.sweeps import compiled_text, within_sweep
from wideproof.derive.emit.sweeps.within_sweep import WithinSweep, within_of
from wideproof.numeric.kernels.sequence_batches import SequenceBatch

NU = {"nu_W": 0.9, "nu_F": 0.5, "nu_b": 0.1, "nu_C": 1.0, "nu_U": 0.8, "nu_c": 0.1}
CASES = {
    "elman": (nngp, models.elman("relu")),
    "erf": (nngp, models.elman("erf")),
    "layers": (nngp, models.feed_forward(4, "gelu")),
    "tanh": (nngp, models.elman("tanh")),
}


def apart(case, monkeypatch, change=lambda text: text, size=1.0):
    """How far moments within sequences are from those of the array text, None where none were worked out."""
    pytest.importorskip("numba")
    monkeypatch.setattr(within_sweep, "compiled", lambda text: compiled_text.function_of(change(text), "<text>"))
    quantity, model = CASES[case]
    function = quantity(model).formula.on_sequences()
    X = size * np.random.default_rng(0).standard_normal((4, 3, 2))
    X[2] = 0.0
    steppers = [function._stepper(SequenceBatch(np, X, X, True), (3, 3), {x: NU[x] for x in function.scalars}, STILL)
                for _ in range(2)]  # fmt: skip
    WithinSweep(function.equations).know(steppers[0], 1)
    known, times = steppers[0].within, range(3)
    distances = (known[key][:, 1:] / steppers[1].within_at(*key, times, len(X)) - 1.0 for key in known)
    return max((float(np.abs(x).max()) for x in distances), default=None)


@pytest.mark.parametrize("case", [*CASES])
def test_they_are_those_of_the_array_text(case, monkeypatch):
    assert apart(case, monkeypatch) < 1e-14


def test_a_layer_that_is_not_done_again_is_seen(monkeypatch):
    assert apart("layers", monkeypatch, lambda text: text.replace("again in range(3)", "again in range(1)")) > 1e-3


def test_a_series_a_thousandth_off_is_seen(monkeypatch):
    assert apart("tanh", monkeypatch, lambda text: text.replace("0.5 * twice * one", "0.5005 * twice * one")) > 1e-6


@pytest.mark.parametrize(("case", "size"), [("elman", 1e60), ("tanh", 1000.0)], ids=["doubles", "series"])
def test_none_are_worked_out_beyond_the_range(case, size, monkeypatch):
    assert apart(case, monkeypatch, size=size) is None


@pytest.mark.parametrize("model", [models.residual(), models.linear_rnn()], ids=["coupled", "none read"])
def test_other_recurrences_have_no_loop(model):
    assert within_of(nngp(model).formula.on_sequences().equations) is None
