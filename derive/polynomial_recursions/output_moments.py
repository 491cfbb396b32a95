"""Exact moments of the output of a polynomial recursion at width n, a few steps after a unit impulse.

An activation that is a polynomial makes every coordinate a polynomial in Gaussian entries, so that products close:
their means are polynomials in the width. Of other activations they do not.
Source: Isserlis' theorem over entries, with index sums counted exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import sympy as sp

from wideproof.derive.calculus.recursion_rules import OUTPUT, ask_body
from wideproof.derive.language.activations import Phi, Z, definition
from wideproof.derive.language.errors import NotClosed, NotLinear
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import MatVec, Program, refuse_backward
from wideproof.derive.polynomial_recursions.index_sums import by_monomials, index_mean
from wideproof.derive.polynomial_recursions.output_trees import OutputTrees, Tree, Trees, entries_of
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import Proof, prove
from wideproof.derive.proof.rules import Ask, rule

MOST_PRODUCTS, MOST_PAIRINGS = 2_000, 3_000_000
"""Products in one sum, and pairings of entries of matrices in all of them: more are refused before they are paired."""


class OutputMoment(sp.Function):
    """E of the product of one output at the lags listed, after a unit impulse, at width n: arguments n, the lags."""

    def _latex(self, printer: Any) -> str:
        lags = Counter(self.args[1:])
        powers = ("" if times == 1 else f"^{{{times}}}" for times in lags.values())
        outputs = [f"y_{{{printer._print(lag)}}}{power}" for lag, power in zip(lags, powers, strict=True)]
        return rf"\mathbb{{E}}_n\left[{' '.join(outputs)}\right]"


def prove_output_moment(program: Program, lags: Sequence[int], where: str) -> Proof:
    """The proof of a moment of outputs.

    Errors: NotLinear for an activation that is no polynomial; NotClosed for backward states and too many products.
    """
    refuse_backward(program, where)
    for name in activations_of(program):
        if not definition(name).is_polynomial(Z):
            raise NotLinear(
                where,
                "a linear recursion, or activations that are polynomials",
                f"{name}, which is none",
                "Moments of other activations read further moments without end: products do not close. Take a "
                "polynomial near it, wideproof.define('p3', 'z - z**3/3') and wideproof.activation('p3'); or measure "
                "at your width: wideproof.validate, whose table gives the coefficient of 1/n too.",
            )
    return prove(program, "index-sums", OutputMoment(n, *lags))


def activations_of(program: Program) -> list[str]:
    """The names of all activations of a recursion, sorted."""
    exprs = [*program.bodies.values(), *(x.vector for _, x in program.terms if isinstance(x, MatVec))]
    return sorted({str(phi.args[0]) for expr in exprs for phi in expr.atoms(Phi)})


# ---- rules ----------------------------------------------------------------------------------------
@rule("activation", source="definition", rank=15, says="where the activation is", status="assumed")
def activation_rule(subject: Any, ask: Ask) -> Claim:
    """A polynomial activation, as it was declared."""
    return Equation(subject, sp.expand(definition(str(subject.args[0]))))


@rule(
    "index-sums",
    source="isserlis1918formula, over all entries; the definition of the matrix product",
    rank=793,
    says=(
        "write the outputs after the unit impulse $x_0$ out in the entries of all parameters, each product of "
        "matrices with an index of its own; "
        "products whose entries cannot all meet vanish, hence"
    ),
)
def index_sums(subject: Any, ask: Ask) -> Claim:
    """The product of the outputs as a sum over trees of indices, each with its mean."""
    program, lags = ask.program, [int(lag) for lag in subject.args[1:]]
    where = f"moments({program.name}) at the lags {', '.join(map(str, lags))}"
    bodies = {updated: ask_body(program, ask, updated) for updated, _ in program.updates}
    polynomials = {
        name: ask.equation("activation", Phi(sp.Symbol(name), 0, Z)).right for name in activations_of(program)
    }

    def spend(made: Trees) -> None:
        if len(made) > MOST_PRODUCTS:
            got = f"more than {len(made):,}"
            hint = "Ask for a smaller lag or order, or take a polynomial of fewer terms."
            raise NotClosed(where, f"at most {MOST_PRODUCTS:,} products of entries in a sum", got, hint)

    found = OutputTrees(program, bodies, ask_body(program, ask, OUTPUT), polynomials, spend)
    product: Trees = {(): sp.S.One}
    for lag in lags:
        product = found.times(product, found.at(lag))
    _refuse_many(found, product, where)
    total = sp.Add(*(
        scale * n ** sp.Rational(-power, 2) * ask.equation("index-pairings", index_mean(entries_of(tree))).right
        for tree, scale, power in _weighted(found, product)
    ))  # fmt: skip
    return Equation(subject, by_monomials(total))


def _weighted(found: OutputTrees, product: Trees) -> Iterator[tuple[Tree, sp.Expr, int]]:
    """The trees of which every entry has a partner, their coefficients and variances, and how many n^{-1/2}."""
    for tree, c in product.items():
        letters = Counter(letter for letter, _, _ in entries_of(tree))
        if any(times % 2 for times in letters.values()):
            continue
        known = {found.letters[number]: times for number, times in letters.items()}
        variance = sp.prod([letter.variance ** (times // 2) for letter, times in known.items()])
        yield tree, c * variance, sum(times for letter, times in known.items() if letter.scaled)


def _refuse_many(found: OutputTrees, product: Trees, where: str) -> None:
    """Raise NotClosed, with the arithmetic, where there are too many ways to pair entries of matrices."""
    total, largest, most = 0, Counter[int](), 0
    for tree, _, _ in _weighted(found, product):
        letters = Counter(letter for letter, row, column in entries_of(tree) if row and column)
        pairings = prod(int(sp.factorial2(times - 1)) for times in letters.values())
        total += pairings
        largest, most = (letters, pairings) if pairings > most else (largest, most)
    if total > MOST_PAIRINGS:
        entries = " and ".join(f"{times} entries of {found.letters[x].name}" for x, times in largest.items())
        counted = " times ".join(f"{times - 1}!!" for times in largest.values())
        hint = (
            "Ask for a smaller lag or order: z^d at lag j brings order times d + ... + d^j entries. Beyond it measure "
            "at your width, wideproof.validate; the limit is nngp."
        )
        got = f"{counted} = {most:,} of one product with {entries}, {total:,} in all"
        raise NotClosed(where, f"at most {MOST_PAIRINGS:,} pairings of entries of matrices", got, hint)
