"""The rivals' kernels, as their users would write them: jitted JAX, neural-tangents, all pairs of times, quadrature."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial.hermite_e import hermegauss

from wideproof.numeric.benchmarks.records import Case
from wideproof.numeric.core.arrays import Host

Made = Callable[[str, Host, Mapping[str, float], int], Callable[[], Host]]
"""(activation, inputs, variances, depth) -> a program returning the NTK (N, N): of a feed-forward net, inputs (N, n_x),
of unit-variance parameters; of a recurrent one, inputs (N, T, n_x) and depth T, of the entries themselves."""


@dataclass(frozen=True)
class Net:
    """A library that computes an NTK, by its name and the module that must import."""

    name: str
    module: str
    made: Made
    hint: str

    def missing(self) -> str | None:
        """Return why the library cannot run here, or None."""
        try:
            importlib.import_module(self.module)
        except Exception as error:  # neural-tangents fails with more than ImportError beside a newer JAX
            return f"{self.name} left out ({type(error).__name__}: {error}): {self.hint}"
        return None


def jax_net(activation: str, X: Host, nu: Mapping[str, float], depth: int) -> Callable[[], Host]:
    """The kernel in JAX, compiled as one."""
    jax, jnp = _jax()
    dual = jax_dual(activation, jax, jnp)

    def kernel(X: Any) -> Any:
        covariance = nu["nu_F"] * (X @ X.T) + nu["nu_b"]
        tangent = covariance
        for weights, bias in [(nu["nu_W"], nu["nu_b"])] * (depth - 1) + [(nu["nu_C"], nu["nu_c"])]:
            values, slopes = _of_sides(dual, jnp, covariance)
            covariance = weights * values + bias
            tangent = covariance + weights * slopes * tangent
        return tangent

    compiled, inputs = jax.jit(kernel), jnp.asarray(X)
    return lambda: np.asarray(jax.block_until_ready(compiled(inputs)))


def jax_elman(activation: str, X: Host, nu: Mapping[str, float], depth: int) -> Callable[[], Host]:
    """The NTK of an Elman network after its last step in JAX, one scan over the steps, compiled as one."""
    jax, jnp = _jax()
    dual = jax_dual(activation, jax, jnp)

    def step(state: tuple[Any, Any], x: Any) -> tuple[tuple[Any, Any], None]:
        values, carried = state
        products = x @ x.T
        covariance = nu["nu_F"] * products + nu["nu_b"] + nu["nu_W"] * values
        tangent = products + 1.0 + values + nu["nu_W"] * carried
        values, slopes = _of_sides(dual, jnp, covariance)
        return (values, slopes * tangent), None

    def kernel(X: Any) -> Any:
        nothing = jnp.zeros((X.shape[1], X.shape[1]))
        values, carried = jax.lax.scan(step, (nothing, nothing), X, length=depth)[0]
        return values + nu["nu_C"] * carried

    compiled, inputs = jax.jit(kernel), jnp.asarray(X.swapaxes(0, 1))
    return lambda: np.asarray(jax.block_until_ready(compiled(inputs)))


def _jax() -> tuple[Any, Any]:
    jax: Any = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    return jax, importlib.import_module("jax.numpy")


def _of_sides(dual: Callable[[Any, Any, Any], tuple[Any, Any]], jnp: Any, covariance: Any) -> tuple[Any, Any]:
    a = jnp.diag(covariance)
    return dual(a[:, None], a[None, :], covariance)


def jax_dual(activation: str, jax: Any, jnp: Any) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """E[phi(u) phi(v)] and E[phi'(u) phi'(v)] by two variances and the covariance, of erf, relu or gelu."""

    def erf(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
        sides = (1 + 2 * a) * (1 + 2 * b)
        return 2 / jnp.pi * jnp.arcsin(2 * c / jnp.sqrt(sides)), 4 / jnp.pi / jnp.sqrt(sides - 4 * c * c)

    def relu(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
        norm = jnp.sqrt(a * b)
        cosine = jnp.clip(c / norm, -1, 1)
        beyond = jnp.pi - jnp.arccos(cosine)
        return norm / (2 * jnp.pi) * (jnp.sqrt(1 - cosine**2) + beyond * cosine), beyond / (2 * jnp.pi)

    def gelu(a: Any, b: Any, c: Any) -> tuple[Any, Any]:
        def values(c: Any) -> Any:
            sides = (1 + a) * (1 + b)
            root = jnp.sqrt(sides - c * c)
            return c / 4 + (c * jnp.arcsin(c / jnp.sqrt(sides)) + root * (a * b + c * c / root**2) / sides) / (
                2 * jnp.pi
            )

        return jax.jvp(values, (c,), (jnp.ones_like(c),))  # Price: the slopes' mean is the derivative

    return {"erf": erf, "relu": relu, "gelu": gelu}[activation]


def tangents_net(activation: str, X: Host, nu: Mapping[str, float], depth: int) -> Callable[[], Host]:
    """The kernel of neural-tangents, compiled; of tanh by the 25-point rule that its documentation suggests."""
    jax: Any = importlib.import_module("jax")
    stax: Any = importlib.import_module("neural_tangents").stax
    jax.config.update("jax_enable_x64", True)
    named = {"erf": stax.Erf, "relu": stax.Relu, "gelu": stax.Gelu}
    layer = named.get(activation, lambda: stax.ElementwiseNumerical(jax.numpy.tanh, deg=25))
    layers, weights = [], [nu["nu_F"] * X.shape[1]] + [nu["nu_W"]] * (depth - 1)
    for variance in weights:
        layers += [stax.Dense(1, math.sqrt(variance), math.sqrt(nu["nu_b"]))]
        layers += [layer()]
    layers += [stax.Dense(1, math.sqrt(nu["nu_C"]), math.sqrt(nu["nu_c"]))]
    kernel = stax.serial(*layers)[2]
    compiled, inputs = jax.jit(lambda x: kernel(x, None, "ntk")), jax.numpy.asarray(X)
    return lambda: np.asarray(jax.block_until_ready(compiled(inputs)))


BENCH = "pip install 'wideproof[bench]'"
SCAN = Net("JAX", "jax", jax_elman, BENCH)
"""Of an Elman network after its last step."""
NETS = (
    Net("JAX", "jax", jax_net, BENCH),
    Net("neural-tangents", "neural_tangents", tangents_net, "it needs an older JAX: 0.4.30 with neural-tangents 0.6.5"),
)


class ErfRecursion:
    """The NTK of h_t = erf(W h_{t-1} + F x_t + b) after its last step by the kernel of all pairs of times: O(T^2).

    Shapes: X (N, T, n_x).  Source: yang2020tensor2, the batched recursion over both times.
    """

    def __init__(self, case: Case, X: Host, nu_F: float, nu_b: float) -> None:
        self.nu_W, self.nu_C, self.nu_F, self.nu_b, self.X = case.nu_W, case.nu_C, nu_F, nu_b, X

    def kernel(self) -> Host:
        """The kernel between all sequences, derivatives by the entries.  Shapes: -> (N, N)."""
        count, horizon, _ = self.X.shape
        own = self._variances()  # (T, N)
        pairs: dict[int, tuple[Host, Host, Host]] = {}
        last = np.empty((count, count))
        for t in range(horizon):
            row: dict[int, tuple[Host, Host, Host]] = {}
            for s in range(horizon):
                products = self.X[:, t] @ self.X[:, s].T
                covariance, tangent = self.nu_F * products + self.nu_b, products + 1.0
                if t and s:
                    values, slopes, before = pairs[s - 1]
                    covariance += self.nu_W * values
                    tangent += values + self.nu_W * slopes * before
                sides = np.outer(1 + 2 * own[t], 1 + 2 * own[s])
                values = 2 / np.pi * np.arcsin(2 * covariance / np.sqrt(sides))
                slopes = 4 / np.pi / np.sqrt(sides - 4 * covariance**2)
                row[s] = values, slopes, tangent
                last = values + self.nu_C * slopes * tangent
            pairs = row
        return np.asarray(last)

    def _variances(self) -> Host:
        found = np.empty((self.X.shape[1], self.X.shape[0]))
        for t in range(len(found)):
            found[t] = self.nu_F * np.sum(self.X[:, t] ** 2, axis=1) + self.nu_b
            if t:
                found[t] += self.nu_W * 2 / np.pi * np.arcsin(2 * found[t - 1] / (1 + 2 * found[t - 1]))
        return found


def hermite(order: int, nodes: int, variances: Host, covariance: Host) -> Host:
    """E[phi(u) phi(v)] of tanh, or of its slope, by Gauss-Hermite quadrature in two dimensions, row by row.

    Shapes: variances (N,), covariance (N, N) -> (N, N).
    """
    z, weights = hermegauss(nodes)
    weights = weights / math.sqrt(2 * math.pi)
    deviations, found = np.sqrt(variances), np.empty(covariance.shape)
    for i in range(len(variances)):
        first = weights * _tanh(deviations[i] * z, order)  # (m,)
        slope = covariance[i] / deviations[i]
        rest = np.sqrt(variances - slope**2)
        v = slope[:, None, None] * z[:, None] + rest[:, None, None] * z  # (N, m, m)
        found[i] = (_tanh(v, order) @ weights) @ first
    return found


def _tanh(u: Host, order: int) -> Host:
    value = np.tanh(u)
    return 1 - value**2 if order else value
