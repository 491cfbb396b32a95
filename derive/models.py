"""The gallery: each model a dozen lines of the language."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.language.activations import activation as named
from wideproof.derive.language.alternating import Alternating
from wideproof.derive.language.errors import ParameterError, explained, meant
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.notation import parameter
from wideproof.derive.language.program import Coordinate
from wideproof.derive.language.recursion import LinearMap, Recursion
from wideproof.derive.language.scalars import as_whole, flag

MOST = 1000
"""Layers or steps of a model."""


@explained
def linear_rnn() -> Recursion:
    """The linear RNN h_t = n^{-1/2} W h_{t-1} + F x_t, y_t = n^{-1/2} C h_t.  Source: emami2021implicit (1).

    >>> wp.models.linear_rnn()
    Recursion(linear-rnn: h' = F@x + W@h; y = C@h')
    """
    rnn = Recursion("linear-rnn")
    W = rnn.matrix("W", variance="nu_W")
    F = rnn.input_map("F", variance="nu_F")
    C = rnn.readout("C", variance="nu_C")
    h = rnn.state("h")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    return rnn


@explained
def elman(activation: str = "erf", bias: bool = True, tied: bool = True) -> Recursion:
    """The Elman RNN h_t = phi(W h_{t-1} + F x_t + b); `tied=False` draws W, F and b afresh at each step.

    >>> wp.models.elman()
    Recursion(elman: h' = erf(F@x + W@h + b); y = C@h')
    """
    rnn = Recursion("elman")
    W = rnn.matrix("W", variance="nu_W", tied=tied)
    F = rnn.input_map("F", variance="nu_F", tied=tied)
    C = rnn.readout("C", variance="nu_C")
    h = rnn.state("h")
    b = rnn.bias("b", variance="nu_b", tied=tied) if flag("elman: bias", bias) else 0
    rnn.update(h, named(activation)(W @ h + F @ rnn.x + b))
    rnn.output(C @ h)
    return rnn


@explained
def leaky(activation: str = "erf") -> Recursion:
    """The leaky RNN h_t = (1 - alpha) h_{t-1} + alpha phi(W h_{t-1} + F x_t + b), alpha a symbol.

    >>> wp.models.leaky()
    Recursion(leaky: h' = h*(1 - alpha) + alpha*erf(F@x + W@h + b); y = C@h')
    """
    rnn = Recursion("leaky")
    W = rnn.matrix("W", variance="nu_W")
    F = rnn.input_map("F", variance="nu_F")
    C = rnn.readout("C", variance="nu_C")
    b = rnn.bias("b", variance="nu_b")
    h, alpha = rnn.state("h"), parameter("alpha")
    rnn.update(h, (1 - alpha) * h + alpha * named(activation)(W @ h + F @ rnn.x + b))
    rnn.output(C @ h)
    return rnn


@explained
def residual(activation: str = "erf") -> Recursion:
    """The residual RNN h_t = h_{t-1} + phi(W h_{t-1} + F x_t + b).

    >>> wp.models.residual()
    Recursion(residual: h' = h + erf(F@x + W@h + b); y = C@h')
    """
    rnn = Recursion("residual")
    W = rnn.matrix("W", variance="nu_W")
    F = rnn.input_map("F", variance="nu_F")
    C = rnn.readout("C", variance="nu_C")
    b = rnn.bias("b", variance="nu_b")
    h = rnn.state("h")
    rnn.update(h, h + named(activation)(W @ h + F @ rnn.x + b))
    rnn.output(C @ h)
    return rnn


@explained
def gru(activation: str = "tanh", gate: str = "sigmoid") -> Recursion:
    """The gated recurrent unit h_t = z h_{t-1} + (1 - z) phi(W (r h_{t-1}) + F x_t + b), gates z and r.

    >>> [state.name for state in wp.models.gru().program().states]
    ['h']
    """
    rnn = Recursion("gru")
    W, F, b = _gates(rnn, "zrh")
    h, phi, sigma = rnn.state("h"), named(activation), named(gate)
    z = sigma(W["z"] @ h + F["z"] @ rnn.x + b["z"])
    r = sigma(W["r"] @ h + F["r"] @ rnn.x + b["r"])
    rnn.update(h, z * h + (1 - z) * phi(W["h"] @ (r * h) + F["h"] @ rnn.x + b["h"]))
    rnn.output(rnn.readout("C", variance="nu_C") @ h)
    return rnn


@explained
def mgu(activation: str = "tanh", gate: str = "sigmoid") -> Recursion:
    """The minimal gated unit h_t = (1 - f) h_{t-1} + f phi(W (f h_{t-1}) + F x_t + b), one gate f.

    >>> [state.name for state in wp.models.mgu().program().states]
    ['h']
    """
    rnn = Recursion("mgu")
    W, F, b = _gates(rnn, "fh")
    h = rnn.state("h")
    f = named(gate)(W["f"] @ h + F["f"] @ rnn.x + b["f"])
    rnn.update(h, (1 - f) * h + f * named(activation)(W["h"] @ (f * h) + F["h"] @ rnn.x + b["h"]))
    rnn.output(rnn.readout("C", variance="nu_C") @ h)
    return rnn


@explained
def lstm(activation: str = "tanh", gate: str = "sigmoid") -> Recursion:
    """The long short-term memory c_t = f c_{t-1} + i g, h_t = o phi(c_t), gates i, f, o and candidate g.

    >>> [state.name for state in wp.models.lstm().program().states]
    ['h', 'c']
    """
    rnn = Recursion("lstm")
    W, F, b = _gates(rnn, "ifog")
    h, c, phi, sigma = rnn.state("h"), rnn.state("c"), named(activation), named(gate)
    i, f, o, g = (W[k] @ h + F[k] @ rnn.x + b[k] for k in "ifog")
    rnn.update(c, sigma(f) * c + sigma(i) * phi(g))
    rnn.update(h, sigma(o) * phi(c.next))
    rnn.output(rnn.readout("C", variance="nu_C") @ h)
    return rnn


@explained
def bidirectional(activation: str = "erf") -> Recursion:
    """Two Elman RNNs, one over the sequence and one over its reverse: y_t reads h_t and g_t, g_{t+1} before g_t.

    >>> wp.models.bidirectional()
    Recursion(bidirectional: h' = erf(F_h@x + W_h@h + b_h); g' = erf(F_g@x + W_g@g + b_g); y = C_g@g' + C_h@h')
    """
    rnn = Recursion("bidirectional")
    h, g, phi = rnn.state("h"), rnn.state("g", direction="backward"), named(activation)
    for state, way in ((h, "h"), (g, "g")):
        W, F = rnn.matrix(f"W_{way}", variance="nu_W"), rnn.input_map(f"F_{way}", variance="nu_F")
        rnn.update(state, phi(W @ state + F @ rnn.x + rnn.bias(f"b_{way}", variance="nu_b")))
    rnn.output(rnn.readout("C_h", variance="nu_C") @ h + rnn.readout("C_g", variance="nu_C") @ g)
    return rnn


def _gates(rnn: Recursion, names: str) -> tuple[dict[str, LinearMap], dict[str, LinearMap], dict[str, Coordinate]]:
    """A matrix, an input map and a bias for each gate; one variance each for all gates."""
    return (
        {k: rnn.matrix(f"W_{k}", variance="nu_W") for k in names},
        {k: rnn.input_map(f"F_{k}", variance="nu_F") for k in names},
        {k: rnn.bias(f"b_{k}", variance="nu_b") for k in names},
    )


@explained
def stacked(layers: int = 2, activation: str = "erf") -> Recursion:
    """The deep RNN h^l_t = phi(W_l h^l_{t-1} + U_l h^{l-1}_t + b_l), h^0_t read by F; one variance for all layers.

    >>> wp.models.stacked()
    Recursion(stacked: h_1' = erf(F@x + W_1@h_1 + b_1); h_2' = erf(U_2@h_1' + W_2@h_2 + b_2); y = C@h_2')
    """
    rnn = Recursion("stacked")
    below = rnn.input_map("F", variance="nu_F") @ rnn.x
    for layer in range(1, _positive("layers", layers) + 1):
        W, b = rnn.matrix(f"W_{layer}", variance="nu_W"), rnn.bias(f"b_{layer}", variance="nu_b")
        h = rnn.state(f"h_{layer}")
        rnn.update(h, named(activation)(W @ h + below + b))
        below = rnn.matrix(f"U_{layer + 1}", variance="nu_U") @ h.next if layer < layers else below
    rnn.output(rnn.readout("C", variance="nu_C") @ h)
    return rnn


@explained
def feed_forward(depth: int = 2, activation: str = "relu", bias: bool = True) -> Recursion:
    """A net of `depth` hidden layers h^l = phi(W_l h^{l-1} + b_l), W_1 = F, at every step on its own.

    >>> wp.models.feed_forward()
    Recursion(feed-forward: h_1' = relu(F@x + b_1); h_2' = relu(W_2@h_1' + b_2); y = C@h_2' + c)
    """
    return _layers(Recursion("feed-forward"), depth, activation, bias)


@explained
def deep_linear(depth: int = 2) -> Recursion:
    """A deep linear net h^l = W_l h^{l-1}, W_1 = F, without biases, at every step on its own.

    >>> wp.models.deep_linear()
    Recursion(deep-linear: h_1' = F@x; h_2' = W_2@h_1'; y = C@h_2')
    """
    return _layers(Recursion("deep-linear"), depth, "identity", bias=False)


@explained
def amp(steps: int = 2) -> Alternating:
    """Approximate message passing for y = A x + w: soft thresholds theta_t, Gaussian noise, a sparse signal.

    x is 0 but for a share epsilon of N(0, 1) entries; the Onsager terms of `corrected` are derived, not given.
    Source: donoho2009message; bayati2011dynamics.

    >>> wp.models.amp(steps=1)
    Alternating(amp: p_0 = x; p_1 = p_0 + w)
    """
    delta, epsilon, relu = parameter("delta"), parameter("epsilon"), named("relu")
    run = Alternating("amp")
    A = run.matrix("A", variance=1 / delta, aspect=delta)
    signal = run.source("x", "n", ((epsilon, 1), (1 - epsilon, 0)))
    y = A @ signal + run.source("w", "m", "nu_w")
    x: sp.Expr = sp.S.Zero
    for t in range(_positive("steps", steps)):
        z = y - A.corrected(x) if t else y
        u, theta = A.T @ z + x, parameter(f"theta_{t}")
        x = relu(u - theta) - relu(-u - theta)
        run.keep(f"error_{t}", x - signal)
    return run


def _layers(net: Recursion, depth: int, activation: str, bias: bool) -> Recursion:
    biased = flag(f"{net.name}: bias", bias)
    below = net.input_map("F", variance="nu_F") @ net.x
    for layer in range(1, _positive("depth", depth) + 1):
        h = net.state(f"h_{layer}")
        net.update(h, named(activation)(below + (net.bias(f"b_{layer}", variance="nu_b") if biased else 0)))
        below = net.matrix(f"W_{layer + 1}", variance="nu_W") @ h.next if layer < depth else below
    output = net.readout("C", variance="nu_C") @ h
    net.output(output + net.bias("c", variance="nu_c") if biased else output)
    return net


def _positive(name: str, count: int) -> int:
    found = as_whole(count)
    if found is None or not 1 <= found <= MOST:
        raise ParameterError(name, f"a whole number, 1 to {MOST}", shortened(count), "For example 2.")
    return found


def __getattr__(name: str) -> Any:
    raise AttributeError(f"wideproof.models has no {name!r}. {meant(name, __all__)}It has {', '.join(__all__)}.")


# every public function of this file is a model
__all__ = [
    name for name, made in list(vars().items()) if getattr(made, "__module__", "") == __name__ and name[0] != "_"
]
