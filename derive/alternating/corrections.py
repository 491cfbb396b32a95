"""Products with a Gaussian matrix and its transpose at infinite width, each a Gaussian part and correction terms.

With A X and A^T Z known, A x is a regression on both sides and a fresh Gaussian vector (the product law at finite
width). Stein's rule turns the left regression into terms c_s z_s, c_s = nu E[d x / d (A^T z_s)]. Letters are blocks:
X, Z earlier right and left queries, Q = X'X, S = Z'Z, q = X'x, Y = A X, K = A'Z, all products scaled by n^{-1/2}.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.alternating.conditioning import LETTERS, ProductLaw, U, Ut, V, W, Wt, Zt, v
from wideproof.derive.alternating.evaluation import CoefficientFormula
from wideproof.derive.alternating.terms import (
    BD,
    BE,
    BETA,
    BG,
    BQ,
    BR,
    BS,
    BX,
    BY,
    BZ,
    SCALE,
    Average,
    Be,
    BKt,
    BlockLaw,
    Blocks,
    Bq,
    Bqt,
    Br,
    BRt,
    Bx,
    BZt,
    Coefficient,
    Covariance,
    GaussianPart,
    Image,
    KnownLaw,
    MeanSquare,
    Pairing,
    Query,
    Tape,
)
from wideproof.derive.calculus.recursion_rules import growth
from wideproof.derive.emit.derivation import Derivation, of_kind, quantity_of, reads
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.language.program import Coordinate, coordinates_of
from wideproof.derive.proof.claims import Claim, Equation, Hypothesis, Recurrence
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule

MASTER = "master-theorem"
"""The theorem that takes the exact law at finite width to the limit."""
STATED_BY = {Coefficient: "correction", Covariance: "gaussian-covariance", MeanSquare: "second-moment"}
"""Kind of quantity -> the rule that states it as averages over a line."""


@rule(
    "known-products",
    source="emami2021implicit, (81) with E8, at finite n, in bases that are not orthonormal",
    rank=840,
    says=(
        "given products $A X = Y$ and $A^{\\mathsf{T}} Z = K$ with earlier vectors, a new product $A x$ is "
        "its regression on both and a fresh rest. With $Q = X^{\\mathsf{T}} X$, $S = Z^{\\mathsf{T}} Z$ and "
        "$q = X^{\\mathsf{T}} x$, all scaled by the width,"
    ),
)
def known_products(subject: Any, ask: Ask) -> Claim:
    """Given A X = Y and A'Z = K, A x has mean Y b + Z S^{-1} K' (x - X b), b = Q^{-1} q, and a fresh rest."""
    nu = subject.args[0]
    claim = ask.equation("product-law", ProductLaw(W * v, W * V, Wt * U, nu))
    law, spread_of_unit = claim.right.args
    rest = Bx - BX * BETA  # a multiple of a unit vector that is orthogonal to X
    basis = {U: BZ * BR, Ut: BRt * BZt, Zt: BRt * BKt, v: sp.S.One}  # Z R is orthonormal: R R' = S^{-1}
    mean = BY * BETA + (law * rest).xreplace(basis)
    found = [sp.expand(x.subs(BR * BRt, BS**-1)) for x in (mean, spread_of_unit.xreplace(basis))]
    assert not any(x.has(BR) or x.atoms(sp.Symbol) & set(LETTERS.values()) for x in found)
    return Equation(subject, BlockLaw(*found))


def left_regression() -> tuple[sp.Expr, sp.Expr]:
    """The conditional mean with what is known in the limit put in, and what it comes to."""
    known_images, known_query = SCALE * BS * BE + BD * BQ, SCALE * BS * Be + BD * Bq  # K'X and K'x, by Stein's rule
    images = BG + SCALE * BZ * BE  # Y, by the same statement about earlier products
    return images * BETA + BZ * BS**-1 * (known_query - known_images * BETA), BG * BETA + SCALE * BZ * Be


@rule(
    "left-regression",
    source="bayati2011dynamics, Lemma 1; Stein's rule, by induction over the products",
    rank=850,
    says=(
        "let $c$ be the variance of an entry, $G$ the Gaussian parts of $Y$, $E$ and $e$ the mean "
        "derivatives of $X$ and $x$ by the products with the transpose, and $D$ those of $Z$ by the "
        "products with the matrix, times $c$. Earlier products are $Y = G + c Z E$, and by Stein's rule "
        "$K^{\\mathsf{T}} X = c S E + D Q$ and $K^{\\mathsf{T}} x = c S e + D q$. Put in, the two regressions "
        "come to"
    ),
)
def left_regression_rule(subject: Any, ask: Ask) -> Claim:
    """The regression on known products of both sides is that on Gaussian parts, and c Z e."""
    return Equation(subject, Blocks(sp.expand(subject.args[0])))


def spread() -> sp.Expr:
    """The variance of G b with Cov(G) = c Q, and of the fresh rest."""
    beta_t = Bqt * BQ**-1
    return beta_t * SCALE * BQ * BETA + SCALE * (Br - beta_t * Bq)


@rule(
    "gaussian-part",
    source="bayati2011dynamics, Lemma 1",
    rank=860,
    says="the predicted part and the fresh rest have together the variance",
)
def gaussian_part_rule(subject: Any, ask: Ask) -> Claim:
    """The variance of a Gaussian part is c |x|^2, as if its matrix were not known."""
    return Equation(subject, Blocks(sp.expand(subject.args[0])))


def expanded(program: AlternatingProgram, expr: sp.Expr, ask: Ask) -> sp.Expr:
    """An expression in Gaussian parts and sources, every line in it replaced by what it is in the limit."""
    place = {c: line.index for c, line in program.lines}
    for c in sorted((c for c in coordinates_of(expr) if c in place), key=lambda c: -place[c]):
        claim = ask.equation("transposed-product", Image(place[c]))
        parts = {x: program.gaussian(int(x.args[0])) for x in claim.right.atoms(GaussianPart)}
        parts |= {x: expanded(program, program.lines[int(x.args[0])][1].vector, ask) for x in claim.right.atoms(Query)}
        expr = expr.xreplace({c: sp.expand(claim.right).xreplace(parts)})
    return sp.expand(expr)


@rule(MASTER, source="bayati2011dynamics, Theorem 1; yang2020tensor2, master theorem", rank=50, says="", status="cited")
def master_theorem(subject: Any, ask: Ask) -> Claim:
    """Means over entries of smooth enough functions of the lines converge to those over the Gaussian parts."""
    maps = tuple((c, line.vector, growth(line.vector)) for c, line in ask.program.lines)
    return Hypothesis(MASTER, maps)


def query(program: AlternatingProgram, index: int, ask: Ask) -> sp.Expr:
    """The vector that a line multiplies, in Gaussian parts and sources."""
    return expanded(program, program.lines[index][1].vector, ask)


@rule(
    "correction",
    source="stein1981estimation; yang2020tensor2, the transposed master theorem",
    rank=880,
    says="the factor of an earlier vector is by Stein's rule the mean derivative by its Gaussian part,",
)
def correction(subject: Any, ask: Ask) -> Claim:
    """The coefficient of an earlier query of the other side is c E[d query / d its Gaussian part]."""
    tape: AlternatingProgram = ask.program
    index, other = map(int, subject.args)
    slope = sp.diff(query(tape, index, ask), tape.gaussian(other))
    return Equation(subject, sp.expand(tape.scale(index) * average(slope)))


def average(expr: sp.Expr) -> sp.Expr:
    """The mean over entries, constants outside."""
    total = sp.S.Zero
    for term in sp.Add.make_args(sp.expand(expr)):
        factors = sp.Mul.make_args(term)
        moving = [f for f in factors if f.has(Coordinate)]
        constant = sp.Mul(*(f for f in factors if not f.has(Coordinate)))
        total += constant * (Average(sp.Mul(*moving)) if moving else 1)
    return total


@rule("stein-pairing", source="stein1981estimation", rank=870, says="by Stein's rule, pairings with Gaussian parts are")
def stein_pairing(subject: Any, ask: Ask) -> Claim:
    """E[g_j x] = sum over l of Cov(g_j, g_l) E[dx / dg_l], the g of the other side than the image of x."""
    tape: AlternatingProgram = ask.program
    other, index = map(int, subject.args)
    vector = query(tape, index, ask)
    total = sum(
        (Covariance(*sorted((other, j))) * average(sp.diff(vector, tape.gaussian(j))) for j in tape.opposite(index)),
        start=sp.S.Zero,
    )
    return Equation(subject, sp.expand(total))


@rule(
    "transposed-product",
    source="bayati2011dynamics; yang2020tensor2, by conditioning as in (81)",
    rank=890,
    says=(
        "so by induction on the lines, each line is its Gaussian part and its terms, which a corrected line has lost,"
    ),
)
def transposed_product(subject: Any, ask: Ask) -> Claim:
    """A line is its Gaussian part and its corrections; `corrected` has taken the latter away."""
    tape: AlternatingProgram = ask.program
    index = int(subject.args[0])
    line = tape.lines[index][1]
    assert tape.matrix is not None
    ask(MASTER, MASTER)
    ask("known-products", KnownLaw(tape.matrix.variance))
    for statement in (left_regression()[0], spread()):
        ask("left-regression" if statement.has(BS) else "gaussian-part", Blocks(statement))
    total: sp.Expr = GaussianPart(index)
    for other in tape.opposite(index):
        ask("stein-pairing", Pairing(other, index))
        claim = ask.equation("correction", Coefficient(index, other))
        constant = not claim.right.has(Average)
        if not line.corrected:
            total += (claim.right if constant else claim.left) * Query(other)
    return Equation(subject, total)


@rule(
    "gaussian-covariance",
    source="bayati2011dynamics, Lemma 1",
    rank=900,
    says=(
        "Gaussian parts have the covariance of the vectors that are multiplied, and those of the two sides "
        "are independent,"
    ),
)
def gaussian_covariance(subject: Any, ask: Ask) -> Claim:
    """Gaussian parts of one side have the covariance c E[x x'] of the vectors multiplied; the sides are independent."""
    tape: AlternatingProgram = ask.program
    first, second = map(int, subject.args)
    if tape.lines[first][1].side != tape.lines[second][1].side:
        return Equation(subject, sp.S.Zero)
    ask("gaussian-part", Blocks(spread()))
    product = query(tape, first, ask) * query(tape, second, ask)
    return Equation(subject, sp.expand(tape.scale(first) * average(product)))


@rule(
    "second-moment",
    source="bayati2011dynamics, Theorem 1",
    rank=920,
    says="means over entries converge to expectations, so the named vectors have",
)
def second_moment(subject: Any, ask: Ask) -> Claim:
    """The mean square of a named vector is the expectation of its square in Gaussian parts and sources."""
    tape: AlternatingProgram = ask.program
    vector = dict(tape.vectors)[str(subject.args[0])]
    return Equation(subject, average(expanded(tape, vector, ask) ** 2))


@rule(
    "correction-terms",
    source="the lines, one by one",
    rank=930,
    says="these lines, coefficients, covariances and mean squares are what was claimed",
)
def correction_terms(subject: Any, ask: Ask) -> Claim:
    """All lines of a program, the laws of their Gaussian parts, and the named vectors."""
    tape: AlternatingProgram = ask.program
    count = range(len(tape.lines))
    found = [ask.equation("transposed-product", Image(k)) for k in count]
    found += [ask.equation("correction", Coefficient(k, j)) for k in count for j in tape.opposite(k)]
    found += [ask.equation("gaussian-covariance", Covariance(j, k)) for k in count for j in range(k + 1)]
    found += [ask.equation("second-moment", MeanSquare(sp.Symbol(name))) for name, _ in tape.vectors]
    return Recurrence(subject, sp.Tuple(*(e.left for e in found)), tuple(found), ())


@quantity_of(AlternatingProgram)
def corrections(alternating: Alternating | AlternatingProgram) -> Derivation:
    """Every product with A or A^T is a Gaussian part and correction terms, whose coefficients are derived.

    The formula's recurrence lists, line by line, the product, its coefficients, the covariances of the Gaussian
    parts and the mean squares of the named vectors.  Units: of the program.  Error: exact as n grows, for maps that
    are Lipschitz.  Errors: LanguageError for anything but an alternating program.  Source: bayati2011dynamics.

    >>> wp.corrections(wp.models.amp(steps=1)).quantity
    'corrections'
    """
    program = of_kind(alternating, AlternatingProgram)
    return Derivation("corrections", prove(program, "correction-terms", Tape(len(program.lines))))


reads("corrections", kind=CoefficientFormula, of=AlternatingProgram)
