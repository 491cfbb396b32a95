"""Activations as opaque functions: a name, an order of differentiation and an argument, never expanded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp

from .errors import ParameterError

NAMES = ("relu", "erf", "tanh", "gelu", "sigmoid", "sin", "step")


class Phi(sp.Function):
    """phi^{(order)}(z) for a named activation; opaque, so that Stein's rule always terminates."""

    nargs = (3,)

    def _eval_is_real(self) -> bool:
        return True

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """Those of the argument; the name of the activation is not a variable."""
        return self.args[2].free_symbols

    def fdiff(self, argindex: int = 3) -> sp.Expr:
        """d/dz phi^{(order)}(z) = phi^{(order+1)}(z)."""
        name, order, z = self.args
        return Phi(name, order + 1, z) if argindex == 3 else sp.S.Zero

    def _sympystr(self, printer: Any) -> str:
        name, order, z = self.args
        return f"{name}{chr(39) * int(order)}({printer._print(z)})"


def activation(name: str) -> Callable[[sp.Expr], sp.Expr]:
    """The opaque activation of that name, to be used in an update: `activation('tanh')(W @ h)`."""
    if name not in NAMES:
        raise ParameterError("activation", f"one of {', '.join(NAMES)}", repr(name),
                             "The identity needs no activation: write W @ h.")

    def apply(z: sp.Expr) -> sp.Expr:
        return Phi(sp.Symbol(name), 0, z)

    apply.__name__ = name
    apply.__doc__ = f"The activation {name}, opaque to the calculus."
    return apply


relu, erf, tanh, gelu, sigmoid, sin, step = (activation(name) for name in NAMES)
LIPSCHITZ = frozenset(NAMES) - {"step"}


def _definitions() -> dict[str, sp.Expr]:
    z = sp.Symbol("z", real=True)
    return {"relu": sp.Max(z, 0), "erf": sp.erf(z), "tanh": sp.tanh(z), "gelu": z * (1 + sp.erf(z / sp.sqrt(2))) / 2,
            "sigmoid": 1 / (1 + sp.exp(-z)), "sin": sp.sin(z), "step": sp.Heaviside(z)}


def definition_at(name: str, order: int, z: sp.Expr) -> sp.Expr:
    """The value of phi^{(order)} at a number, from the definition of the activation."""
    x = sp.Symbol("z", real=True)
    return sp.diff(_definitions()[name], x, order).subs(x, z)
