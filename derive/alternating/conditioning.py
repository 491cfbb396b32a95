"""Lemma C.1's conditioning step at finite width: the law of W v given all earlier products, left and right.

U, V are orthonormal queries, v a unit query orthogonal to V; W V and Z = W^T U are known. What is left of W v after
its prediction U Z^T v is uncorrelated with everything known, hence independent of it; that is (81) without a limit.
Letters are non-commuting SymPy symbols, A and A' a matrix and its transpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from wideproof.derive.emit.derivation import Derivation, as_program, reads
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.program import Parameter, Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule

NAMES = ("W", "U", "V", "Z", "A", "B", "D", "v", "a", "b")
LETTERS = {name + mark: sp.Symbol(name + mark, commutative=False) for name in NAMES for mark in ("", "'")}
W, U, V, Z, A, B, D, v, a, b = (LETTERS[name] for name in NAMES)
Wt, Ut, Vt, Zt, At, Bt, Dt, vt, at, bt = (LETTERS[name + "'"] for name in NAMES)
TRANSPOSE = {LETTERS[x]: LETTERS[y] for name in NAMES for x, y in ((name, name + "'"), (name + "'", name))}


class Words(sp.Expr):
    """An expression in words of letters; its arguments hold letters, which are not free symbols."""

    is_commutative = True

    @property
    def free_symbols(self) -> set[sp.Basic]:
        """The scalars in it."""
        return {x for e in self.args for x in e.free_symbols if x not in TRANSPOSE and x.is_commutative}

    def _latex(self, printer: Any) -> str:
        words = [printer._print(e).replace("'", r"^{\mathsf T}") for e in self.args]
        return self.pattern.format(*words)

    pattern = "{0}"


class Value(Words):
    """The matrix that the words stand for."""


class Mean(Words):
    """E over the entries of W: arguments the words, quadratic in W, and the variance of an entry."""

    pattern = r"\mathbb{{E}}\left[{0}\right]"


class Trace(Words):
    """The trace of the words."""

    pattern = r"\operatorname{{tr}}\left({0}\right)"


class ProductLaw(Words):
    """The law of the first word given the values of the others; the last argument is the variance of an entry."""

    pattern = r"\mathcal{{L}}\left({0} \mid {1}, {2}\right)"


class GaussianLaw(Words):
    """The Gaussian law with the mean and covariance that the two words stand for."""

    pattern = r"N\left({0}, {1}\right)"


class Freedom(Words):
    """Degrees of freedom of the chi-squared law of |g - B B' g|^2, where g is standard Gaussian."""


class Rows(Words):
    """The number of rows of a letter."""

    pattern = r"\operatorname{{rows}}\left({0}\right)"


class Columns(Words):
    """The number of columns of a letter."""

    pattern = r"\operatorname{{columns}}\left({0}\right)"


def transposed(expr: sp.Expr) -> sp.Expr:
    """Words read backwards, every letter transposed."""
    return sp.Add(*(c * sp.Mul(*(TRANSPOSE[x] for x in reversed(word))) for c, word in words(expr)))


def words(expr: sp.Expr) -> Iterator[tuple[sp.Expr, list[sp.Expr]]]:
    """The terms of an expression as (coefficient, letters in order)."""
    for term in sp.Add.make_args(sp.expand(expr)):
        scalars, letters = term.args_cnc()
        powers = [factor.as_base_exp() for factor in letters]
        yield sp.Mul(*scalars), [base for base, power in powers for _ in range(int(power))]


def reduced(expr: sp.Expr, ask: Ask) -> sp.Expr:
    """Words with every product of a query and a transposed query evaluated."""
    found = []
    for c, word in words(expr):
        done: list[sp.Expr] = []
        for letter in word:
            known = PRODUCTS.get((done[-1], letter)) if done else None
            if known is None:
                done.append(letter)
            else:
                claim = ask.equation("queries", Value(done.pop() * letter))
                c = c * claim.right
        found.append(c * sp.Mul(*done))
    return sp.expand(sp.Add(*found))


PRODUCTS = {(Vt, V): 1, (Ut, U): 1, (vt, v): 1, (Vt, v): 0, (vt, V): 0}
RIGHT, LEFT = A * W * B * Wt * D, A * W * B * W * D
RESIDUAL = W * v - U * Ut * W * v


def tied(program: Program, name: str) -> Parameter:
    """The tied square matrix of that name; ParameterError if there is none."""
    found = [x for x in program.parameters if x.role == "matrix" and x.tied]
    for parameter in found:
        if parameter.name == name:
            return parameter
    raise ParameterError(
        f"matrix {name}",
        " or ".join(x.name for x in found) or "a recursion with tied matrices",
        name,
        "Untied matrices are drawn anew at every step: nothing is known about them.",
    )


