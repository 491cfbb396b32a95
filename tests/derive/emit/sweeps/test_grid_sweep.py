"""The compiled sweep over pairs of times: equal to the array text, and the same bits whatever the threads.

The text is run as plain Python but for the bits, which are those of compiled code.
"""

import numpy as np
import pytest

import wideproof as wp
from wideproof.derive import models, nngp, ntk
from wideproof.derive.emit.kernel_stepper import STILL
from wideproof.derive.emit.sweeps import compiled_text, contributions, fused_sweep, grid_sweep
from wideproof.derive.emit.sweeps.grid_sweep import GridSweep, grid_of
from wideproof.derive.expectation import swept_means
from wideproof.derive.expectation.tables import compiled_sweep, narrowing
from wideproof.numeric.kernels.sequence_batches import SequenceBatch

NU = {"nu_W": 0.9, "nu_F": 0.5, "nu_b": 0.1, "nu_C": 1.0, "alpha": 0.3}


def sequences(N, T, seed=0):
    """Random ones, one opposed to another, one a multiple, and one of zeros."""
    X = np.random.default_rng(seed).standard_normal((N, T, 3))
    X[1], X[2], X[3] = -X[0], 1.5 * X[0], 0.0
    return X


def plain(text):
    return compiled_text.function_of(text, "<text>")


def both(quantity, model, sizes, readout, monkeypatch, change=lambda text: text, twins=False, count=6):
    """The kernel by the sweep, as plain Python, and by the array text; of twins two sequences are one."""
    for module in (grid_sweep, contributions):
        monkeypatch.setattr(module, "compiled", lambda text: plain(change(text)))
    function = quantity(model).formula.on_sequences()
    nu, (T, other) = {x: NU[x] for x in function.scalars}, sizes
    X = sequences(count, T)
    X[4] = X[0] if twins else X[4]
    Y = X if other is None else sequences(5, other, 1)
    batch, sizes = SequenceBatch(np, X, Y, other is None), (T, other or T)
    stepper = function._stepper(batch, sizes, nu, STILL)
    found = GridSweep(function.equations).grid(stepper, sizes, other is None, readout)
    want = function.on(batch, sizes, readout, **nu)
    if readout == "all":
        want = np.transpose(want, (0, 2, 1, 3))
    turned = want.T if readout != "all" else want.transpose(2, 3, 0, 1)
    return found, 0.5 * (want + turned) if other is None else want


def apart(found, want):
    assert found.shape == want.shape
    return float(np.abs(found - want).max() / np.abs(want).max())


CASES = {
    "leaky relu": (nngp, models.leaky("relu"), (4, None), "all"),
    "leaky gelu, other sequences": (nngp, models.leaky("gelu"), (3, 2), "last"),
    "residual": (ntk, models.residual(), (3, None), "average"),
    "residual, other sequences": (nngp, models.residual(), (2, 4), "all"),
    "elman": (nngp, models.elman("relu"), (3, None), "all"),
}


@pytest.mark.parametrize("case", [*CASES])
def test_the_sweep_is_the_array_text(case, monkeypatch):
    pytest.importorskip("numba")
    assert apart(*both(*CASES[case], monkeypatch)) < 1e-13


TABLED = {
    "leaky tanh": (ntk, models.leaky("tanh"), (2, None), "last"),
    "residual tanh, other sequences": (nngp, models.residual("tanh"), (2, 3), "all"),
    "leaky silu": (nngp, models.leaky("silu"), (3, None), "average"),
    "elman tanh": (ntk, models.elman("tanh"), (3, None), "all"),
}


@pytest.mark.parametrize("case", [*TABLED])
def test_the_sweep_of_tables_is_the_array_text(case, monkeypatch):
    pytest.importorskip("numba")
    assert apart(*both(*TABLED[case], monkeypatch, twins=True)) < 3e-11


@pytest.fixture
def _in_two_pieces(monkeypatch):
    monkeypatch.setattr(narrowing, "pays", lambda first, whole: True)
    swept_means._narrowed.cache_clear()
    yield
    swept_means._narrowed.cache_clear()


@pytest.mark.usefixtures("_in_two_pieces")
@pytest.mark.parametrize("count", [5, 12], ids=["few columns", "many"])
def test_second_pieces_serve_however_many_columns_are_swept_together(monkeypatch, count):
    """Few are swept four at a time; the terms of second pieces are eight numbers at a time all the same."""
    pytest.importorskip("numba")
    found, want = both(ntk, models.elman("tanh"), (2, None), "all", monkeypatch, twins=True, count=count)
    assert apart(found, want) < 3e-11


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("row_terms[e, n] = whole", "row_terms[e, n] = 1.001 * whole"),
        ("step_terms, (step_row, i", "step_terms, (0, i"),
        ("step_columns, (chunk, step_column", "step_columns, (chunk, 0"),
    ],
    ids=["within", "row", "column"],
)
def test_a_table_at_other_variances_or_terms_is_seen(text, other, monkeypatch):
    pytest.importorskip("numba")
    changed = []

    def change(whole):
        changed.append(text in whole)
        return whole.replace(text, other)

    assert apart(*both(nngp, models.leaky("tanh"), (3, None), "last", monkeypatch, change)) > 1e-8
    assert any(changed)


