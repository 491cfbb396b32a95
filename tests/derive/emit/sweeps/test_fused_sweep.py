"""The compiled sweep over pairs: equal to the array text, and the same bits whatever the threads."""

import math

import numpy as np
import pytest

from wideproof.derive import Recursion, activation, define, models, nngp, ntk
from wideproof.derive.emit.kernel_stepper import STILL
from wideproof.derive.emit.sweeps import compiled_text, contributions, fused_sweep, within_sweep
from wideproof.derive.emit.sweeps.fused_sweep import FusedSweep, sweep_of
from wideproof.derive.emit.sweeps.step_text import arctan_terms
from wideproof.derive.expectation.swept_means import Slot
from wideproof.derive.expectation.tables import compiled_sweep
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.kernels.sequence_batches import SequenceBatch


def mixed():
    """Two layers, the first of a smooth activation of no parity, whose gaps the second, with a kink, asks for."""
    rnn = Recursion("mixed")
    h, g = rnn.state("h"), rnn.state("g")
    W, V, U = (rnn.matrix(x, variance="nu_W") for x in "WVU")
    smooth = define("swept_both", "tanh(z) + tanh(z)**2")
    rnn.update(h, smooth(W @ h + rnn.input_map("F", variance="nu_F") @ rnn.x + rnn.bias("b", variance="nu_b")))
    rnn.update(g, activation("relu")(V @ g + U @ h.next))
    rnn.output(rnn.readout("C", variance="nu_C") @ g)
    return rnn


def shifted(name):
    """A network whose bias has a mean."""
    rnn = Recursion("shifted")
    h = rnn.state("h")
    W, F, b = rnn.matrix("W", variance="nu_W"), rnn.input_map("F", variance="nu_F"), rnn.bias("b", "nu_b", mean="mu")
    rnn.update(h, activation(name)(W @ h + F @ rnn.x + b))
    rnn.output(rnn.readout("C", variance="nu_C") @ h)
    return rnn


NU = {"mu": 0.3, "nu_W": 0.9, "nu_F": 0.5, "nu_b": 0.1, "nu_C": 1.0, "nu_U": 0.8}
TEXT = {
    "relu": (ntk, models.elman("relu")),
    "erf": (ntk, models.elman("erf")),
    "gelu": (ntk, models.elman("gelu")),
    "step": (nngp, models.elman("step")),
    "stacked": (ntk, models.stacked(activation="abs")),
    "linear": (ntk, models.linear_rnn()),
    "tanh": (ntk, models.elman("tanh")),
    "stacked tanh": (ntk, models.stacked(activation="tanh")),
    "mixed": (nngp, mixed()),
    "mean": (nngp, shifted("tanh")),
    "mean of erf": (ntk, shifted("erf")),
}
NONE = {
    "residual": (ntk, models.residual()),
    "sin": (nngp, models.elman("sin")),
    "mean of relu": (nngp, shifted("relu")),
}


def sequences(N, T, seed=0):
    """Random ones, two that are one, one opposed, one scaled, one as near as 1e-8, and one of zeros."""
    X = 0.5 * np.random.default_rng(seed).standard_normal((N, T, 3))
    X[1], X[2], X[3], X[4], X[5] = X[0], -X[0], 1.5 * X[0], X[0] + 1e-8 * X[6], 0.0
    return X


def one_input(n, T):
    """Sequences of one input a step, whose variances span decades, and the correlations of large ones are near one."""
    return 3.0 * np.random.default_rng(n).standard_normal(((150, 90)[n], T, 1))


def both(name, T, other, text=None, made=lambda n, T: sequences((40, 33)[n], T)):
    """The kernel by the sweep and by the array text."""
    quantity, model = (TEXT | NONE)[name]
    function = quantity(model).formula.on_sequences()
    nu = {x: NU[x] for x in function.scalars}
    X = made(0, T)
    Y = X if other is None else made(1, other)
    batch = SequenceBatch(np, X, Y, other is None, wanted=math.inf)
    sizes = (T, other or T)
    sweep = FusedSweep(function.equations, sizes[0] == sizes[1])
    if text is not None:
        sweep.text = text(sweep.text)
    stepper = function._stepper(batch, sizes, nu, STILL)
    found = [sweep.values(stepper, sizes, batch.diagonal) for _ in range(2)]
    assert np.array_equal(*found)
    want = function.on(batch, sizes, "last", **nu)
    return found[0], 0.5 * (want + want.T) if other is None else want


def apart(found, want):
    return float(np.abs(found - want).max() / np.abs(want).max())


