"""Kernels at all times by rows are those of the equations taken one pair of times after the other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wideproof as wp
from wideproof.derive.emit import formula, kernel_stepper
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.emit.kernel_rows import RowStepper
from wideproof.derive.emit.kernel_stepper import CompiledEquation, Key
from wideproof.derive.language.errors import TooLarge
from wideproof.numeric.kernels.kernel import Kernel


def started(shared: bool) -> wp.Recursion:
    rnn = wp.Recursion("started")
    W, F, C = rnn.matrix("W", variance="nu_W"), rnn.input_map("F", variance="nu_F"), rnn.readout("C", variance="nu_C")
    h = rnn.state("h", initial="nu_h0", shared=shared)
    rnn.update(h, wp.erf(W @ h + F @ rnn.x))
    rnn.output(C @ h)
    return rnn


def delayed() -> wp.Recursion:
    """What is read out follows a state that is read a step later only."""
    rnn = wp.Recursion("delayed")
    V, F, C = rnn.matrix("V", variance="nu_V"), rnn.input_map("F", variance="nu_F"), rnn.readout("C", variance="nu_C")
    h, g = rnn.state("h"), rnn.state("g")
    rnn.update(h, wp.erf(V @ h + F @ rnn.x))
    rnn.update(g, wp.erf(V @ h))
    rnn.output(C @ g)
    return rnn


MODELS = {
    "linear": (wp.models.linear_rnn(), ""),
    "relu": (wp.models.elman("relu"), "b"),
    "untied": (wp.models.elman("erf", tied=False), "b"),
    "both ways": (wp.models.bidirectional("erf"), None),
    "delayed": (delayed(), None),
    "a start for all": (started(shared=True), "h0"),
    "a start for each": (started(shared=False), "h0"),
}


def kernel(name: str, readout: str) -> Kernel:
    model = MODELS[name][0]
    values = {symbol: 0.3 + 0.1 * i for i, symbol in enumerate(sorted(as_program(model).symbols))}
    return Kernel(model, readout=readout, **values)


def batches(steps: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    X, Y = rng.standard_normal((3, steps, 2)), rng.standard_normal((2, steps, 2))
    Y[0, :3] = X[1, :3]  # the same up to the third step
    return X, Y


@pytest.mark.parametrize(("name", "readout"), [*((name, "all") for name in MODELS), ("both ways", "average")])
def test_rows_are_the_table(name: str, readout: str) -> None:
    X, Y = batches()
    k = kernel(name, readout)
    found = [k.ntk(X, Y), k.ntk(X[:1])]
    errors = k.evaluate("ntk", X, Y).error
    function = k._emitted("ntk", None)
    assert function.by_rows
    function.by_rows = False
    for a, b in zip(found, [k.ntk(X, Y), k.ntk(X[:1])], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(errors, k.evaluate("ntk", X, Y).error, rtol=0.1)


def test_a_row_shifted_by_no_step_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = batches()
    want = kernel("relu", "all").ntk(X, Y)
    laid = RowStepper._laid

    def unmoved(self: RowStepper, key: Key, of: Callable[[Key], Any]) -> Any:
        parts = self._parts(key)
        return of(parts[-1]) if len(parts) == 2 else laid(self, key, of)

    monkeypatch.setattr(RowStepper, "_laid", unmoved)
    assert np.abs(kernel("relu", "all").ntk(X, Y) / want - 1).max() > 1e-3


def test_other_lengths_average_alike() -> None:
    X, Y = batches(5)[0], batches(7)[1]
    k = kernel("relu", "average")
    np.testing.assert_allclose(k.ntk(list(X), list(Y)), k.ntk(list(Y), list(X)).T, rtol=1e-13)


def test_leaky_states_read_along_a_row_and_keep_the_table() -> None:
    assert not formula.by_rows(wp.ntk(wp.models.leaky("erf")).formula.on_sequences().equations)


@pytest.mark.parametrize("name", ["relu", "delayed"])
def test_long_sequences_take_calls_for_each_step_and_not_for_each_pair(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    needs = CompiledEquation.needs

    def counted(self: CompiledEquation, index: tuple[int, int]) -> list[Key]:
        nonlocal calls
        calls += 1
        return needs(self, index)

    monkeypatch.setattr(CompiledEquation, "needs", counted)
    X = np.random.default_rng(6).standard_normal((1, 200, 1))
    found = kernel(name, "all").ntk(X)
    assert found.shape == (1, 200, 1, 200)
    np.testing.assert_array_equal(found[0, :, 0, :], found[0, :, 0, :].T)
    assert calls < 40 * 200


def test_overflow_names_its_step() -> None:
    k = Kernel(wp.models.elman("relu"), readout="all", nu_W=1e100, nu_F=1.0, nu_b=0.0, nu_C=1.0)
    with pytest.raises(TooLarge, match="overflow from step 4 on"):
        k.ntk(np.ones((1, 8, 1)))


@pytest.mark.parametrize("readout", ["last", "all"])
def test_tables_over_all_steps_hold_the_series(readout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X = np.random.default_rng(7).standard_normal((1, 8, 1))
    k = Kernel(wp.models.elman("tanh"), readout=readout, nu_W=0.5, nu_F=1.0, nu_b=0.1, nu_C=1.0)
    want = k.ntk(X, -X)
    monkeypatch.setattr(kernel_stepper, "LONG", 4)
    monkeypatch.setattr("wideproof.derive.expectation.pair_integrals.MANY", 1)
    found = k.ntk(X, -X)
    np.testing.assert_allclose(found, want, atol=1e-10)
    assert np.any(found != want)


def test_inputs_without_entries_leave_the_biases_alone():
    kernels = [
        Kernel(wp.models.elman("erf"), readout=r, nu_W=0.5, nu_F=1.0, nu_b=0.1, nu_C=1.0) for r in ("all", "last")
    ]
    every, last = (kernel.nngp(np.ones((2, 3, 0))) for kernel in kernels)
    np.testing.assert_allclose(every[:, -1, :, -1], last, rtol=1e-14)