def mean(word: sp.Expr, ask: Ask, nu: sp.Expr) -> sp.Expr:
    """E of words quadratic in W, each by one of the two pairings."""
    total = sp.S.Zero
    for c, letters in words(word):
        i, k = (place for place, x in enumerate(letters) if x in (W, Wt))
        assert letters[i] == W
        claim = ask.equation("pairing", Mean(RIGHT if letters[k] == Wt else LEFT, nu))
        before, between, after = sp.Mul(*letters[:i]), letters[i + 1 : k], sp.Mul(*letters[k + 1 :])
        known = {A: before, D: after, Bt: transposed(sp.Mul(*between))}
        if claim.right.has(Trace):
            known[Trace(B)] = trace(between, ask)
        total += c * claim.right.args[0].xreplace(known)
    return reduced(total, ask)


def trace(letters: list[sp.Expr], ask: Ask) -> sp.Expr:
    """The trace of a word that some rotation evaluates."""
    for i in range(len(letters)):
        value = reduced(sp.Mul(*letters[i:], *letters[:i]), ask)
        if value.is_commutative:
            return value
    return Trace(sp.Mul(*letters))


@rule(
    "queries",
    source="Gram-Schmidt",
    rank=800,
    says=(
        "let $W$ be the matrix, $V$ and $U$ orthonormal bases of the vectors that it and its transpose have "
        "multiplied, $Z = W^{\\mathsf{T}} U$, and $v$ the unit vector along what is new in the next vector. "
        "So, 1 being the identity too,"
    ),
    status="assumed",
)
def queries(subject: Any, ask: Ask) -> Claim:
    """The queries of each side are orthonormal, and the new one is orthogonal to those of its side."""
    left, right = next(words(subject.args[0]))[1]
    return Equation(subject, sp.Integer(PRODUCTS[left, right]))


@rule(
    "pairing",
    source="isserlis1918formula, for the entries of W",
    rank=810,
    says="entries of a Gaussian matrix pair with themselves only, so whatever $A$, $B$ and $D$ are,",
)
def pairing(subject: Any, ask: Ask) -> Claim:
    """E[A W B W' D] = nu tr(B) A D and E[A W B W D] = nu A B' D: entries pair with themselves only."""
    word, nu = subject.args
    return Equation(subject, Value(nu * (Trace(B) * A * D if word == RIGHT else A * Bt * D)))


@rule(
    "left-over",
    source="emami2021implicit, (82)-(84), with left products",
    rank=820,
    says="whatever $a$ and $b$ are, taking away its projection on what is known leaves",
)
def left_over(subject: Any, ask: Ask) -> Claim:
    """The covariance of W v - U U' W v with itself, or with a combination of known products."""
    word, nu = subject.args
    return Equation(subject, Value(mean(word, ask, nu)))


@rule(
    "product-law",
    source="emami2021implicit, (81) with E8, at finite n; uncorrelated Gaussians are independent",
    rank=830,
    says=(
        "what is left is uncorrelated with every known product, and uncorrelated Gaussian vectors are "
        "independent, so given these products the law of the new one is the Gaussian with mean and "
        "covariance"
    ),
)
def product_law_rule(subject: Any, ask: Ask) -> Claim:
    """Given W V and Z = W' U, the product W v is Gaussian with mean U Z' v and covariance nu (1 - U U')."""
    nu = subject.args[-1]
    for known in (at * Vt * Wt, bt * Ut * W):  # transposes of W V a and of W' U b
        claim = ask.equation("left-over", Mean(sp.expand(RESIDUAL * known), nu))
        assert claim.right == Value(sp.S.Zero), "the residual is correlated with a known product"
    spread = ask.equation("left-over", Mean(sp.expand(RESIDUAL * transposed(RESIDUAL)), nu))
    prediction = sp.expand(W * v - RESIDUAL).subs(Ut * W, Zt)  # Z = W' U is known
    return Equation(subject, GaussianLaw(prediction, spread.right.args[0]))


@rule(
    "fresh-law",
    source="Cochran's theorem: a projection of rank r leaves chi-squared with r degrees of freedom",
    rank=980,
    says="outside an orthonormal basis the degrees of freedom of a fresh vector number",
    status="cited",
)
def fresh_law_rule(subject: Any, ask: Ask) -> Claim:
    """Outside an orthonormal basis U a fresh vector keeps tr(1 - U U') = rows - columns degrees of freedom."""
    ask("queries", Value(Ut * U))
    return Equation(subject, Rows(U) - Columns(U))


def product_law(recursion: Recursion | Program, matrix: str = "W") -> Derivation:
    """The law of W v given the products W V and Z = W^T U, exact at every width: W v = U Z^T v + (I - U U^T) g.

    U, V are orthonormal, v is a unit vector orthogonal to V, g has independent N(0, nu) entries; the left rule is
    the same for W^T.  Errors: ParameterError unless `matrix` is a tied square matrix.  Source: (81), E8.
    """
    program = as_program(recursion)
    proof = prove(program, "product-law", ProductLaw(W * v, W * V, Wt * U, tied(program, matrix).variance))
    return Derivation("product-law", proof)


def fresh_law(recursion: Recursion | Program) -> Derivation:
    """A standard Gaussian vector has standard coordinates in a basis U, and a chi-distributed rest.

    The degrees of freedom are n less the size of the basis.  Source: Cochran's theorem.
    """
    program = as_program(recursion)
    return Derivation("fresh-law", prove(program, "fresh-law", Freedom(U)))


reads("product-law", name="product-law")
reads("fresh-law", name="fresh-law")
