"""The variances of a linear RNN, whatever its letters are."""

import pytest
import sympy as sp

from wideproof.derive import Recursion, models
from wideproof.numeric.validation.linear_rnn import variances
from wideproof.numeric.validation.linear_rnn.experiment import is_linear_rnn


def renamed(bias=False):
    made = Recursion("renamed")
    A, B, D = made.matrix("A", sp.Symbol("nu_A", positive=True)), made.input_map("B", 1), made.readout("D", "nu_W")
    state = made.state("s")
    made.update(state, A @ state + B @ made.x + (made.bias("v", 1) if bias else 0))
    made.output(D @ state)
    return made.program()


def changed(**options):
    """The linear RNN but for one thing: a tie, a frozen part, a start, a coefficient, or what its readout reads."""
    made = Recursion("changed")
    A, B = made.matrix("A", "nu_A", tied=options.get("tied", True)), made.input_map("B", "nu_B")
    D = made.readout("D", "nu_D", trainable=options.get("trainable", True))
    h = made.state("h", initial=options.get("initial", 0))
    made.update(h, options.get("gain", 1) * (A @ h) + B @ made.x)
    made.output(options.get("read", lambda D, h: D @ h)(D, h))
    return made.program()


@pytest.mark.parametrize("option", ["tied", "trainable", "initial", "gain", "read"])
def test_what_differs_in_one_thing_is_not_the_linear_rnn(option):
    assert is_linear_rnn(changed())
    other = {"tied": False, "trainable": False, "initial": 1, "gain": 2, "read": lambda D, h: D @ (2 * h)}
    assert not is_linear_rnn(changed(**{option: other[option]}))


def test_variances_are_those_of_the_parts_and_not_of_letters():
    assert is_linear_rnn(renamed())
    assert variances(renamed(), {"nu_A": 0.25, "nu_W": 2.0}) == {"nu_W": 0.25, "nu_F": 1.0, "nu_C": 2.0}
    assert not any(map(is_linear_rnn, (renamed(bias=True), models.elman("erf").program())))
