"""The variances of a linear RNN, whatever its letters are."""

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


def test_variances_are_those_of_the_parts_and_not_of_letters():
    assert is_linear_rnn(renamed())
    assert variances(renamed(), {"nu_A": 0.25, "nu_W": 2.0}) == {"nu_W": 0.25, "nu_F": 1.0, "nu_C": 2.0}
    assert not any(map(is_linear_rnn, (renamed(bias=True), models.elman("erf").program())))