@pytest.mark.parametrize(
    ("name", "other", "limit"),
    [
        ("relu", None, 1e-12),
        ("erf", None, 1e-12),
        ("stacked", 6, 1e-12),
        ("tanh", None, 1e-11),  # the array text takes other tables: one for each pair of ranges, and for derivatives
        ("mixed", 6, 1e-11),
    ],
)
def test_the_sweep_is_the_array_text(name, other, limit):
    pytest.importorskip("numba")
    assert apart(*both(name, 5, other)) < limit


@pytest.mark.parametrize(("name", "limit"), [("erf", 1e-12), ("tanh", 2e-11)])
@pytest.mark.parametrize("other", [None, 4], ids=["same", "others"])
def test_several_chunks_of_near_and_far_sequences_are_the_array_text(name, limit, other):
    pytest.importorskip("numba")
    assert apart(*both(name, 4, other, made=one_input)) < limit


def test_a_second_piece_off_by_a_thousandth_is_seen():
    pytest.importorskip("numba")
    changed = []

    def spoilt(text):
        deeper = text.replace("row1 - start, 0, to0), sum1_0", "row1 - start, 0, to0), spread8(1.001) * sum1_0")
        changed.append(deeper != text)
        return deeper

    assert apart(*both("tanh", 3, None, spoilt, one_input)) > 1e-6
    assert changed == [True]


def test_a_weight_off_by_a_thousandth_is_seen():
    pytest.importorskip("numba")
    changed = both("linear", 3, None, lambda text: text.replace("old1_0*p2", "1.001*old1_0*p2"))
    assert apart(*changed) > 1e-6


@pytest.mark.parametrize("name", ["linear", "tanh"])
def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch, name):
    pytest.importorskip("numba")
    quantity, model = TEXT[name]
    function = quantity(model).formula.on_sequences()
    X = sequences(70, 4)
    found = []
    for count in (1, 2, 3):
        monkeypatch.setattr(compiled_sweep, "threads", lambda count=count: count)
        monkeypatch.setattr(fused_sweep, "ROWS", 16)
        batch = SequenceBatch(np, X, X, True)
        stepper = function._stepper(batch, (4, 4), {x: NU[x] for x in function.scalars}, STILL)
        found.append(FusedSweep(function.equations, True).values(stepper, (4, 4), True))
    assert all(np.array_equal(found[0], x) for x in found[1:])


@pytest.mark.parametrize("name", [*TEXT, *NONE])
def test_which_recurrences_have_a_text(name):
    quantity, model = (TEXT | NONE)[name]
    pytest.importorskip("numba")
    found = sweep_of(quantity(model).formula.on_sequences().equations, True)
    assert (found is not None) == (name in TEXT)


def test_a_bias_that_has_a_mean_is_the_array_text_and_no_other_mean(monkeypatch):
    pytest.importorskip("numba")
    for module in (fused_sweep, contributions, within_sweep):
        monkeypatch.setattr(module, "compiled", lambda text: compiled_text.function_of(text, "<text>"))
    function, X = nngp(shifted("tanh")).formula.on_sequences(), 0.3 * sequences(7, 2)
    nu, batch = {x: NU[x] for x in function.scalars}, SequenceBatch(np, X, X, True)
    found = function.swept(batch, (2, 2), "last", **nu)
    want, other = (function.on(batch, (2, 2), "last", **nu | {"mu": mu}) for mu in (0.3, 0.3003))
    assert apart(found, 0.5 * (want + want.T)) < 2e-11
    assert apart(found, other) > 1e-5


def test_names_that_a_user_chose_do_not_enter_the_text():
    text = FusedSweep(ntk(models.stacked(activation="relu")).formula.on_sequences().equations, True).text
    assert "nu_" not in text


def test_numbers_near_the_ends_of_the_range_are_left_to_the_array_text():
    pytest.importorskip("numba")
    function = ntk(models.elman("relu", bias=False)).formula.on_sequences()
    sweep = FusedSweep(function.equations, True)
    sweep.function = lambda *_: pytest.fail("swept")
    for size in (1e-60, 1e60):
        X = size * sequences(8, 2)
        stepper = function._stepper(
            SequenceBatch(np, X, X, True), (2, 2), {"nu_W": 0.9, "nu_F": 0.5, "nu_C": 1.0}, STILL
        )
        assert sweep.values(stepper, (2, 2), True) is None


def test_the_arc_tangent_is_known_to_rounding():
    x = np.linspace(0.0, 1.0, 10001)
    found = x * np.polyval(arctan_terms(), x * x)
    assert np.abs(found - np.arctan(x)).max() < 3e-16
    assert abs(found[-1] - math.pi / 4) < 3e-16


