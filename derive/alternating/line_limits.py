"""The state evolution of an alternating program: each quantity in its symbols and in the quantities before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sympy as sp

from wideproof.derive.alternating.averages import gaussian_average
from wideproof.derive.alternating.corrections import STATED_BY
from wideproof.derive.alternating.evaluation import LineFormula, StateEvolution
from wideproof.derive.alternating.terms import About, Average, Coefficient, Covariance, LineLimits, MeanSquare
from wideproof.derive.emit.derivation import Derivation, of_kind, quantity_of, reads
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.expectation.truncated_moments import THETA, VARIANCE, Ramp, as_ramp
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.language.errors import LanguageError, ParameterError
from wideproof.derive.proof.claims import Claim, Equation, Recurrence
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule


@dataclass(frozen=True)
class OfRamps(Equation):
    """left = right for the named activations; left = nodes, its Gaussian means, for any."""

    nodes: sp.Expr = sp.S.Zero


@rule(
    "over-components",
    source="stein1981estimation; isserlis1918formula, component by component of the sources",
    rank=940,
    says=(
        "a given vector has a mixture of Gaussian laws. Component by component, factors outside the "
        "activations leave by Stein's rule, and what stays are means over one Gaussian variable,"
    ),
)
def over_components(subject: Any, ask: Ask) -> Claim:
    """An average over entries is the mixture of its Gaussian means; factors that are no activation leave by Stein."""
    tape: AlternatingProgram = ask.program
    claim = ask.equation(STATED_BY[type(subject)], subject)
    return Equation(subject, sp.expand(claim.right.replace(Average, lambda x: gaussian_average(tape, Average(x)))))


@rule(
    "ramp-mean",
    source="definition of the ramp",
    rank=950,
    says=(
        "with a ramp of one variable, and $u$ and $-u$ never both beyond their threshold, these means are "
        "truncated moments,"
    ),
)
def ramp_mean(subject: Any, ask: Ask) -> Claim:
    """The mean of a product of ramps of one variable is a truncated moment; of u and of -u it is zero."""
    found = as_ramp(subject)
    assert found is not None
    return OfRamps(subject, found, subject)


@rule("line-limit", source="substitution", rank=960, says="put in, the limits are")
def line_limit(subject: Any, ask: Ask) -> Claim:
    """Put the truncated moments into a quantity; means of other activations stay."""
    claim = ask.equation("over-components", subject)
    known: dict[sp.Expr, sp.Expr] = {}
    for node in _nodes(claim.right):
        if as_ramp(node) is not None:
            mean = ask.equation("ramp-mean", node)
            known[node] = mean.right
    if not known:
        return claim
    return OfRamps(subject, _collected(claim.right.xreplace(known)), claim.right)


def _collected(expr: sp.Expr) -> sp.Expr:
    """A sum of truncated moments, each with its weight as a product that begins with a plus where it can."""
    parts = sp.collect(sp.expand(expr), sorted(expr.atoms(Ramp), key=str), evaluate=False)
    total = sp.S.Zero
    for word, weight in parts.items():
        factors = []
        for factor in sp.Mul.make_args(sp.factor(weight) if isinstance(word, Ramp) else weight):
            turned = factor.is_Add and bool(factor.as_coeff_Add()[0].is_negative) and isinstance(word, Ramp)
            factors += [sp.S.NegativeOne, -factor] if turned else [factor]
        total += sp.Mul(*factors, word)
    return total


def _nodes(expr: sp.Expr) -> list[GaussianMean]:
    return sorted(expr.atoms(GaussianMean), key=sp.default_sort_key)


def _wanted(program: AlternatingProgram) -> Iterator[About]:
    """The coefficients of all lines and the mean squares of the named vectors."""
    for k in range(len(program.lines)):
        yield from (Coefficient(k, j) for j in program.opposite(k))
    yield from (MeanSquare(sp.Symbol(name)) for name, _ in program.vectors)


@rule(
    "line-evolution",
    source="bayati2011dynamics, Theorem 1: the limits, one by one",
    rank=970,
    says="these limits, each in earlier ones, are what was claimed",
)
def line_evolution_rule(subject: Any, ask: Ask) -> Claim:
    """What is wanted, all that it needs before it, and the truncated moments in closed form."""
    program = ask.program
    found: dict[About, Equation] = {}

    def visit(about: About) -> None:
        if about not in found:
            claim = ask.equation("line-limit", about)
            for inner in sorted(claim.right.atoms(Covariance, Coefficient), key=str):
                visit(inner)
            found[about] = claim

    for about in _wanted(program):
        visit(about)
    powers = sorted({x.args[0] for claim in found.values() for x in claim.right.atoms(Ramp)})
    moments = [ask.equation("truncated-moment", Ramp(p, THETA, VARIANCE)) for p in powers]
    equations = (*moments, *found.values())
    return Recurrence(subject, sp.Tuple(*(e.left for e in equations)), equations, ())


@quantity_of(AlternatingProgram)
def state_evolution(
    alternating: Alternating | AlternatingProgram, form: str = "covariance", horizon: int | None = None
) -> Derivation:
    """The limits of the coefficients of all lines and of the mean squares of the named vectors, with proof.

    The formula's recurrence lists the truncated moments and then every quantity, in the program's symbols and in
    quantities before it; means of other activations than ramps stay Gaussian means.  Units: of the program.  Error:
    exact as n grows.  Errors: NotClosed where an activation meets an activation; ParameterError for another form or a
    horizon.  Source: bayati2011dynamics.
    """
    if (form, horizon) != ("covariance", None):
        hint = "An alternating program is unrolled as it is written."
        raise ParameterError("state_evolution", "the covariance form, over all lines", (form, horizon), hint)
    program = of_kind(alternating, AlternatingProgram)
    return Derivation("state-evolution", prove(program, "line-evolution", LineLimits(len(program.lines))))


reads("state-evolution", kind=LineFormula, of=AlternatingProgram)


def line_evolution(about: Derivation | Alternating | AlternatingProgram) -> StateEvolution:
    """The state evolution of an alternating program as a function.

    Errors: those of its derivation; LanguageError for a derivation about a recursion.
    Source: `corrections`, truncated moments, `derive.expectation.pair_integrals`.

    >>> limits = wp.line_evolution(wp.models.amp(steps=1))(delta=0.5, epsilon=0.1, nu_w=0.01, theta_0=1.0)
    >>> [round(value, 4) for name, value in limits.items() if str(name) == "MeanSquare(error_0)"]
    [0.0508]
    """
    derived = about if isinstance(about, Derivation) else state_evolution(about)
    if not isinstance(derived.formula, LineFormula):
        hint = "wideproof.Kernel and formula.compile() evaluate recursions."
        raise LanguageError("line_evolution", "an alternating program", f"{derived.quantity} of a recursion", hint)
    return derived.formula.compile()
