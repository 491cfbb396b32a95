"""Bad values at the entrance of every public numeric function: our own error, at once, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from wideproof.derive import DeriveError, ParameterError, models
from wideproof.derive.language.errors import ShapeError
from wideproof.numeric import (
    Kernel,
    Level,
    Plan,
    WideClassifier,
    WideRegressor,
    WideTraining,
    empirical_ntk,
    gradients,
    posterior,
    train,
    train_network,
    validate,
)
from wideproof.numeric.core.inputs import all_finite, finite_array, input_array, names, real, whole
from wideproof.numeric.linear_rnn.convolution import matched
from wideproof.numeric.linear_rnn.quadratic_loss import quadratic
from wideproof.numeric.memory_horizon.fixed_points import analyse
from wideproof.numeric.memory_horizon.phase_diagram import phase_diagram
from wideproof.numeric.networks.simulation import simulate
from wideproof.numeric.validation.memory_slope import check_memory

NU = {"nu_W": 0.5, "nu_F": 1.0, "nu_b": 0.1, "nu_C": 1.0}
LINEAR = {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 1.0}
X = np.random.default_rng(0).standard_normal((2, 3, 1))
Y = np.array([[1.0], [-1.0]])
RNN = models.elman("erf")
KERNEL = Kernel(RNN, readout="last", **NU)
COUNTS = (8.0, 1.5, True, None, "3", -1, np.nan, 3 + 0j, [3], np.float64(2))
REALS = (True, "3", -1, np.nan, 1 + 1j, [1.0, 2.0], object(), np.ma.masked, np.inf)
MASKED, OBJECTS = np.ma.masked_array(X, X > 0), X.astype(object)
ARRAYS = (None, "text", MASKED, OBJECTS, X + 0j, X * np.nan, X * np.inf, X[:0], X[..., 0, 0], X > 0, X.astype(str), {})

TARGETS = tuple(x for x in ARRAYS if np.shape(x) != (2,))


def fitted(**options):
    return WideRegressor(RNN, **{**NU, **options}).fit(X, Y[:, 0])


def data():
    return quadratic(X, X, 2)


# ruff: noqa: E501
BAD = {
    "Kernel": (lambda **o: Kernel(RNN, **{**NU, **o}), {
        **dict.fromkeys(NU, REALS), "points": (*COUNTS, 3), "seed": COUNTS, "memory": REALS, "readout": (1, None, "first"),
        "parameterization": (1, None, "x"), "backend": (1, None, "torch"), "progress": (1, "x")}),
    "nngp": (lambda X1: KERNEL.nngp(X1), {"X1": ARRAYS}),
    "ntk": (lambda X2=X, parameters=None: KERNEL.ntk(X, X2, parameters), {"X2": ARRAYS[1:], "parameters": (1, [1], "V")}),
    "evaluate": (lambda quantity="ntk", X1=X: KERNEL.evaluate(quantity, X1), {"quantity": (1, None, "x"), "X1": ARRAYS}),
    "WideTraining": (lambda kernel=KERNEL, x=X, y=Y, **o: WideTraining(kernel, x, y, **o), {
        "kernel": (None, RNN), "x": ARRAYS, "y": (*TARGETS, np.ones(5)), "ridge": REALS, "parameters": (3, [3])}),
    "flow": (lambda time=1.0, **o: WideTraining(KERNEL, X, Y).flow(time, **o), {
        "time": REALS[:-1], "X": ARRAYS[1:], "friction": REALS, "start": (1, (Y,), (Y, "x"), (None, None))}),
    "descend": (lambda steps=2, **o: WideTraining(KERNEL, X, Y).descend(steps, **o), {
        "steps": COUNTS, "step": REALS, "momentum": (*REALS, 1.0)}),
    "posterior": (lambda kernel=KERNEL, x=X, y=Y, new=X, **o: posterior(kernel, x, y, new, **o), {
        "kernel": (None,), "x": ARRAYS, "y": TARGETS, "new": ARRAYS, "noise": REALS}),
    "WideRegressor": (lambda x=X, y=Y[:, 0], **o: WideRegressor(RNN, **{**NU, **o}).fit(x, y), {
        "x": ARRAYS[1:-1], "y": (None, "text", Y[:, 0] * np.nan, np.ones(5), Y + 0j, np.ma.masked_array(Y[:, 0], [True, False])), "ridge": REALS, "time": REALS[:-1],
        "nu_W": REALS, "kernel": (1, "x"), "readout": (1, "all"), "parameterization": (1, "x")}),
    "predict": (lambda x: fitted().predict(x), {"x": ARRAYS[1:-1]}),
    "WideClassifier": (lambda x=X, y=(0, 1), **o: WideClassifier(RNN, **{**NU, **o}).fit(x, y), {
        "x": ARRAYS[1:-1], "y": ([0, 0], [0.5, 1.5, 2]), "ridge": REALS, "nu_b": REALS}),
    "validate": (lambda width=8, **o: validate(RNN, width, **o), {
        "width": COUNTS, "trials": (*COUNTS[:3], 0, 1, "3"), "seed": COUNTS, "horizon": (0, *COUNTS[:3]), "budget": REALS,
        "device": (1, "tpu"), "dtype": (1, "x"), "sampler": (1, "x"), "level": (0.01,), "nu_W": REALS, "progress": (1,)}),
    "Plan": (lambda **o: Plan(**{"width": 8, "trials": 4, "horizon": 2, **LINEAR, **o}), {
        "width": COUNTS, "trials": COUNTS, "horizon": COUNTS, "n_x": COUNTS, "seed": COUNTS, "nu_W": REALS,
        "kernel_trials": COUNTS[:3], "target": REALS, "backend": (1, None), "dtype": (1,), "widths": ((8.0,), (0, 8))}),
    "train": (lambda **o: train(matched(np.ones((2, 1, 1))), data(), **{"steps": 2, **o}), {
        "steps": COUNTS, "step_size": REALS, "momentum": (*REALS, 1.0), "accuracy": REALS, "threads": (0, *COUNTS[:3]),
        "record": (1, (1.5,), (9,)), "test": (1,), "progress": (1,)}),
    "quadratic": (lambda x=X, y=X, lags=2: quadratic(x, y, lags), {"x": ARRAYS, "y": ARRAYS, "lags": (*COUNTS[:3], 0, 9)}),
    "train_network": (lambda x=X, y=Y, width=8, **o: train_network(RNN, x, y, width, **{"steps": 1, **NU, **o}), {
        "x": ARRAYS, "y": ARRAYS, "width": COUNTS, "steps": COUNTS, "momentum": (*REALS, 1.0), "step_size": REALS,
        "seed": COUNTS, "readout": (1, None), "parameterization": (1, "x"), "nu_b": REALS, "progress": (1,),
        "weights": ({"W": "x"}, {"W": np.ones((3, 3))}, {"W": np.full((8, 8), np.nan)})}),
    "empirical_ntk": (lambda x=X, width=8, **o: empirical_ntk(RNN, x, width, **{**NU, **o}), {
        "x": ARRAYS, "width": COUNTS, "n_y": COUNTS, "trials": COUNTS, "rows": COUNTS[:3], "seed": COUNTS,
        "readout": (1, None), "parameters": (1, [1], "V"), "nu_W": REALS, "parameterization": (1, "x")}),
    "gradients": (lambda x=X, costs=X, width=8, **o: gradients(RNN, x, costs, width, **{**NU, **o}), {
        "x": ARRAYS, "costs": (*ARRAYS, np.ones((1, 3, 1))), "width": COUNTS, "trials": COUNTS, "nu_W": REALS}),
    "simulate": (lambda x=X, width=8, **o: simulate(RNN, x, width, **{**NU, **o}), {
        "x": ARRAYS, "width": COUNTS, "n_y": COUNTS, "trials": COUNTS, "seed": COUNTS, "method": (1, "x"), "nu_W": REALS}),
    "analyse": (lambda **o: analyse(RNN, **{"nu_W": 0.5, "nu_b": 0.1, **o}), {"nu_W": REALS, "nu_b": REALS, "X": REALS}),
    "phase_diagram": (lambda across=(0.5, 1.0), up=(0.1,): phase_diagram(RNN, across, up), {
        "across": (*TARGETS, (-1.0,)), "up": (*TARGETS, ("x",))}),
    "check_memory": (lambda **o: check_memory(RNN, **{"nu_W": 0.5, "nu_b": 0.1, "nu_F": 1.0, "X": 1.0, **o}), {
        "width": COUNTS, "trials": COUNTS, "steps": COUNTS, "seed": COUNTS, "nu_W": REALS}),
    "Level": (lambda **o: Level(**o), {"false_alarm": (*REALS, 0.0, 1.0), "power": (*REALS, 1.0)}),
}  # fmt: skip


def taken(call, name, value):
    call(**{name: value})
    pytest.fail(f"{name}={value!r} was taken")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("where", "name"), [(where, name) for where, (_, rows) in BAD.items() for name in rows])
def test_bad_values_are_refused_by_our_own_error(where, name):
    call, rows = BAD[where]
    for value in rows[name]:
        with pytest.raises(DeriveError):
            taken(call, name, value)


def test_the_error_names_the_argument():
    for call, words in (
        (lambda: Kernel(RNN, **{**NU, "nu_W": "3"}), "nu_W"),
        (lambda: Kernel(RNN, points=8.0, **NU), "points"),
        (lambda: simulate(RNN, X, 8.0, **NU), "simulate: width"),
        (lambda: train_network(RNN, X, Y * np.nan, 8, steps=1, **NU), "train_network: Y"),
        (lambda: validate(RNN, 8, seed=1.5), "seed"),
        (lambda: KERNEL.nngp(MASKED), "masked"),
    ):
        with pytest.raises(ParameterError, match=words):
            call()
    with pytest.raises(ShapeError, match="N, T, n_x"):
        simulate(RNN, X[0], 8, **NU)


def test_what_is_a_number_is_taken():
    assert whole("n", np.int64(3)) == 3
    assert [real("x", v) for v in (1, np.float32(0.5), sp.Rational(1, 4), np.array(2.0))] == [1.0, 0.5, 0.25, 2.0]
    assert finite_array("a", [[1, 2]], 2).dtype == np.float64
    assert Kernel(RNN, points=np.int64(8), seed=np.uint8(1), **NU).nngp(X.tolist()).shape == (2, 3, 2, 3)


@pytest.mark.filterwarnings("ignore::wideproof.NarrowWidth")  # narrow on purpose
@pytest.mark.parametrize("activation", ["erf", "tanh", "relu"])
def test_edges_that_mean_something_have_numbers(activation):
    """Inputs and variances of zero, subnormal variances, and inputs whose squares are near the end of the range."""
    rnn = models.elman(activation)
    for change, inputs in (({"nu_b": 0.0}, 0 * X), ({name: 0.0 for name in NU}, X), ({"nu_F": 1e-310, "nu_b": 0.0}, X)):
        for quantity in ("nngp", "ntk"):
            found = Kernel(rnn, **{**NU, **change}).evaluate(quantity, inputs)
            assert np.isfinite(found.value).all()
            assert (found.error >= 0).all()
    training = WideTraining(Kernel(rnn, readout="last", **dict.fromkeys(NU, 0.0)), X, Y)
    assert training.largest_step == np.inf
    assert (training.descend(3).mean == 0).all()
    silent = train_network(models.linear_rnn(), 0 * X, Y, 8, steps=2, **LINEAR)
    np.testing.assert_array_equal(silent.loss, 1.0)


def test_a_bounded_function_of_huge_inputs_is_its_sign():
    """tanh(1e150 z) is the sign of z: with one step E[sign u sign v] is 2/pi arcsin of the correlation."""
    net = models.feed_forward(1, "tanh", bias=False)
    x = np.random.default_rng(1).standard_normal((3, 1, 2))
    found = Kernel(net, readout="last", nu_F=1.0, nu_C=1.0).nngp(1e150 * x)
    grams = x[:, 0] @ x[:, 0].T
    correlation = np.clip(grams / np.sqrt(np.outer(np.diag(grams), np.diag(grams))), -1, 1)
    np.testing.assert_allclose(found, 2 / np.pi * np.arcsin(correlation), atol=1e-7)


@pytest.mark.parametrize("bad", [np.array(3.0), np.array("W"), 7, [None], [b"W"]])
def test_what_is_no_name_is_refused(bad):
    with pytest.raises(ParameterError, match="a name or several"):
        names("parameters", bad)
    assert names("parameters", np.array(["W", "F"])) == ("W", "F")


@pytest.mark.parametrize(
    ("value", "hint"), [(["a", "b"], "as numbers"), (OBJECTS, "astype(float)"), ([1.0, np.nan], "Fill or drop"), ([1j], "real"), (MASKED, "Fill or drop")],
    ids=["words", "objects", "missing", "complex", "masked"],
)  # fmt: skip
def test_an_array_of_no_numbers_is_answered_by_what_to_do_with_it(value, hint):
    with pytest.raises(ParameterError) as caught:
        finite_array("X", value)
    assert hint in caught.value.hint


@pytest.mark.parametrize("entry", [np.nan, np.inf, 1e-170], ids=["nan", "infinite", "underflow"])
def test_inputs_whose_squared_lengths_tell_are_looked_at_once_and_others_refused(entry):
    X = np.ones((2, 3, 1))
    assert input_array("X", X) is X
    X[1, 2] = entry
    with pytest.raises(ParameterError):
        input_array("X", X)


@pytest.mark.parametrize(
    ("numbers", "want"),
    [([1e308, 1e308], True), ([np.inf, -np.inf], False), ([], True)],
    ids=["large", "infinite", "none"],
)
def test_numbers_whose_sum_is_no_number_are_looked_at(numbers, want):
    assert all_finite(np, np.array(numbers)) == want