def test_variances_beyond_tables_are_left_to_the_array_text():
    pytest.importorskip("numba")
    function = nngp(models.elman("tanh")).formula.on_sequences()
    sweep = FusedSweep(function.equations, True)
    sweep.function = lambda *_: pytest.fail("swept")
    X = 1000.0 * sequences(8, 1)
    nu = {x: NU[x] for x in function.scalars}
    assert sweep.values(function._stepper(SequenceBatch(np, X, X, True), (1, 1), nu, STILL), (1, 1), True) is None


def test_coefficients_of_tables_off_by_a_thousandth_are_seen(monkeypatch):
    pytest.importorskip("numba")
    kept = fused_sweep.loaded

    def spoilt(*arguments):
        found = kept(*arguments)
        return found._replace(cores=1.001 * found.cores)

    monkeypatch.setattr(fused_sweep, "loaded", spoilt)
    assert apart(*both("tanh", 5, None)) > 1e-6


@pytest.mark.parametrize("wrong", ["nothing", "near one", "away from one", "the row itself"])
def test_at_large_variances_tables_have_two_pieces_and_each_matters(monkeypatch, wrong):
    pytest.importorskip("numba")
    kept, pieces = fused_sweep.loaded, []

    def spoilt(*arguments):
        found = kept(*arguments)
        counts = found.shapes[0, 0, 1:5]
        pieces.append(counts)
        cores, rows = found.cores.copy(), found.rows.copy()
        first = sum(counts[:2]) * found.shapes[0, 0, 7]
        cores[..., :first] *= 1.001 if wrong == "away from one" else 1.0
        cores[..., first:] *= 1.001 if wrong == "near one" else 1.0
        rows[..., 5:7] *= 1.001 if wrong == "the row itself" else 1.0
        return found._replace(cores=cores, rows=rows)

    monkeypatch.setitem(NU, "nu_F", 100.0)
    monkeypatch.setattr(fused_sweep, "loaded", spoilt)
    assert (apart(*both("tanh", 2, None)) < 3e-11) == (wrong == "nothing")
    assert all(sum(x[2:]) > 0 < sum(x[:2]) for x in pieces)


def test_one_table_serves_an_expectation_and_its_derivative_in_either_order():
    value, other = Slot((("tanh", 0),) * 2, 1, 1, False, 0), Slot((("tanh", 1),) * 2, 1, 1, False, 1)
    assert value.joined(other) == other.joined(value) == value._replace(slope=1)
    for apart in (other._replace(row=2), other._replace(gapped=True), other._replace(factors=(("tanh", 2),) * 2)):
        assert value.joined(apart) is None
    equations = ntk(models.elman("tanh")).formula.on_sequences().equations
    assert [len(FusedSweep(equations, True, shared).step.slots) for shared in (True, False)] == [1, 2]


def test_where_one_table_serves_no_two_each_has_its_own(monkeypatch):
    pytest.importorskip("numba")
    kept, asked = FusedSweep._tables, []

    def refused(sweep, stepper, n, *others):
        asked.append([slot.slope for slot in (sweep.step, sweep.end)[n].slots])
        return None if any(x is not None for x in asked[-1]) else kept(sweep, stepper, n, *others)

    monkeypatch.setattr(FusedSweep, "_tables", refused)
    monkeypatch.setattr(FusedSweep, "function", property(lambda _: lambda *x: x[-1].fill(7.0) or 0.0))
    function = ntk(models.elman("tanh")).formula.on_sequences()
    X = sequences(8, 2)
    stepper = function._stepper(SequenceBatch(np, X, X, True), (2, 2), {x: NU[x] for x in function.scalars}, STILL)
    assert np.all(FusedSweep(function.equations, True).values(stepper, (2, 2), True) == 7.0)
    assert asked == [[0], [], [None, None], []]


def test_what_is_kept_on_disk_names_no_module_that_may_move():
    assert compiled_text.function_of("def sweep():\n    return 1\n", "<text>").__module__ == "wideproof"


@pytest.mark.parametrize("name", ["tanh", "silu", "softplus", "sigmoid"])
@pytest.mark.parametrize("size", [1e-12, 1e-9, 1e-6], ids=str)
def test_variances_too_small_to_tell_correlations_are_swept(name, size):
    pytest.importorskip("numba")
    nu = {"nu_W": 1e-3 * size, "nu_F": size, "nu_b": 0.0, "nu_C": 1.0}
    X = np.random.default_rng(0).standard_normal((200, 30, 2))
    kernel = Kernel(models.elman(name), "ntk", "numpy", "last", **nu)
    found, few = kernel.ntk(X), kernel.ntk(X[:4])
    assert np.abs(found[:4, :4] / few - 1.0).max() < 1e-9
