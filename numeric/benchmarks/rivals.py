"""The rivals, written as a careful user of each library would: back-propagation through time, and whole matrices."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.benchmarks.records import Case
from wideproof.numeric.core.arrays import Array, Host
from wideproof.numeric.linear_rnn.krylov import LinearRNN

Gradient = tuple[float, Host, Host, Host]
"""The loss, and its gradient in W, F and C."""


class RivalTrainer(Protocol):
    """A linear RNN trained by one library on data it holds."""

    def gradient(self) -> Gradient: ...  # noqa: D102
    def step(self) -> object: ...  # noqa: D102


@dataclass(frozen=True)
class Library:
    """A library that trains the linear RNN, by its name and the module that must import."""

    name: str
    module: str
    trainer: Callable[[LinearRNN, Array, Array, float], RivalTrainer]

    def missing(self) -> str | None:
        """Return why the library cannot run here, or None."""
        try:
            importlib.import_module(self.module)
        except ImportError as error:
            return f"{self.name} left out ({error}): pip install 'wideproof[bench]'"
        return None


class TorchTrainer:
    """Back-propagation through time in PyTorch, the data held in its layout, one in-place step per call."""

    def __init__(self, start: LinearRNN, x: Array, y: Array, size: float) -> None:
        self._torch: Any = importlib.import_module("torch")
        self._torch.set_num_threads(1)
        copies = [self._torch.tensor(a, requires_grad=True) for a in (start.W, start.F, start.C)]
        self._parameters, self._size, self._root = copies, size, start.width**-0.5
        self._x = self._torch.tensor(np.ascontiguousarray(np.swapaxes(x, 0, 1)))  # (T, N, n_x)
        self._y = self._torch.tensor(np.ascontiguousarray(np.swapaxes(y, 0, 1)))  # (T, N, n_y)

    def loss(self) -> Any:
        """The mean square error; the zero state before the start costs no product."""
        W, F, C = self._parameters
        driven = self._x @ F.T  # (T, N, n)
        states = [driven[0]]
        for drive in driven[1:]:
            states.append(self._torch.addmm(drive, states[-1], W.T, alpha=self._root))
        outputs = self._root * (self._torch.stack(states) @ C.T)
        return ((outputs - self._y) ** 2).mean()

    def gradient(self) -> Gradient:
        """Loss and gradient as they stand."""
        value = self._backward()
        W, F, C = (p.grad.numpy().astype(np.float64) for p in self._parameters)
        return float(value.detach()), W, F, C

    def step(self) -> object:
        """One step of gradient descent, in place."""
        self._backward()
        with self._torch.no_grad():
            for parameter in self._parameters:
                parameter.add_(parameter.grad, alpha=-self._size)
        return None

    def _backward(self) -> Any:
        for parameter in self._parameters:
            parameter.grad = None
        value = self.loss()
        value.backward()
        for parameter in self._parameters:
            if parameter.grad is None:  # W, at T = 1
                parameter.grad = self._torch.zeros_like(parameter)
        return value


class JaxTrainer:
    """Back-propagation through time in JAX: loss, gradient and step compiled as one, the old parameters donated.

    A scan over columns: measured the fastest of five ways to write it.
    """

    def __init__(self, start: LinearRNN, x: Array, y: Array, size: float) -> None:
        jax: Any = importlib.import_module("jax")
        jnp: Any = importlib.import_module("jax.numpy")
        jax.config.update("jax_enable_x64", True)
        inputs, targets = (jnp.asarray(np.transpose(a, (1, 2, 0))) for a in (x, y))  # (T, ·, N)
        root = start.W.dtype.type(start.width**-0.5)
        size = start.W.dtype.type(size)

        def loss(parameters: Any) -> Any:
            W, F, C = parameters
            driven = F @ inputs  # (T, n, N)

            def follow(state: Any, drive: Any) -> Any:
                state = drive + root * (W @ state)
                return state, state

            _, later = jax.lax.scan(follow, driven[0], driven[1:])
            states = jnp.concatenate([driven[:1], later])
            return jnp.mean((root * (C @ states) - targets) ** 2)

        def step(parameters: Any) -> Any:
            value, slopes = jax.value_and_grad(loss)(parameters)
            moved = tuple(p - size * slope for p, slope in zip(parameters, slopes, strict=True))
            return moved, value

        self._ready = jax.block_until_ready
        self._gradient, self._step = jax.jit(jax.value_and_grad(loss)), jax.jit(step, donate_argnums=0)
        self._parameters = tuple(jnp.array(a) for a in (start.W, start.F, start.C))

    def gradient(self) -> Gradient:
        """Loss and gradient as they stand."""
        value, slopes = self._ready(self._gradient(self._parameters))
        W, F, C = (np.asarray(a, dtype=np.float64) for a in slopes)
        return float(value), W, F, C

    def step(self) -> object:
        """One step of gradient descent; returns when it is done."""
        self._parameters, value = self._ready(self._step(self._parameters))
        return value


LIBRARIES = (Library("PyTorch", "torch", TorchTrainer), Library("JAX", "jax", JaxTrainer))


class DenseSampler:
    """Whole matrices in plain NumPy, one network at a time in an array allocated once: faster than in batches.

    Draws in the order W, F, C from one generator, and scales vectors, never the matrix.
    """

    def __init__(self, case: Case, rng: np.random.Generator) -> None:
        if case.dtype != "float64":
            raise ParameterError("DenseSampler", "float64", case.dtype, "NumPy draws are compared in doubles.")
        self._case, self._rng, self._W = case, rng, np.empty((case.n, case.n))
        self._deviation = math.sqrt(case.nu_W / case.n)

    def response(self) -> Host:
        """L_j of one new network.  Shapes: (T, n_y, n_x)."""
        F, C = self._draw()
        return self._read(C, self._powers(self._W, F))

    def kernel(self) -> Host:
        """The inner products of the gradients of all entries of L_j and L_j' in one new network.

        Shapes: (T, n_y, n_x, T, n_y, n_x).  Source: the Gram matrices of the products, never an n²-long gradient.
        """
        F, C = self._draw()
        T, n_x, n_y, n = self._case.T, self._case.n_x, self._case.n_y, self._case.n
        right, left = self._powers(self._W, F), self._powers(self._W.T, C.T)  # (T, n, ·)
        inputs = np.tensordot(right, right, axes=(1, 1)) / n  # (T, n_x, T, n_x)
        outputs = np.tensordot(left, left, axes=(1, 1)) / n  # (T, n_y, T, n_y)
        total = np.einsum("amcp,kl->akmclp", inputs, np.eye(n_y)) + np.einsum("akcl,mp->akmclp", outputs, np.eye(n_x))
        for a in range(T - 1):
            for b in range(T - 1):
                block = inputs[: T - 1 - a, :, : T - 1 - b, :]
                total[a + 1 :, :, :, b + 1 :] += np.einsum("kl,amcp->akmclp", outputs[a, :, b], block)
        return total

    def _draw(self) -> tuple[Host, Host]:
        case, rng = self._case, self._rng
        rng.standard_normal(out=self._W)
        F = math.sqrt(case.nu_F) * rng.standard_normal((case.n, case.n_x))
        return F, math.sqrt(case.nu_C) * rng.standard_normal((case.n_y, case.n))

    def _powers(self, W: Host, block: Host) -> Host:
        blocks = [block]
        for _ in range(self._case.T - 1):
            blocks.append(self._deviation * (W @ blocks[-1]))
        return np.stack(blocks)

    def _read(self, C: Host, right: Host) -> Host:
        return (C @ right) / math.sqrt(self._case.n)
