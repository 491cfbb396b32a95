"""The gallery: each model a dozen lines of the language."""

from __future__ import annotations

from .language import Recursion


def linear_rnn() -> Recursion:
    """The linear RNN h_t = n^{-1/2} W h_{t-1} + F x_t, y_t = n^{-1/2} C h_t.  Source: emami2021implicit (1)."""
    rnn = Recursion("linear-rnn")
    W = rnn.matrix("W", variance="nu_W")
    F = rnn.input_map("F", variance="nu_F")
    C = rnn.readout("C", variance="nu_C")
    h = rnn.state("h")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    return rnn