def test_variances_beyond_tables_are_left_to_the_array_text(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(grid_sweep, "RANGES", ((0.0, 1 / 64), (0.0, 0.25)))
    assert both(nngp, models.leaky("tanh"), (2, None), "last", monkeypatch)[0] is None


@pytest.mark.parametrize("read", ["left1_0", "above2_0", "old0_0"])
def test_a_moment_of_one_step_less_off_by_a_thousandth_is_seen(read, monkeypatch):
    pytest.importorskip("numba")

    def change(text):
        if "of_rows" not in text:
            return text
        assert f"{read} = " in text
        return text.replace(f"{read} = ", f"{read} = 1.001 * ", 1)

    assert apart(*both(nngp, models.residual(), (4, 3), "last", monkeypatch, change)) > 1e-5


def test_a_variance_that_is_not_of_the_diagonal_is_seen(monkeypatch):
    pytest.importorskip("numba")
    changed = both(
        *CASES["leaky relu"], monkeypatch, lambda text: text.replace("if s < t else near", "if s < t else 0.0 * near")
    )
    assert apart(*changed) > 1e-5


def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch):
    pytest.importorskip("numba")
    function = nngp(models.leaky("tanh")).formula.on_sequences()
    nu, X, found = {x: NU[x] for x in function.scalars}, sequences(11, 4), []
    batch = SequenceBatch(np, X, X, True)
    for count in (1, 3):
        monkeypatch.setattr(compiled_sweep, "threads", lambda count=count: count)
        stepper = function._stepper(batch, (4, 4), nu, STILL)
        found.append(GridSweep(function.equations).grid(stepper, (4, 4), True, "last"))
    assert all(np.array_equal(found[0], x) for x in found[1:])
    want = function.on(batch, (4, 4), "last", **nu)
    assert apart(found[0], 0.5 * (want + want.T)) < 1e-11


def test_what_costs_array_code_most_is_swept_soonest():
    work = {x: wp.Kernel(models.leaky(x), readout="last", **NU)._work for x in ("erf", "tanh")}
    erf, tanh = (work[x](nngp(models.leaky(x)).formula.on_sequences(), [1, 1], [40, 40]) for x in work)
    assert erf < fused_sweep.LEAST_WORK < tanh


def started():
    """A leaky network whose state is drawn before the first step."""
    rnn = wp.Recursion("started")
    W, F, C = rnn.matrix("W", variance="nu_W"), rnn.input_map("F", variance="nu_F"), rnn.readout("C", variance="nu_C")
    h = rnn.state("h", initial="nu_h0", shared=True)
    rnn.update(h, h / 2 + wp.erf(W @ h + F @ rnn.x) / 2)
    rnn.output(C @ h)
    return rnn


@pytest.mark.parametrize(
    ("model", "has"),
    [(models.leaky(), True), (models.leaky("tanh"), True), (models.bidirectional(), False), (started(), False)],
    ids=["leaky", "tables", "backward", "started"],
)
def test_which_recurrences_have_a_text(model, has):
    pytest.importorskip("numba")
    assert (grid_of(nngp(model).formula.on_sequences().equations) is not None) == has


def test_numbers_near_the_ends_of_the_range_are_left_to_the_array_text(monkeypatch):
    pytest.importorskip("numba")
    monkeypatch.setattr(grid_sweep, "compiled", lambda text: pytest.fail("swept"))
    function = nngp(models.residual()).formula.on_sequences()
    nu, X = {x: NU[x] for x in function.scalars}, 1e60 * sequences(5, 2)
    stepper = function._stepper(SequenceBatch(np, X, X, True), (2, 2), nu, STILL)
    assert GridSweep(function.equations).grid(stepper, (2, 2), True, "all") is None


def test_times_are_grouped_by_their_variances_the_smallest_together():
    variances = np.array([0.0, 1e-6, 0.5, 0.9, 3.0, 15.0, 40.0])[:, None] * np.ones(2)
    assert swept_means._groups(variances).tolist() == [0, 0, 0, 0, 1, 2, 3]
    assert swept_means._groups(np.ones((3, 2))).tolist() == [0, 0, 0]


def test_groups_of_times_change_no_number(monkeypatch):
    pytest.importorskip("numba")
    found = []
    for count in (1, 4):
        monkeypatch.setattr(swept_means, "GROUPS", count)
        found.append(both(nngp, models.residual("tanh"), (3, None), "last", monkeypatch)[0])
    assert 0.0 < apart(*found) < 1e-11
