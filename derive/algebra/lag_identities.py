"""Identities in a symbolic lag, decided by one normal form: every power of the lag is a letter of its own.

For a whole lag j the power f^{c j + d} of an irreducible f is the letter f^j to the power c times f^d, (f g)^j is
f^j g^j, a divided difference of powers is its textbook form, and a sum over an index of i^k r^i telescopes. What is
left is a quotient of polynomials, which is zero exactly if its numerator is. Each of these steps is an identity
wherever no denominator and no base is zero, hence for almost all numbers, and for all where both sides are continuous.
Lags at which a step fails (0^j at j = 0, an empty sum, a denominator with a whole zero) are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import comb, lcm

import sympy as sp

from wideproof.derive.algebra.linear_recurrences import PowerDD

LONGEST, WIDEST, DEGREE, LATEST, LOOKED_AT = 20_000, 200, 12, 40, 2
"""Terms of an expanded side, terms of a sum written out, powers of an index under a sum, last lag that is looked at
by itself, and lags that always are."""
Exponent = tuple[sp.Rational, dict[sp.Symbol, sp.Rational]]
"""A number, and the rational coefficients of the whole letters."""


class NotNormal(Exception):
    """An expression that the normal form does not cover, with the reason."""


def vanishes(expr: sp.Expr) -> bool:
    """Whether an expression is proved to be zero at all whole letters and all numbers at which it is continuous.

    False where it is not zero, and where the normal form does not cover it.  Source: definition.
    """
    try:
        return _everywhere(expr, _is_zero)
    except NotNormal:
        return False


def never_negative(expr: sp.Expr) -> bool:
    """Whether an expression is proved non-negative for non-negative letters: its normal form has no other sign.

    Source: a quotient of polynomials with non-negative coefficients is not negative.
    """
    try:
        return _everywhere(expr, _has_no_minus)
    except NotNormal:
        return False


def _is_zero(numerator: sp.Expr, denominator: sp.Expr) -> bool:
    return bool(numerator == 0)


def _has_no_minus(numerator: sp.Expr, denominator: sp.Expr) -> bool:
    parts = [x for side in (numerator, denominator) for x in sp.Add.make_args(sp.expand(side))]
    return all(x.is_nonnegative for x in parts)


Test = Callable[[sp.Expr, sp.Expr], bool]


def _everywhere(expr: sp.Expr, test: Test) -> bool:
    """Whether the normal form passes a test, in general and at each lag that is looked at by itself."""
    if not is_short(expr):
        raise NotNormal("too many terms")
    rest, sums = _opaque_sums(expr)
    return all(_holds(part, test) for part in (rest, *sums))


def _holds(expr: sp.Expr, test: Test) -> bool:
    if expr.has(sp.nan, sp.zoo, sp.oo, -sp.oo) or any(map(_jumps, expr.atoms(sp.Pow))):
        return False
    form = _Form(expr)
    numerator, denominator = form.fraction(form.lifted(form.expr))
    if denominator == 0 or not test(numerator, denominator):
        return False
    return all(_holds(expr.xreplace({index: sp.Integer(lag)}), test) for index, lag in form.looked_at())


# ---- sums that stay sums ----------------------------------------------------------------------------
def _opaque_sums(expr: sp.Expr) -> tuple[sp.Expr, tuple[sp.Expr, ...]]:
    """What stands outside the sums with a bound that is no lag, and the coefficients of what their terms share.

    Sums over the same range are one sum; it is zero if each function of the index in it has the coefficient zero.
    """
    if not any(map(_is_opaque, expr.atoms(sp.Sum))):
        return expr, ()
    rest, ranges = sp.S.Zero, dict[tuple[sp.Expr, sp.Expr], sp.Expr]()
    index = sp.Dummy("i", integer=True, nonnegative=True)
    for term in sp.Add.make_args(sp.expand(expr)):
        held = [x for x in sp.Mul.make_args(term) if isinstance(x, sp.Sum) and _is_opaque(x)]
        if not held:
            rest += term
            continue
        ((bound, low, high),) = held[0].limits
        others = sp.Mul(*(x for x in sp.Mul.make_args(term) if x is not held[0]))
        if any(map(_is_opaque, others.atoms(sp.Sum))):
            raise NotNormal("a product of sums")
        inside = others * held[0].function.xreplace({bound: index})
        ranges[low, high] = ranges.get((low, high), sp.S.Zero) + inside
    return rest, tuple(x for inside in ranges.values() for x in _coefficients(inside))


def _is_opaque(total: sp.Sum) -> bool:
    ((_, low, high),) = total.limits if len(total.limits) == 1 else ((None, None, None),)
    return low is not None and (_linear(low) is None or _linear(high) is None)


def _coefficients(inside: sp.Expr) -> Iterator[sp.Expr]:
    """The coefficients of the inner products of inputs, or other functions of several arguments, in a term."""
    kinds = sorted({x for x in inside.atoms(sp.Function) if _is_input(x)}, key=sp.default_sort_key)
    rest = sp.expand(inside)
    for x in kinds:
        yield rest.coeff(x, 1)
        rest = sp.expand(rest - x * rest.coeff(x, 1))
    if any(_is_input(x) for x in rest.atoms(sp.Function)):
        raise NotNormal("a product of inputs")
    yield rest


def _is_input(x: sp.Expr) -> bool:
    """Whether a function is one of letters alone, such as the inner product of two inputs: it has no other form."""
    return not isinstance(x, PowerDD | sp.Max | sp.Min | sp.KroneckerDelta) and len(x.args) > 2


def _linear(expr: sp.Expr) -> Exponent | None:
    """An expression as a number plus rational multiples of whole letters, or None."""
    if expr.is_Rational:
        return expr, {}
    parts: dict[sp.Symbol, sp.Rational] = {}
    constant = sp.S.Zero
    for term in sp.Add.make_args(sp.expand(expr)):
        size, letter = term.as_coeff_Mul()
        if not size.is_Rational:
            return None
        if letter == 1:
            constant += size
        elif letter.is_Symbol and letter.is_integer:
            parts[letter] = parts.get(letter, sp.S.Zero) + size
        else:
            return None
    return constant, parts


# ---- the normal form --------------------------------------------------------------------------------
class _Form:
    """The letters of one normal form, what they stand for, and the lags from which on it is valid."""

    def __init__(self, expr: sp.Expr) -> None:
        positive = {x: sp.Dummy(x.name, positive=True) for x in expr.free_symbols if _is_size(x)}
        self.expr = expr.xreplace(positive)
        if not is_short(self.expr):
            raise NotNormal("too many terms")
        self.whole = sorted((x for x in expr.free_symbols if x.is_integer), key=str)
        self.root = lcm(*(int(x.q) for x in _exponents(self.expr)))
        self.powers: list[tuple[sp.Expr, sp.Symbol, sp.Symbol]] = []
        self.atoms: list[tuple[type, tuple[sp.Expr, ...], sp.Symbol]] = []
        self.relations: list[tuple[sp.Symbol, int, sp.Expr]] = []
        self.start: dict[sp.Symbol, int] = {}
        self.apart: set[tuple[sp.Symbol, int]] = set()

    def looked_at(self) -> Iterator[tuple[sp.Symbol, int]]:
        """The values of whole letters at which the expression is looked at by itself."""
        for index in self.whole:
            least = int(index.is_positive or 0)
            until = max(self.start.get(index, least), least + LOOKED_AT)
            if until > LATEST:
                raise NotNormal("a form that begins late")
            apart = {lag for other, lag in self.apart if other == index and lag >= least}
            yield from ((index, lag) for lag in sorted(apart.union(range(least, until))))

    def fraction(self, value: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """Numerator and denominator, the former by the relations between the letters."""
        numerator, denominator = sp.fraction(sp.together(value))
        return self.reduced(numerator), self.reduced(denominator)

    def reduced(self, polynomial: sp.Expr) -> sp.Expr:
        """A polynomial in which no root stands in a power that is a number."""
        polynomial = sp.expand(polynomial)
        for letter, degree, value in reversed(self.relations):
            if polynomial.has(letter):
                powers = sp.Poly(polynomial, letter).terms()
                polynomial = sp.expand(
                    sp.Add(*(c * letter ** (k % degree) * value ** (k // degree) for (k,), c in powers))
                )
        return polynomial

    def is_zero(self, value: sp.Expr) -> bool:
        """Whether a lifted expression is zero."""
        return bool(self.fraction(value)[0] == 0)

    def lifted(self, expr: sp.Expr) -> sp.Expr:
        """An expression as a quotient of polynomials in the letters."""
        if expr.is_Rational or expr.is_Symbol:
            return expr
        if expr.is_Add or expr.is_Mul:
            return expr.func(*map(self.lifted, expr.args))
        if expr.is_Pow:
            return self._power(*expr.args)
        if isinstance(expr, PowerDD):
            return self._difference(expr)
        if isinstance(expr, sp.Sum):
            return self._sum(expr)
        if isinstance(expr, sp.KroneckerDelta):
            return self._delta(expr)
        if isinstance(expr, sp.log):
            return self._log(expr)
        return self._atom(expr.func, *expr.args)

    def _atom(self, kind: type, *args: sp.Expr) -> sp.Symbol:
        """One letter for equal functions of equal arguments."""
        inside = tuple(map(self.lifted, args))
        for other, values, letter in self.atoms:
            same = other is kind and len(values) == len(inside)
            if same and all(self.is_zero(a - b) for a, b in zip(values, inside, strict=True)):
                return letter
        letter = sp.Dummy(kind.__name__, nonnegative=kind(*args).is_nonnegative)
        self.atoms.append((kind, inside, letter))
        return letter

    # ---- powers ---------------------------------------------------------------------------------------
    def _power(self, base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        if exponent.is_Integer:
            inside = self.lifted(base)
            if exponent < 0:
                self._divided_by(inside)
            return inside**exponent
        linear = _linear(exponent)
        if linear is None:
            return self._atom(sp.Pow, base, exponent)
        inside = self.lifted(base)
        if self.is_zero(inside):
            return self._power_of_zero(*linear)
        if linear[1] and any(x.is_integer or x in {y for *_, y in self.powers} for x in inside.free_symbols):
            return self._atom(sp.Pow, base, exponent)
        factors = list(self._factors(inside))
        if not all(self._can_be_raised(f, many, linear) for f, many in factors):
            return self._atom(sp.Pow, base, exponent)
        return sp.Mul(*(self._raised(f, many, linear) for f, many in factors))

    def _divided_by(self, inside: sp.Expr) -> None:
        """Note the whole zeros of a denominator; where it is zero throughout there is no value."""
        below = self.fraction(inside)[0]
        if below == 0:
            raise NotNormal("a division by zero")
        letters = below.free_symbols
        if len(letters) == 1 and letters <= set(self.whole):
            (index,) = letters
            zeros = sp.Poly(below, index).ground_roots()
            self.apart |= {(index, int(x)) for x in zeros if x.is_Integer}

    def _power_of_zero(self, constant: sp.Rational, parts: dict[sp.Symbol, sp.Rational]) -> sp.Expr:
        """0^{c j + d} is zero from the lag on at which the exponent is positive."""
        if len(parts) != 1 or min(parts.values()) <= 0:
            raise NotNormal("a power of zero")
        ((index, slope),) = parts.items()
        self._from(index, int(sp.floor(-constant / slope)) + 1)
        return sp.S.Zero

    def _from(self, index: sp.Symbol, lag: int) -> None:
        self.start[index] = max(self.start.get(index, 0), lag)

    def _factors(self, inside: sp.Expr) -> Iterator[tuple[sp.Expr, int]]:
        """The irreducible factors of a quotient of polynomials, numbers by their primes, with their powers."""
        for side, sign in zip(sp.fraction(sp.together(inside)), (1, -1), strict=True):
            number, found = sp.factor_list(self.reduced(side))
            primes = sp.factorint(number, limit=10**4) if number.is_Rational else {number: 1}
            yield from ((sp.sympify(p, strict=True), sign * k) for p, k in primes.items() if p != 1)
            yield from ((f, sign * k) for f, k in found)

    def _can_be_raised(self, f: sp.Expr, many: int, exponent: Exponent) -> bool:
        """Whether f^(many (c j + d)) has a meaning in letters: a root is taken of what is positive alone."""
        constant, parts = exponent
        return bool(f.is_positive) or all((many * x).is_Integer for x in (constant, *parts.values()))

    def _raised(self, f: sp.Expr, many: int, exponent: Exponent) -> sp.Expr:
        constant, parts = exponent
        root = self.root if f.is_positive else 1
        value = self._rooted(f, many * constant)
        for index, slope in parts.items():
            value *= self._letter(f, index, root) ** (many * slope * root)
        return value

    def _letter(self, f: sp.Expr, index: sp.Symbol, root: int) -> sp.Symbol:
        """The letter that stands for f^(index / root)."""
        for known, other, letter in self.powers:
            if other == index and sp.expand(known - f) == 0:
                return letter
        letter = sp.Dummy(f"{f}^{index}", positive=f.is_positive)
        self.powers.append((f, index, letter))
        if f == -1:
            self.relations.append((letter, 2, sp.S.One))
        return letter

    def _rooted(self, f: sp.Expr, exponent: sp.Rational) -> sp.Expr:
        """f to a rational power, by a letter for its root where the power is none."""
        if exponent.is_Integer:
            return f**exponent
        for letter, degree, value in self.relations:
            if degree == self.root and sp.expand(value - f) == 0:
                return letter ** (exponent * degree)
        letter = sp.Dummy(f"root {f}", positive=True)
        self.relations.append((letter, int(self.root), f))
        return letter ** (exponent * self.root)

    def _log(self, expr: sp.Expr) -> sp.Expr:
        """The logarithm of a product of positive factors as a sum."""
        factors = list(self._factors(self.lifted(expr.args[0])))
        if not all(f.is_positive for f, _ in factors):
            return self._atom(sp.log, *expr.args)
        return sp.Add(*(many * self._atom(sp.log, f) for f, many in factors))

    # ---- divided differences, deltas, sums --------------------------------------------------------------
    def _difference(self, expr: PowerDD) -> sp.Expr:
        written = expr.doit()
        if written.has(PowerDD):
            raise NotNormal("a divided difference")
        return self.lifted(written)

    def _delta(self, expr: sp.Expr) -> sp.Expr:
        """Zero but at one lag."""
        linear = _linear(expr.args[0] - expr.args[1])
        if linear is None or len(linear[1]) != 1:
            return self._atom(expr.func, *expr.args)
        ((index, slope),) = linear[1].items()
        self._from(index, int(sp.floor(-linear[0] / slope)) + 1)
        return sp.S.Zero

    def _sum(self, expr: sp.Sum) -> sp.Expr:
        """A sum, the innermost index first."""
        if len(expr.limits) == 1 and all(x.is_Integer for x in expr.limits[0][1:]):
            ((index, low, high),) = expr.limits
            return self._written_out(expr.function, index, range(int(low), int(high) + 1))
        own = {x: sp.Dummy(x.name, integer=True, nonnegative=True) for x, *_ in expr.limits}
        value = self.lifted(expr.function.xreplace(own))
        for index, low, high in expr.limits:
            first, after, terms = (_linear(x.xreplace(own)) for x in (low, high + 1, high - low + 1))
            if first is None or after is None or terms is None:
                raise NotNormal("a sum up to what is no lag")
            self._never_short(terms)
            if self.start.get(own[index], 0) > 0 or any(other == own[index] for other, _ in self.apart):
                raise NotNormal("a sum with a term of its own")
            value = self._telescoped(value, own[index], first, after)
        return value

    def _written_out(self, term: sp.Expr, index: sp.Symbol, steps: range) -> sp.Expr:
        if len(steps) > WIDEST:
            raise NotNormal("a long sum")
        return sp.Add(*(self.lifted(term.xreplace({index: sp.Integer(i)})) for i in steps))

    def _never_short(self, terms: Exponent) -> None:
        """The number of terms is never negative, from some lag on."""
        constant, parts = terms
        if any(slope < 0 for slope in parts.values()) or (constant < 0 and len(parts) != 1):
            raise NotNormal("a sum that may have fewer than no terms")
        for index, slope in parts.items() if constant < 0 else ():
            self._from(index, int(sp.ceiling(-constant / slope)))

    def _telescoped(self, body: sp.Expr, own: sp.Symbol, first: Exponent, after: Exponent) -> sp.Expr:
        """The sum of i^k r^i from its first index to before `after`, term by term."""
        known = {letter: f for f, index, letter in self.powers if index == own}
        numerator, denominator = self.fraction(body)
        below = sp.Poly(denominator, own, *known).terms()
        if len(below) != 1 or below[0][0][0]:
            raise NotNormal("an index in a denominator")
        total = sp.S.Zero
        for powers, c in sp.Poly(numerator, own, *known).terms():
            if powers[0] > DEGREE:
                raise NotNormal("a high power of an index")
            counts = (up - down for up, down in zip(powers[1:], below[0][0][1:], strict=True))
            bases = [(f, sp.Rational(k, self._root_of(f))) for f, k in zip(known.values(), counts, strict=True) if k]
            total += c * (self._partial(powers[0], bases, after) - self._partial(powers[0], bases, first))
        return total / below[0][1]

    def _root_of(self, f: sp.Expr) -> int:
        return int(self.root) if f.is_positive else 1

    def _partial(self, power: int, bases: list[tuple[sp.Expr, sp.Rational]], at: Exponent) -> sp.Expr:
        """A function of the index whose difference is i^power r^i, r the product of the bases, at an index."""
        ratio = sp.Mul(*(self._rooted(f, many) for f, many in bases))
        index = at[0] + sp.Add(*(slope * letter for letter, slope in at[1].items()))
        value = sp.S.Zero
        for k, c in enumerate(_primitive(power, ratio)):
            value += c * index**k
        for f, many in bases:
            value *= self._raised(f, many, at)
        return value


def _primitive(power: int, ratio: sp.Expr) -> list[sp.Expr]:
    """Coefficients of the polynomial Q with r Q(i + 1) - Q(i) = i^power, from the highest power down."""
    still = ratio == 1
    degree = power + 1 if still else power
    found = [sp.S.Zero] * (degree + 1)
    wanted = [sp.Integer(k == power) for k in range(degree + 1)]
    for k in range(degree, -1 + still, -1):
        row = k - 1 if still else k
        above = ratio * sp.Add(*(found[m] * comb(m, row) for m in range(k + 1, degree + 1)))
        found[k] = (wanted[row] - above) / (k if still else ratio - 1)
    return found


def _jumps(power: sp.Pow) -> bool:
    """Whether a power of zero jumps to one where its exponent is zero, which is a number and no lag."""
    return bool(power.base == 0) and not all(x.is_integer for x in power.exp.free_symbols)


def _is_size(x: sp.Symbol) -> bool:
    return bool(x.is_nonnegative) and not x.is_integer


def _exponents(expr: sp.Expr) -> Iterator[sp.Rational]:
    """All rational numbers in exponents."""
    for power in expr.atoms(sp.Pow):
        yield from power.exp.atoms(sp.Rational)


def is_short(expr: sp.Expr, most: int = LONGEST) -> bool:
    """Whether an expression has few terms once it is multiplied out."""
    return terms(expr)[0] <= most


def terms(expr: sp.Expr) -> tuple[int, int]:
    """No fewer than the terms of numerator and denominator, once they are multiplied out."""
    if expr.is_Add or expr.is_Mul:
        above, below = int(expr.is_Mul), 1
        for up, down in map(terms, expr.args):
            above = _capped(above * up if expr.is_Mul else above * down + up * below)
            below = _capped(below * down)
        return above, below
    if expr.is_Pow and expr.exp.is_Integer:
        many = abs(int(expr.exp))
        up, down = (_capped(comb(size + many - 1, many)) for size in terms(expr.base))
        return (up, down) if expr.exp > 0 else (down, up)
    if isinstance(expr, sp.Sum | PowerDD):
        return _capped(8 * max((terms(x)[0] for x in expr.args if isinstance(x, sp.Expr)), default=1)), 1
    return 1, 1


def _capped(size: int) -> int:
    return min(size, LONGEST + 1)
