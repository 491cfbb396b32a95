"""Activations as opaque functions: a name, an order of differentiation and an argument, never expanded.

One table says what each name stands for; `derive.expectation.dual_activations` holds their Gaussian expectations.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache, reduce
from typing import Any

import sympy as sp

from wideproof.derive.language.admissible import KNOWN, Z as Z, check
from wideproof.derive.language.errors import LanguageError, ParameterError, explained, meant
from wideproof.derive.language.grammar import parse, shortened
from wideproof.derive.language.program import COMPARISON, Coordinate, of_wide

Function = Callable[[sp.Expr], sp.Expr]
SIGMOID = (1 + sp.tanh(Z / 2)) / 2
DEFINITIONS: dict[str, sp.Expr] = {}
"""Name -> the function of z, filled by the table at the end of this file."""
FAMILIES: dict[str, tuple[tuple[sp.Expr, ...], Callable[..., sp.Expr]]] = {
    "leaky_relu": ((sp.Rational(1, 100),), lambda a: sp.Max(Z, 0) + a * sp.Min(Z, 0)),
    "soft_threshold": ((sp.S.One,), lambda t: sp.Max(Z - t, 0) - sp.Max(-Z - t, 0)),
    "abrelu": ((sp.S.Zero, sp.S.One), lambda a, b: b * sp.Max(Z, 0) + a * sp.Min(Z, 0)),
}
"""Name -> default parameters and the function; written leaky_relu(1/5), abrelu(-3/10, 3/2)."""
WRITTEN_OUT = {
    "hardtanh": "max(-1, min(1, z))", "relu6": "max(0, min(6, z))", "hardsigmoid": "max(0, min(1, z/6 + 1/2))",
    "mish": "z * tanh(log(1 + exp(z)))", "atan": "atan(z)", "arctan": "atan(z)", "square": "z**2",
    "elu": "max(z, 0) + exp(min(z, 0)) - 1",
}  # fmt: skip
"""Activations of other libraries, without underscores, as texts for `define`."""
WRITTEN = re.compile(r"\s*(\w+)\s*(?:\(([^()]*)\))?\s*\Z")
_GIVEN: dict[str, tuple[sp.Expr, bool]] = {}


class RealFunction(sp.Function):
    """A function of real values, whatever its arguments.

    Source: SymPy, `_eval_is_real` of the assumptions, which a subclass inherits.
    """

    def _eval_is_real(self) -> bool:
        return True


class Phi(RealFunction):
    """phi^{(order)}(z) for a named activation; opaque, so that Stein's rule always terminates."""

    nargs = (3,)

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
        name = f"({name})" if is_product(str(name)) else name
        return f"{name}{chr(39) * int(order)}({printer._print(z)})"


WidePhi = of_wide(Phi)


def activation(name: str, *parameters: object) -> Function:
    """The opaque activation of that name, to be used in an update: `activation('tanh')(W @ h)`.

    Families take parameters: `activation('leaky_relu', 0.2)` or `activation('leaky_relu(1/5)')`. Others are declared
    once by `define`. `identity` gives back its argument.  Errors: ParameterError.

    >>> wp.activation('leaky_relu', 0.2)(sp.Symbol("z"))
    leaky_relu(1/5)(z)
    """
    written = canonical(name, *parameters)
    return (lambda z: z) if written == "identity" else _opaque(sp.Symbol(written))


def _opaque(symbol: sp.Symbol) -> Function:
    def apply(z: sp.Expr) -> sp.Expr:
        if isinstance(z, bool) or not isinstance(z, int | Fraction | sp.Expr):
            raise LanguageError(
                f"{symbol}(…)",
                "an expression in the states, exact",
                f"{type(z).__name__} {shortened(z)}",
                COMPARISON
                if isinstance(z, sp.Rel)
                else "For example tanh(W @ h + F @ rnn.x); numbers are ints or Fractions.",
            )
        argument = sp.sympify(z, strict=True)
        return (WidePhi if argument.has(Coordinate) else Phi)(symbol, 0, argument)

    apply.__name__ = apply.__qualname__ = symbol.name
    example = "" if symbol.name in _GIVEN else f"\n\n>>> wp.activation('{symbol}')(sp.Symbol('z'))\n{symbol}(z)\n"
    apply.__doc__ = f"The activation {symbol}, opaque to the calculus.{example}"
    return explained(apply)


