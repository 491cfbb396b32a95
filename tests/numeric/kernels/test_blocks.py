"""Kernels by blocks of pairs: the same numbers whoever works, progress told, and what cannot fit refused before."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from wideproof.derive import models
from wideproof.derive.expectation.tables import compiled_sweep
from wideproof.derive.language.errors import ParameterError, TooLarge
from wideproof.numeric.kernels import blocks, kernel as kernel_module
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.kernels.sequence_batches import SequenceBatch, distinct

NU = {"nu_W": 0.5, "nu_F": 1.0, "nu_b": 0.1, "nu_C": 1.0}
RNN = models.elman("erf")


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(7)
    return rng.standard_normal((7, 2, 2)), [rng.standard_normal((steps, 2)) for steps in (2, 3, 2, 3)]


@pytest.fixture
def small(monkeypatch):
    """Blocks of three sequences, of two where pairs of times are taken."""
    monkeypatch.setattr(kernel_module, "BLOCK", 3)


class Jumbled(ThreadPoolExecutor):
    """Blocks come back in an order of chance."""

    taken: tuple = ()

    def submit(self, work, /, *given, **more):
        def late():
            time.sleep(random.Random(repr(given[1])).random() / 50)
            self.taken = (*self.taken, given)
            return work(*given)

        return super().submit(late)


@pytest.mark.parametrize("readout", ["last", "all"])
def test_an_executor_gives_the_same_bits(sequences, small, readout):
    X, others = sequences
    Y = others if readout == "last" else X[:4]
    alone = Kernel(RNN, readout=readout, **NU)
    with Jumbled(3) as pool:
        shared = Kernel(RNN, readout=readout, executor=pool, **NU)
        assert np.array_equal(shared.ntk(X), alone.ntk(X))
        assert np.array_equal(shared.ntk(X, Y, "W"), alone.ntk(X, Y, "W"))
        a, b = (kernel.evaluate("nngp", X, Y) for kernel in (shared, alone))
        assert np.array_equal(a.value, b.value)
        assert np.array_equal(a.error, b.error)
    text, *arrays = pool.taken[0]  # text and numbers are sent, and nothing else
    assert isinstance(text, str)
    assert [type(x) for x in arrays] == [np.ndarray, np.ndarray, tuple]


@pytest.mark.parametrize("readout", ["last", "all"])
def test_threads_take_blocks_as_memory_allows_and_the_bits_stay(sequences, small, monkeypatch, readout):
    block, seen, found = Kernel.block, {}, {}
    for count, memory in ((1, 2**30), (3, 2**30), (3, 2000)):

        def noted(*given, key=(count, memory)):
            seen.setdefault(key, set()).add(threading.current_thread().name)
            return block(*given)

        monkeypatch.setattr(Kernel, "block", noted)
        monkeypatch.setattr(compiled_sweep, "threads", lambda count=count: count)
        found[count, memory] = Kernel(RNN, readout=readout, memory=memory, **NU).evaluate("ntk", sequences[0])
    first, second, third = found.values()
    assert [{name.startswith("wideproof-block") for name in names} for names in seen.values()] == [
        {False}, {False, True}, {False},
    ]  # fmt: skip
    for other in (second, third):
        assert np.array_equal(other.value, first.value)
        assert np.array_equal(other.error, first.error)


def test_an_overflow_in_a_thread_is_told(sequences, small, monkeypatch):
    monkeypatch.setattr(compiled_sweep, "threads", lambda: 3)
    X = sequences[0].copy()
    X[6] *= 1e170
    with pytest.raises(TooLarge, match="step 0"):
        Kernel(models.elman("relu"), readout="last", **NU).ntk(X)


@pytest.mark.parametrize("error", [False, True], ids=["value", "with its error"])
def test_a_block_is_refused_where_nothing_flags_its_overflow(sequences, error):
    X = 1e100 * sequences[0]
    with np.errstate(all="ignore"), pytest.raises(TooLarge):
        Kernel(models.elman("relu"), readout="last", **NU | {"nu_W": 1e200}).block(
            ("ntk", None, error), SequenceBatch(np, X, X, True)
        )


def test_progress_tells_the_blocks(sequences, small):
    told = []
    Kernel(RNN, readout="last", progress=lambda *at: told.append(at), **NU).ntk(sequences[0])
    assert told == [(k, 6) for k in range(1, 7)]


def test_a_kernel_that_cannot_fit_is_refused_with_the_arithmetic(sequences, monkeypatch):
    monkeypatch.setattr(blocks, "machine_memory", lambda: 8 * 7 * 7 - 1)
    with pytest.raises(ParameterError) as caught:
        Kernel(RNN, readout="last", **NU).ntk(sequences[0])
    assert caught.value.got == "8 bytes x 7 x 7 entries = 3.92e-07 GB"
    assert "kernel.ntk(X[:3], X)" in caught.value.hint
    monkeypatch.setattr(blocks, "machine_memory", lambda: 8 * 7 * 7)
    assert Kernel(RNN, readout="last", **NU).ntk(sequences[0]).shape == (7, 7)


def test_what_is_no_executor_is_refused_at_once():
    with pytest.raises(ParameterError, match="Executor"):
        Kernel(RNN, executor=4, **NU)


def test_sequences_whose_sums_are_equal_are_compared():
    X = np.arange(24.0).reshape(4, 3, 2) + np.array([0.0, 9.0, 0.0, 2.0])[:, None, None]
    assert distinct([([0, 1, 2, 3], X)])[1] is None
    X[1], X[2], X[3] = X[0, ::-1], X[0] + 0.0, -0.0 * X[0]
    ((rows, first),), places = distinct([([0, 1, 2, 3], X)])
    assert (places, rows) == ([0, 1, 0, 2], [0, 1, 2])
    assert np.array_equal(first, X[[0, 1, 3]])
