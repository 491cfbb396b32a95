"""What sequences contribute alone, by its loop run as plain Python: the expressions of a row and of a column."""

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import models, ntk
from wideproof.derive.emit.kernel_stepper import STILL
from wideproof.derive.emit.sweeps import compiled_text, contributions
from wideproof.derive.emit.sweeps.contributions import Part
from wideproof.derive.emit.sweeps.fused_sweep import FusedSweep
from wideproof.derive.emit.sweeps.step_text import SIZES
from wideproof.derive.emit.sweeps.within_sweep import WithinSweep
from wideproof.numeric.kernels.sequence_batches import SequenceBatch

NU = {"nu_W": 0.9, "nu_F": 0.5, "nu_b": 0.1, "nu_C": 1.0}
LANES = 4


def apart(monkeypatch, change=lambda text: text, half=True):
    """How far letters of rows and columns, and directions of rows, are from what is written, of five sequences.

    Columns are the same sequences if `half`, else others.
    """
    monkeypatch.setattr(contributions, "aligned", lambda shape: np.full(shape, 7.0))
    monkeypatch.setattr(contributions, "compiled", lambda text: compiled_text.function_of(change(text), "<text>"))
    function = ntk(models.elman("erf")).formula.on_sequences()
    X = np.random.default_rng(0).standard_normal((5, 3, 2))
    X[2] = 0.0
    both = (X, X if half else 2.0 * X[::-1])
    stepper = function._stepper(SequenceBatch(np, *both, half), (3, 3), NU, STILL)
    sweep, span = FusedSweep(function.equations, True), range(1, 3)
    one, other = sweep.alone.sides(stepper, [[span, span[1:]]] * 2, half, LANES)
    sizes = [np.linalg.norm(x, axis=-1)[:, 1:] for x in both]
    along = X[:, 1:] / np.where(sizes[0] > 0, sizes[0], 1.0)[..., None]
    laid = one.directions.transpose(0, 3, 1, 2).reshape(8, 2, 2)
    found = [np.abs(laid[:5] - along).max(), np.abs(laid[5:] - along[4]).max()]
    for side, at in enumerate((one, other)):
        letters = [x for x, key in sweep.step.within.items() if key.side == side]
        names = [*stepper.equations.symbols, sp.Symbol(SIZES[side], nonnegative=True), *letters]
        within = (stepper.within_at(0 if half else side, sweep.step.within[x].pair, range(2), 5).T for x in letters)
        numbers = [sizes[side].T, *within]
        want = sp.lambdify(names, sweep.step.alone[side], "numpy")(*stepper.parameters, *numbers)
        found += [np.abs(x - y).max() for x, y in zip(sweep.alone.letters(side, 0, at), want, strict=True)]
    return max(map(float, found))


@pytest.mark.parametrize("half", [True, False], ids=["with themselves", "with others"])
def test_they_are_the_expressions_of_rows_and_columns(half, monkeypatch):
    assert apart(monkeypatch, half=half) < 1e-15


def test_sides_that_are_exchanged_are_seen(monkeypatch):
    monkeypatch.setattr(contributions, "SIDE", contributions.SIDE[::-1])
    assert not apart(monkeypatch, half=False) < 1e-4


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("size = lengths[at, far + j]", "size = 1.001 * lengths[at, far + j]"),
        ("moving_begin + t", "t"),
        ("directions[chunk, t, n, lane + width - np.uint64(1)]", "0.0"),
    ],
    ids=["letter", "time", "lanes left"],
)
def test_a_length_a_time_or_a_lane_that_is_wrong_is_seen(text, other, monkeypatch):
    assert not apart(monkeypatch, lambda whole: whole.replace(text, other)) < 1e-4


@pytest.mark.parametrize(("size", "known"), [(1.0, True), (1e60, False)], ids=["in range", "beyond"])
def test_moments_within_sequences_are_worked_out_on_the_way_or_left_unknown(size, known):
    pytest.importorskip("numba")
    function, X = ntk(models.elman("erf")).formula.on_sequences(), np.random.default_rng(0).standard_normal((150, 4, 2))
    batch, sweep = SequenceBatch(np, size * X, X[:70], False), FusedSweep(function.equations, True)
    steppers = [function._stepper(batch, (4, 4), NU, STILL) for _ in range(2)]
    begin = WithinSweep(function.equations).begin
    found = sweep.alone.sides(steppers[0], [[range(4), range(3, 4)]] * 2, False, 64, begin)
    assert bool(found) == bool(steppers[0].within) == bool(steppers[0].lengths) == known
    if known:
        want = sweep.alone.sides(steppers[1], [[range(4), range(3, 4)]] * 2, False, 64)
        pairs = [pair for sides in zip(found, want, strict=True) for pair in zip(*(x[:3] for x in sides), strict=True)]
        assert all(np.allclose(one, other, rtol=0.0, atol=1e-14) for one, other in pairs)
        assert begin(steppers[0], 0) is None


def test_a_row_and_a_column_that_read_the_same_read_one_number():
    sweep = FusedSweep(ntk(models.elman("erf")).formula.on_sequences().equations, True)
    part = Part.of(sweep.step)
    assert [len(x) for x in sweep.step.alone] == [7, 7]
    assert len(part.exprs) == 7
    assert part.read(1, "c[{}]").count("-c[2]") == 1