@explained
def define(name: str, function: str | sp.Expr, lipschitz: bool | None = None) -> Function:
    """Declare an activation, a text in z or a SymPy expression in one symbol; `activation(name)` finds it from then on.

    A text such as "z * tanh(log(1 + exp(z)))" is read by `derive.language.grammar` and never evaluated.
    `lipschitz` decides which limit theorem applies; by default the slopes far out decide.
    Errors: ParameterError for a name in use, for what is no expression in one symbol, and for a function that is not
    real and finite everywhere, has no finite Gaussian moments, or for which there is no rule; LanguageError for a text
    outside the grammar.

    >>> wp.define('swish_twice', 'z / (1 + exp(-2*z))')(sp.Symbol("z"))
    swish_twice(z)
    """
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ParameterError("define", "an identifier as name", shortened(name), "For example 'mish'.")
    if not isinstance(lipschitz, bool | None):
        raise ParameterError(
            f"define {name}: lipschitz", "True, False or None", shortened(lipschitz), "None measures it."
        )
    expr = _read(f"define {name}", function)
    if name in (*NAMES, "identity") or (name in _GIVEN and _GIVEN[name][0] != expr):
        raise ParameterError("define", "a name not in use", repr(name), "Choose another.")
    _GIVEN[name] = expr, _is_tame(expr) if lipschitz is None else lipschitz
    return activation(name)


def _other(name: object) -> str:
    """What to write for what is no name of an activation."""
    if callable(name):
        return "Give its name in quotes: 'tanh'; other functions are declared as a text by wideproof.define."
    asked = str(name).lower().replace("_", "").replace("-", "")
    if asked in WRITTEN_OUT:
        return f"Declare it: wideproof.define({asked!r}, {WRITTEN_OUT[asked]!r})."
    return f"{meant(str(name), ('identity', *NAMES, *_GIVEN))}Declare others with wideproof.define(name, expression)."


def _read(where: str, function: object) -> sp.Expr:
    """What `define` is given, as an admissible expression in z."""
    hint = "For example 'z * tanh(z)', or z * sp.tanh(z) with one SymPy symbol z."
    if callable(function) and not isinstance(function, sp.Basic):
        hint = f"A Python function has no formula to prove anything about: give its text. {hint}"
    expr = parse(function, {"z": Z, "pi": sp.pi}, KNOWN, where) if isinstance(function, str) else function
    if not isinstance(expr, sp.Expr) or len(expr.free_symbols) != 1:
        raise ParameterError(where, "an expression in one symbol", shortened(function), hint)
    if expr.has(sp.Float):
        raise ParameterError(where, "exact numbers", shortened(str(expr)), "Use Rational(3, 10), or 0.3 in a text.")
    expr = expr.xreplace({expr.free_symbols.pop(): Z})
    check(where, expr)
    return expr


@cache
def _is_tame(expr: sp.Expr) -> bool:
    """Whether it has no jump and its slope stays below 1000 where it is looked at; the audit measures it again."""
    slope = _sifted(sp.diff(expr, Z))
    slopes = _values(slope, (-(10**4), -100, -3.1, -0.7, 0.3, 2.9, 100, 10**4))
    return not slope.has(sp.DiracDelta) and all(v.is_finite and abs(v) < 1000 for v in slopes)


def _values(expr: sp.Expr, places: Iterable[float]) -> list[sp.Expr]:
    """An expression at some places, at a fixed number of digits: far out, a few right ones may take all the memory."""
    rounded = sp.N(expr)
    return [sp.N(rounded.subs(Z, sp.Float(z))) for z in places]


def canonical(name: str, *parameters: object) -> str:
    """The name with its parameters as rationals; `identity` is one.  Errors: ParameterError for other names."""
    if isinstance(name, str) and name == "identity" and not parameters:
        return name
    written = WRITTEN.match(name) if isinstance(name, str) else None
    family = written.group(1) if written else ""
    texts = [str(p) for p in parameters] or (written.group(2) or "").split(",") if written else []
    given = [text for text in map(str.strip, texts) if text]
    if family not in (*NAMES, *_GIVEN):
        raise ParameterError(
            "activation", f"identity or one of {', '.join((*NAMES, *_GIVEN))}", shortened(repr(name)), _other(name)
        )
    if given and family not in FAMILIES:
        raise ParameterError(
            f"activation {family}",
            "no parameters",
            shortened(repr(given)),
            f"Coordinates go to the function: activation({family!r})(z).",
        )
    if family not in FAMILIES:
        return family
    values = _rationals(name, given) or FAMILIES[family][0]
    if len(values) != len(FAMILIES[family][0]):
        raise ParameterError(
            f"activation {family}",
            f"{len(FAMILIES[family][0])} parameters",
            shortened(repr(given)),
            "leaky_relu(slope), abrelu(left slope, right slope).",
        )
    return f"{family}({', '.join(map(str, values))})"


