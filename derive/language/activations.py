"""Activations as opaque functions: a name, an order of differentiation and an argument, never expanded.

One table says what each name stands for; `derive.expectation.dual_activations` holds their Gaussian expectations.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import sympy as sp

from wideproof.derive.language.errors import ParameterError

Z = sp.Symbol("z", real=True)
Function = Callable[[sp.Expr], sp.Expr]
SIGMOID = (1 + sp.tanh(Z / 2)) / 2
DEFINITIONS: dict[str, sp.Expr] = {
    "relu": sp.Max(Z, 0),
    "erf": sp.erf(Z),
    "tanh": sp.tanh(Z),
    "gelu": Z * (1 + sp.erf(Z / sp.sqrt(2))) / 2,
    "sigmoid": SIGMOID,
    "sin": sp.sin(Z),
    "step": sp.Heaviside(Z),
    "abs": sp.Abs(Z),
    "sign": sp.sign(Z),
    "cos": sp.cos(Z),
    "exp": sp.exp(Z),
    "gaussian": sp.exp(-(Z**2)),
    "erf_sigmoid": (1 + sp.erf(Z)) / 2,
    "silu": Z * SIGMOID,
    "softplus": Z / 2 + sp.log(2 * sp.cosh(Z / 2)),
}
"""Name -> the function of z; at a jump, the mean of both sides."""
FAMILIES: dict[str, tuple[tuple[sp.Expr, ...], Callable[..., sp.Expr]]] = {
    "leaky_relu": ((sp.Rational(1, 100),), lambda a: sp.Max(Z, 0) + a * sp.Min(Z, 0)),
    "soft_threshold": ((sp.S.One,), lambda t: sp.Max(Z - t, 0) - sp.Max(-Z - t, 0)),
    "abrelu": ((sp.S.Zero, sp.S.One), lambda a, b: b * sp.Max(Z, 0) + a * sp.Min(Z, 0)),
}
"""Name -> default parameters and the function; written leaky_relu(1/5), abrelu(-3/10, 3/2)."""
NAMES = (*DEFINITIONS, *FAMILIES)
LIPSCHITZ = frozenset(NAMES) - {"step", "sign", "exp"}
WRITTEN = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*\Z")
_GIVEN: dict[str, tuple[sp.Expr, bool]] = {}


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


def activation(name: str, *parameters: object) -> Function:
    """The opaque activation of that name, to be used in an update: `activation('tanh')(W @ h)`.

    Families take parameters: `activation('leaky_relu', 0.2)` or `activation('leaky_relu(1/5)')`. Others are declared
    once by `define`. `identity` gives back its argument.  Errors: ParameterError.
    """
    written = canonical(name, *parameters)
    if written == "identity":
        return lambda z: z
    symbol = sp.Symbol(written)

    def apply(z: sp.Expr) -> sp.Expr:
        return Phi(symbol, 0, sp.sympify(z))

    apply.__name__ = symbol.name
    apply.__doc__ = f"The activation {symbol}, opaque to the calculus."
    return apply


def define(name: str, function: sp.Expr, lipschitz: bool | None = None) -> Function:
    """Declare an activation by a SymPy expression in one symbol; `activation(name)` finds it from then on.

    `lipschitz` decides which limit theorem applies; by default the slopes far out decide.
    Errors: ParameterError for a name in use or an expression in more than one symbol.
    """
    free = sorted(sp.sympify(function).free_symbols, key=str)
    if len(free) != 1:
        raise ParameterError("define", "an expression in one symbol", function, "For example z * tanh(z).")
    if not str(name).isidentifier():
        raise ParameterError("define", "an identifier as name", repr(name), "For example 'mish'.")
    expr = sp.sympify(function).subs(free[0], Z)
    if name in (*NAMES, "identity") or (name in _GIVEN and _GIVEN[name][0] != expr):
        raise ParameterError("define", "a name not in use", repr(name), "Choose another.")
    _GIVEN[name] = expr, _is_tame(expr) if lipschitz is None else lipschitz
    return activation(name)


def _is_tame(expr: sp.Expr) -> bool:
    """Whether the slope stays below 1000 where it is looked at; the audit of a proof measures it again."""
    slopes = _values(sp.diff(expr, Z), (-(10**4), -100, -3.1, -0.7, 0.3, 2.9, 100, 10**4))
    return all(v.is_finite and abs(v) < 1000 for v in slopes)


def _values(expr: sp.Expr, places: Iterable[float]) -> list[sp.Expr]:
    """An expression at some places, at a fixed number of digits: far out, a few right ones may take all the memory."""
    rounded = sp.N(expr)
    return [sp.N(rounded.subs(Z, sp.Float(z))) for z in places]


def canonical(name: str, *parameters: object) -> str:
    """The name with its parameters as rationals; `identity` is one.  Errors: ParameterError for other names."""
    if name == "identity" and not parameters:
        return name
    written = WRITTEN.match(name) if isinstance(name, str) else None
    family = written.group(1) if written else ""
    texts = [str(p) for p in parameters] or (written.group(2) or "").split(",") if written else []
    given = [text for text in map(str.strip, texts) if text]
    if family not in (*NAMES, *_GIVEN):
        raise ParameterError(
            "activation",
            f"identity or one of {', '.join((*NAMES, *_GIVEN))}",
            repr(name),
            "Declare others with wideproof.define(name, expression).",
        )
    if given and family not in FAMILIES:
        raise ParameterError(
            f"activation {family}",
            "no parameters",
            given,
            f"Coordinates go to the function: activation({family!r})(z).",
        )
    if family not in FAMILIES:
        return family
    values = _rationals(name, given) or FAMILIES[family][0]
    if len(values) != len(FAMILIES[family][0]):
        raise ParameterError(
            f"activation {family}",
            f"{len(FAMILIES[family][0])} parameters",
            given,
            "leaky_relu(slope), abrelu(left slope, right slope).",
        )
    return f"{family}({', '.join(map(str, values))})"


def _rationals(name: str, texts: list[str]) -> tuple[sp.Rational, ...]:
    try:
        return tuple(sp.Rational(text) for text in texts)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"activation {name}", "numbers", texts, "For example leaky_relu(0.2).") from error


@cache
def family_of(name: str) -> tuple[str, tuple[sp.Rational, ...]]:
    """The family and the parameters of a canonical name."""
    family, _, rest = name.partition("(")
    return family, tuple(sp.Rational(x) for x in rest.rstrip(")").split(",") if x.strip())


def definition(name: str, order: int = 0) -> sp.Expr:
    """phi^{(order)} as an expression in z."""
    family, parameters = family_of(name)
    if family in FAMILIES:
        defaults, make = FAMILIES[family]
        expr = make(*(parameters or defaults))
    else:
        expr = _GIVEN[name][0] if name in _GIVEN else {"identity": Z, **DEFINITIONS}[name]
    slope = sp.diff(expr, Z, order)
    for w in {f.args[0] for f in slope.atoms(sp.cosh)} if order else ():  # a quotient of the two overflows
        slope = slope.subs(sp.sinh(w), sp.tanh(w) * sp.cosh(w))
    return slope


def definition_at(name: str, order: int, z: sp.Expr) -> sp.Expr:
    """The value of phi^{(order)} at a number, from the definition of the activation."""
    return definition(name, order).subs(Z, z)


def is_declared(name: str) -> bool:
    """Whether an activation was declared by `define`, and is none of the table."""
    return name in _GIVEN


def is_lipschitz(name: str) -> bool:
    """Whether an activation is Lipschitz, a hypothesis that the audit of a proof measures."""
    return _GIVEN[name][1] if name in _GIVEN else family_of(name)[0] in LIPSCHITZ


@cache
def is_bounded(name: str) -> bool:
    """Whether an activation stays below 1000 far out, so that a product with it grows no faster than without."""
    values = _values(definition(name), (-(10**5), -(10**3), 10**3, 10**5))
    return all(v.is_finite and abs(v) < 1000 for v in values)


(relu, erf, tanh, gelu, sigmoid, sin, step, abs_, sign, cos, exp, gaussian, erf_sigmoid, silu, softplus) = (
    activation(name) for name in DEFINITIONS
)


def leaky_relu(z: sp.Expr, slope: object = sp.Rational(1, 100)) -> sp.Expr:
    """The activation max(z, 0) + slope min(z, 0), opaque to the calculus."""
    return activation("leaky_relu", slope)(z)


def abrelu(z: sp.Expr, left: object, right: object) -> sp.Expr:
    """The activation left min(z, 0) + right max(z, 0), opaque to the calculus."""
    return activation("abrelu", left, right)(z)
