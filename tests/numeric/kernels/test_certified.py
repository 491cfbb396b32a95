"""Kernel.certified: bounds that hold the entry, at an index of the array, or a refusal that says why."""

import numpy as np
import pytest

from wideproof.derive import Recursion, define, models, tanh
from wideproof.derive.language.errors import NotAccurate, NotClosed, ParameterError, ShapeError
from wideproof.numeric.kernels.kernel import Kernel

X = np.random.default_rng(0).standard_normal((3, 4, 2))
NU = {"nu_W": 1.3, "nu_F": 0.7, "nu_b": 0.2, "nu_C": 1.1}
define("certified_spike", "exp(-(1500*(z - 0.33331))**2)")


@pytest.mark.parametrize("quantity", ["nngp", "ntk"])
def test_the_entry_of_four_steps_of_tanh_is_known_to_the_last_digits(quantity):
    kernel = Kernel(models.elman("tanh"), readout="last", **NU)
    found, value = kernel.certified(quantity, (0, 1), X), kernel.evaluate(quantity, X)
    assert found.upper - found.lower < 1e-15
    assert abs(found.midpoint - value.value[0, 1]) <= value.error[0, 1]
    assert 1.001 * value.value[0, 1] not in found
    assert kernel.certified(quantity, (1, 0), X).midpoint == pytest.approx(found.midpoint, abs=1e-16)


def test_the_index_is_that_of_the_array():
    kernel = Kernel(models.elman("erf"), **NU)
    value = kernel.evaluate("ntk", X[:1], X[1:])
    for entry in ((0, 3, 1, 2), (0, -1, -1, 0)):
        assert abs(kernel.certified("ntk", entry, X[:1], X[1:]).midpoint - value.value[entry]) <= value.error[entry]
    part = kernel.certified("ntk", (0, 3, 0, 3), X, parameters="W")
    assert part.midpoint == pytest.approx(kernel.ntk(X, parameters="W")[0, 3, 0, 3], rel=1e-12)
    lengths = Kernel(models.elman("erf"), readout="average", **NU)
    lists = [X[0], X[1, :2]]
    assert lengths.certified("nngp", (1, 0), lists).midpoint == pytest.approx(lengths.nngp(lists)[1, 0], rel=1e-12)


def test_a_spike_between_all_nodes_is_enclosed():
    kernel = Kernel(models.feed_forward(1, "certified_spike", bias=False), readout="last", nu_F=1.0, nu_C=1.0)
    one = np.ones((1, 1, 1))
    found = kernel.certified("nngp", (0, 0), one)
    assert found.lower <= 3.15322259808392e-4 <= found.upper + 1e-18
    assert found.upper - found.lower < 1e-18
    value = kernel.evaluate("nngp", one)
    assert abs(value.value[0, 0] - found.midpoint) <= value.error[0, 0] + 1e-18


def test_starts_drawn_for_each_sequence_are_one_for_a_sequence_with_itself():
    program = Recursion("started")
    W, F, C = program.matrix("W", "nu_W"), program.input_map("F", "nu_F"), program.readout("C", "nu_C")
    h = program.state("h", initial="nu_h")
    program.update(h, tanh(W @ h + F @ program.x))
    program.output(C @ h)
    kernel = Kernel(program, readout="last", nu_W=1.0, nu_F=0.5, nu_C=1.0, nu_h=0.75)
    both = np.stack([X[0], X[0]])
    value = kernel.nngp(both)
    assert abs(value[0, 1] - value[0, 0]) > 1e-3
    for entry in ((0, 0), (0, 1)):
        assert kernel.certified("nngp", entry, both).midpoint == pytest.approx(value[entry], rel=1e-12)


def test_products_are_refused_with_the_reason_and_their_error_is_an_estimate():
    program = Recursion("product")
    b, F, C = program.bias("b", "nu_b"), program.input_map("F", "nu_F"), program.readout("C", "nu_C")
    h = program.state("h")
    program.update(h, tanh(b * (F @ program.x + 1)))
    program.output(C @ h)
    kernel = Kernel(program, readout="last", nu_b=1.0, nu_F=1.0, nu_C=1.0)
    with pytest.raises(NotClosed, match="expectation over a process, in which states or activations multiply"):
        kernel.certified("ntk", (0, 0), X)
    assert "never a certified bound" in type(kernel.evaluate("ntk", X[:1, :1])).__doc__


@pytest.mark.parametrize("entry", [(0,), (0, 9), (0, 1, 0, 1), "ab", 3, (0.5, 0)])
def test_another_entry_is_refused(entry):
    kernel = Kernel(models.elman("erf"), readout="last", **NU)
    with pytest.raises(ParameterError, match=r"an index \(i, j\) into a kernel of shape \(3, 3\)"):
        kernel.certified("ntk", entry, X)


def test_a_width_that_is_not_reached_and_bad_arguments_are_refused():
    kernel = Kernel(models.elman("tanh"), readout="last", **NU)
    with pytest.raises(NotAccurate, match="certified nngp of elman"):
        kernel.certified("nngp", (0, 1), X, tolerance=1e-60)
    with pytest.raises(ParameterError, match="tolerance"):
        kernel.certified("nngp", (0, 1), X, tolerance=0.0)
    with pytest.raises(ParameterError, match="quantity"):
        kernel.certified("mean", (0, 1), X)
    with pytest.raises(ShapeError):
        kernel.certified("nngp", (0, 1), X[0])


def test_higher_precision_is_taken_where_the_first_is_too_wide():
    kernel = Kernel(models.elman("relu"), readout="last", **NU)
    assert kernel.certified("ntk", (0, 0), X, tolerance=1e-10).bits == 160
    assert kernel.certified("ntk", (0, 0), X, tolerance=1e-18).bits == 320