def _rationals(name: str, texts: list[str]) -> tuple[sp.Rational, ...]:
    where = f"activation {shortened(name)}"
    values = tuple(parse(text, {}, {}, where) for text in texts)
    if not all(isinstance(value, sp.Rational) for value in values):
        raise ParameterError(where, "numbers", shortened(repr(texts)), "For example leaky_relu(0.2).")
    return values


def product_name(factors: Iterable[tuple[str, int]]) -> str:
    """The name of a product of powers of z and of activations, such as z^2*tanh, whatever the order of its factors."""
    total: Counter[str] = Counter()
    for name, power in factors:
        for part, times in factors_of(name).items():
            total[part] += times * power
    ordered = sorted(total.items(), key=lambda item: (item[0] != "z", item[0]))
    return "*".join(name if power == 1 else f"{name}^{power}" for name, power in ordered)


def factors_of(name: str) -> dict[str, int]:
    """The factors of the name of a product and their powers; of any other name, itself."""
    pairs = (part.partition("^") for part in name.split("*"))
    return {part: int(power or 1) for part, _, power in pairs}


def is_product(name: str) -> bool:
    """Whether a name is that of a product of activations."""
    return "*" in name or "^" in name


@cache
def family_of(name: str) -> tuple[str, tuple[sp.Rational, ...]]:
    """The family and the parameters of a canonical name."""
    if is_product(name):
        return name, ()
    family, _, rest = name.partition("(")
    return family, tuple(sp.Rational(x) for x in rest.rstrip(")").split(",") if x.strip())


def definition(name: str, order: int = 0) -> sp.Expr:
    """phi^{(order)} as an expression in z."""
    family, parameters = family_of(name)
    if is_product(name):
        expr = sp.Mul(*((Z if part == "z" else definition(part)) ** power for part, power in factors_of(name).items()))
    elif family in FAMILIES:
        defaults, make = FAMILIES[family]
        expr = make(*(parameters or defaults))
    else:
        expr = _GIVEN[name][0] if name in _GIVEN else {"identity": Z, **DEFINITIONS}[name]
    slope = _sifted(sp.diff(expr, Z, order)) if order else expr
    for w in {f.args[0] for f in slope.atoms(sp.cosh)} if order else ():  # a quotient of the two overflows
        slope = slope.subs(sp.sinh(w), sp.tanh(w) * sp.cosh(w))
    return slope.replace(lambda e: e.is_Mul and e.has(sp.exp), _finite) if order else slope


def _finite(product: sp.Expr) -> sp.Expr:
    """exp(w)^j / (x + y exp(w))^k, a quotient of two numbers that overflow, by (x exp(-w) + y)^-j for j up to k."""
    powers = dict(product.as_powers_dict())
    exponent = powers.pop(sp.E, sp.S.Zero)
    for base, power in list(powers.items()):
        number, rest = base.as_coeff_Add()
        factor, inner = rest.as_coeff_Mul()
        if not (number and isinstance(inner, sp.exp) and power.is_negative and (exponent / inner.exp).is_positive):
            continue
        times = min(sp.floor(exponent / inner.exp), sp.floor(-power))
        exponent -= times * inner.exp
        powers[base] = power + times
        turned = number * sp.exp(-inner.exp) + factor
        powers[turned] = powers.get(turned, sp.S.Zero) - times
    return sp.Mul(sp.exp(exponent), *(base**power for base, power in powers.items()))


def _sifted(slope: sp.Expr) -> sp.Expr:
    """A derivative with what stands beside a jump taken at the jump: z DiracDelta(z) is 0.

    f DiracDelta^(n)(z - a) = sum_k (-1)^k binom(n, k) f^(k)(a) DiracDelta^(n-k)(z - a).
    """
    if not slope.has(sp.DiracDelta):
        return slope
    smooth = slope.xreplace({x: sp.S.Zero for x in slope.atoms(sp.DiracDelta)})
    jumps = sp.expand(slope - smooth).expand(diracdelta=True, wrt=Z)
    return smooth + sp.expand(sp.Add(*map(_at_jump, sp.Add.make_args(sp.expand(jumps)))))


