"""How fast a map grows, measured from its values alone: what the hypotheses of a limit theorem are audited by."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from itertools import pairwise

import sympy as sp

from wideproof.derive.audit.rationals import Fraction
from wideproof.derive.language.activations import Phi, definition_at
from wideproof.derive.language.program import coordinates_of

Map = Callable[..., float]
Point = tuple[float, ...]
GROWTH = ("affine", "Lipschitz", "polynomially bounded")
"""From the strongest to the weakest."""
FAR, STEEP = 1e6, 1e3
"""A slope of a product grows with the other factor: it is looked at where that is large. A jump has no slope."""


def measured_growth(body: sp.Expr, parameters: Mapping[sp.Symbol, Fraction], rng: random.Random) -> str:
    """ "affine" if no second difference shows, else "Lipschitz" or "polynomially bounded" by difference quotients."""
    names = tuple(coordinates_of(body))
    drawn = body.xreplace({x: sp.Rational(v) for x, v in parameters.items()})
    f = _numeric(drawn, names)

    def anywhere() -> Point:
        return tuple(rng.uniform(-9, 9) for _ in names)

    if not any(_bent(f, anywhere(), anywhere()) for _ in range(40)):
        return "affine"
    return "polynomially bounded" if _steep(drawn, names) else "Lipschitz"


@lru_cache(maxsize=256)
def _steep(body: sp.Expr, names: tuple[sp.Symbol, ...]) -> bool:
    """Whether a difference quotient is large, around zero or far out along a coordinate."""
    f = _numeric(body, names)
    centres = [tuple(FAR if i == far else 0.1 for i in range(len(names))) for far in range(-1, len(names))]
    return any(_steepest(f, centre, i) >= STEEP for centre in centres for i in range(len(names)))


@lru_cache(maxsize=256)
def _numeric(body: sp.Expr, names: tuple[sp.Symbol, ...]) -> Map:
    """The map of numbers; in many digits, which takes its own compilation, where doubles do not do."""
    z = sp.Dummy("z", real=True)
    variables = [sp.Dummy(real=True) for _ in names]
    plain = body.xreplace(dict(zip(names, variables, strict=True))).replace(
        Phi, lambda name, order, at: definition_at(str(name), int(order), z).subs(z, at)
    )
    compiled = cache(lambda module: sp.lambdify(variables, plain, module))
    fast = compiled("math")

    def value(*at: float) -> float:
        try:
            return float(fast(*at))
        except (NameError, OverflowError, ValueError):
            return float(compiled("mpmath")(*at))

    return value


def _bent(f: Map, a: Point, b: Point) -> bool:
    middle = ((x + y) / 2 for x, y in zip(a, b, strict=True))
    return abs(f(*a) + f(*b) - 2 * f(*middle)) > 1e-9


def _steepest(f: Map, centre: Point, i: int) -> float:
    """The largest difference quotient along coordinate i around a centre, closer and closer to the steepest place."""
    low, high, steepest = centre[i] - 3, centre[i] + 3, 0.0
    for _ in range(3):
        points = [low + (high - low) * k / 60 for k in range(61)]
        values = [f(*centre[:i], x, *centre[i + 1 :]) for x in points]
        quotients = [abs(b - a) / (points[1] - points[0]) for a, b in pairwise(values)]
        place = max(range(60), key=quotients.__getitem__)
        low, high, steepest = points[place], points[place + 1], max(steepest, quotients[place])
    return steepest