def _at_jump(term: sp.Expr) -> sp.Expr:
    """One term of the jumps, sifted where it has one jump, DiracDelta^(n)(z - a)."""
    deltas = term.atoms(sp.DiracDelta)
    if len(deltas) != 1:
        return term
    delta = deltas.pop()
    if sp.diff(delta.args[0], Z) != 1 or (beside := term / delta).has(sp.DiracDelta):
        return term
    place, order = Z - delta.args[0], int(sp.Tuple(*delta.args[1:], 0)[0])
    return sp.Add(
        *(
            (-1) ** i * sp.binomial(order, i) * sp.diff(beside, Z, i).subs(Z, place) * delta.func(Z - place, order - i)
            for i in range(order + 1)
        )
    )


def has_jump(name: str, order: int) -> bool:
    """Whether phi^{(order)} is no function, since what it is the derivative of jumps."""
    return bool(definition(name, order).has(sp.DiracDelta))


def definition_at(name: str, order: int, z: sp.Expr) -> sp.Expr:
    """The value of phi^{(order)} at a number, from the definition of the activation."""
    return definition(name, order).subs(Z, z)


@cache
def affine_definition(name: str) -> tuple[sp.Expr, sp.Expr] | None:
    """Slope and offset of an activation that is an affine function, such as leaky_relu(1) or 2 z; else None."""
    expr = definition(name).replace(sp.Max, _larger).replace(sp.Min, lambda *x: -_larger(*(-y for y in x)))
    expr = sp.expand(expr)
    if not expr.is_polynomial(Z) or sp.degree(expr, Z) > 1:
        return None
    return expr.coeff(Z, 1), expr.coeff(Z, 0)


def _larger(*values: sp.Expr) -> sp.Expr:
    """The largest of real numbers by absolute values, which cancel where the maximum is no kink."""
    first, *rest = values
    return reduce(lambda a, b: (a + b + sp.Abs(a - b)) / 2, rest, first)


def is_declared(name: str) -> bool:
    """Whether an activation was declared by `define`, and is none of the table."""
    return name in _GIVEN


def is_lipschitz(name: str) -> bool:
    """Whether an activation is Lipschitz, a hypothesis that the audit of a proof measures."""
    if is_product(name):
        return _is_tame(definition(name))
    if name in _GIVEN:
        return _GIVEN[name][1]
    return family_of(name)[0] in FAMILIES or _is_tame(definition(name))


@cache
def is_bounded(name: str) -> bool:
    """Whether an activation stays below 1000 far out, so that a product with it grows no faster than without."""
    values = _values(definition(name), (-(10**5), -(10**3), 10**3, 10**5))
    return all(v.is_finite and abs(v) < 1000 for v in values)


@explained
def leaky_relu(z: sp.Expr, slope: object = sp.Rational(1, 100)) -> sp.Expr:
    """The activation max(z, 0) + slope min(z, 0), opaque to the calculus.

    >>> wp.leaky_relu(sp.Symbol("z"), 0.1)
    leaky_relu(1/10)(z)
    """
    return activation("leaky_relu", slope)(z)


@explained
def abrelu(z: sp.Expr, left: object, right: object) -> sp.Expr:
    """The activation left min(z, 0) + right max(z, 0), opaque to the calculus.

    >>> wp.abrelu(sp.Symbol("z"), 0, 2)
    abrelu(0, 2)(z)
    """
    return activation("abrelu", left, right)(z)


# ---- the table: at a jump, the mean of both sides -----------------------------------------------------
def _named(name: str, function: sp.Expr) -> Function:
    DEFINITIONS[name] = function
    return _opaque(sp.Symbol(name))


relu = _named("relu", sp.Max(Z, 0))
erf = _named("erf", sp.erf(Z))
tanh = _named("tanh", sp.tanh(Z))
gelu = _named("gelu", Z * (1 + sp.erf(Z / sp.sqrt(2))) / 2)
sigmoid = _named("sigmoid", SIGMOID)
sin = _named("sin", sp.sin(Z))
step = _named("step", sp.Heaviside(Z))
abs_ = _named("abs", sp.Abs(Z))
sign = _named("sign", sp.sign(Z))
cos = _named("cos", sp.cos(Z))
exp = _named("exp", sp.exp(Z))
gaussian = _named("gaussian", sp.exp(-(Z**2)))
erf_sigmoid = _named("erf_sigmoid", (1 + sp.erf(Z)) / 2)
silu = _named("silu", Z * SIGMOID)
softplus = _named("softplus", Z / 2 + sp.log(2 * sp.cosh(Z / 2)))
NAMES = (*DEFINITIONS, *FAMILIES)
